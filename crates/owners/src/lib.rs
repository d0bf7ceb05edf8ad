//! Who else sets what lowlat sets: daemons that run, and files that something reads at boot. One file per owner, one line
//! per owner in [`OWNERS`].
//!
//! Nothing here writes or decides. An owner reads the host through the reading door and says what it wants at one place,
//! by which rule its value stands, and what to do; [`Host::others`] keeps those that want another value than lowlat.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod files;
mod glob;
mod ini;
mod link_match;

// The owners.
mod cloud;
pub mod irqbalance;
mod link_files;
mod netplan;
mod network_manager;
mod networkd;
mod sysctl_conf;
mod sysctl_d;
mod tuned;
mod ufw;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use lowlat_model::{Claim, Locus, State};
use lowlat_settings::{AtBoot, at, same};
use lowlat_sys::Sys;

/// A program, or a kind of file, that sets settings.
pub trait Owner: Sync {
    /// The file of this crate that it is in.
    fn file(&self) -> &'static str;
    /// What it wants at one place.
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim>;
}

/// Every owner.
pub static OWNERS: &[&dyn Owner] = &[
    &irqbalance::Irqbalance,
    &tuned::Tuned,
    &network_manager::NetworkManager,
    &networkd::Networkd,
    &link_files::LinkFiles,
    &netplan::Netplan,
    &cloud::Cloud,
    &sysctl_d::SysctlD,
    &sysctl_conf::SysctlConf,
    &ufw::Ufw,
];

/// The file of `lowlat persist` for sysctls; what is read after it wins over it.
pub const SYSCTL_FILE: &str = "90-lowlat.conf";

/// The host as the owners see it. Processes are looked at once.
pub struct Host<'a> {
    sys: &'a dyn Sys,
    running: OnceCell<BTreeSet<String>>,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("running", &self.running).finish_non_exhaustive()
    }
}

impl<'a> Host<'a> {
    /// A host behind a reading door.
    pub fn new(sys: &'a dyn Sys) -> Self {
        Self { sys, running: OnceCell::new() }
    }

    /// Who wants another value at a place than the one that lowlat sets there.
    pub fn others(&self, locus: &Locus, set: &State) -> Vec<Claim> {
        let mut claims = self.all(locus);
        claims.retain(|c| c.sets.as_ref().is_none_or(|value| !wants(locus, value, set)));
        claims
    }

    /// Who has changed a place to its current value: a program that runs and wants this very value, else one that runs
    /// and decides itself.
    pub fn who(&self, locus: &Locus, now: &State) -> Option<String> {
        let claims = self.all(locus);
        let exactly = claims.iter().find(|c| c.sets.as_ref().is_some_and(|value| wants(locus, value, now)));
        let itself = || claims.iter().find(|c| c.runs && c.sets.is_none());
        exactly.or_else(itself).map(|c| match &c.file {
            Some(file) if c.sets.is_some() => format!("{} ({file})", c.by),
            _ => c.by.clone(),
        })
    }

    fn all(&self, locus: &Locus) -> Vec<Claim> {
        OWNERS.iter().flat_map(|owner| owner.claims(self, locus)).collect()
    }

    /// Whether a process of that command name runs (`/proc/PID/comm`, cut at 15 bytes).
    fn runs(&self, comm: &str) -> bool {
        let look = || {
            let pids = self.sys.list("/proc").into_value().unwrap_or_default();
            let pids = pids.into_iter().filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
            let comm = |pid: String| self.sys.read(&format!("/proc/{pid}/comm")).into_value();
            pids.filter_map(comm).map(|c| c.trim_end().to_owned()).collect()
        };
        self.running.get_or_init(look).contains(comm)
    }

    /// Whether systemd starts a unit at boot: a link to it lies in a folder of wants (systemd.unit(5), `[Install]`).
    fn starts_at_boot(&self, unit: &str) -> bool {
        ["multi-user", "sysinit", "network-online", "graphical"].iter().any(|target| {
            let dir = format!("/etc/systemd/system/{target}.target.wants");
            self.sys.list(&dir).value().is_some_and(|names| names.iter().any(|n| n == unit))
        })
    }
}

/// Whether `value`, as an owner has it, is what `state` says.
fn wants(locus: &Locus, value: &str, state: &State) -> bool {
    if let Locus::Moderation { .. } = locus {
        return state.to_string().split_whitespace().any(|word| word == value);
    }
    same(locus, &State::Text(value.to_owned()), state)
}

/// The key of a sysctl as `/proc/sys` has it.
fn sysctl_key(locus: &Locus) -> Option<String> {
    let kind = at(locus);
    if let AtBoot::Sysctl(key) = kind.at_boot() { Some(key) } else { None }
}

/// What a parameter of ethtool's coalescing is at a place; for a whole direction as a word of its text.
fn coalesced(locus: &Locus, param: &str, value: &str) -> Option<String> {
    match locus {
        Locus::Coalesce { param: p, .. } if p == param => Some(value.to_owned()),
        // adaptive-rx, rx-usecs, rx-frames: the direction is one of the words of the name.
        Locus::Moderation { direction, .. } if param.split('-').any(|w| w == direction) => {
            Some(format!("{param}={value}"))
        }
        _ => None,
    }
}

/// The names that ethtool -k shows for what the kernel calls otherwise (ethtool.c, `off_flag_def`, whose patterns these are;
/// NetworkManager has the same, `nm-platform-utils.c`, `_ethtool_feature_infos`).
fn feature_matches(short: &str, kernel: &str) -> bool {
    match short {
        "gro" | "generic-receive-offload" => kernel == "rx-gro",
        "gso" | "generic-segmentation-offload" => kernel == "tx-generic-segmentation",
        "tso" | "tcp-segmentation-offload" => kernel.starts_with("tx-tcp") && kernel.ends_with("-segmentation"),
        "lro" | "large-receive-offload" => kernel == "rx-lro",
        "rx" | "rx-checksumming" => kernel == "rx-checksum",
        "tx" | "tx-checksumming" => kernel.starts_with("tx-checksum-"),
        "sg" | "scatter-gather" => kernel.starts_with("tx-scatter-gather"),
        "ntuple" | "ntuple-filters" => kernel == "rx-ntuple-filter",
        "rxhash" | "receive-hashing" => kernel == "rx-hashing",
        other => other == kernel,
    }
}
