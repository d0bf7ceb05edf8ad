//! Whether AF_XDP is possible on an interface, and why not if not. Looks only: attaches nothing, binds nothing.

use lowlat_model::Reading;
use lowlat_netlink::route::link;

use crate::asm::{Asm, R0};
use crate::mode::{self, XdpMode};
use crate::program::Action;
use crate::xsk::{self, BusyPoll};
use crate::{attach, bpf, device};

/// Whether one mode is possible, as far as is known without trying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeAbility {
    /// Which.
    pub mode: XdpMode,
    /// `None`: only a try would tell.
    pub possible: Option<bool>,
    /// Why, as text.
    pub why: String,
}

/// What AF_XDP can do on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XdpAbility {
    /// Driver.
    pub driver: String,
    /// RX queues, each of which needs a socket.
    pub rx_queues: u32,
    /// XDP abilities as the driver reports them (`basic`, `redirect`, `xsk-zerocopy`, …); `None` before Linux 6.3.
    pub features: Option<Vec<String>>,
    /// The XDP program that is already there, as text; the engine refuses then.
    pub occupied_by: Option<String>,
    /// Whether a kernel this user may ask takes XDP programs; the reason if not.
    pub programs: Result<(), String>,
    /// Whether sockets may ask for preferred busy polling (Linux 5.11); the reason if not.
    pub busy_poll: Result<(), String>,
    /// Each mode, in the order in which the engine tries them.
    pub modes: Vec<ModeAbility>,
    /// What else there is to say.
    pub remarks: Vec<String>,
}

impl XdpAbility {
    /// The engine would be refused, and why.
    pub fn refusal(&self) -> Option<String> {
        if let Err(why) = &self.programs {
            return Some(why.clone());
        }
        self.occupied_by.as_ref().map(|program| format!("{program} is attached"))
    }

    /// In one line.
    pub fn words(&self) -> String {
        self.refusal().map_or_else(
            || {
                let modes: Vec<String> = self.modes.iter().map(|m| format!("{}: {}", m.mode.words(), m.why)).collect();
                format!("possible on {} RX queue(s) of driver {}; {}", self.rx_queues, self.driver, modes.join("; "))
            },
            |why| format!("not possible: {why}"),
        )
    }
}

/// What AF_XDP can do on `iface`, for this user, on this kernel.
pub fn probe(iface: &str) -> Reading<XdpAbility> {
    let link = match link::named(iface) {
        Ok(Some(link)) => link,
        Ok(None) => return Reading::Absent(format!("no interface {iface:?} in this network namespace")),
        Err(e) => return Reading::Garbled(e.to_string()),
    };
    if link.loopback || link.ethernet.is_none() {
        return Reading::Unsupported(format!("{iface} is not an Ethernet interface"));
    }
    if let Err(e) = xsk::socket_possible() {
        return match e.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Reading::Denied("AF_XDP sockets need CAP_NET_RAW".to_owned()),
            Some(libc::EAFNOSUPPORT) => {
                Reading::Unsupported("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)".to_owned())
            }
            _ => Reading::Unsupported(format!("AF_XDP socket: {e}")),
        };
    }
    let driver = device::driver(iface);
    let features = match device::xdp_features(iface) {
        Ok(features) => features,
        Err(e) => return Reading::Garbled(format!("XDP features of {iface}: {e}")),
    };
    let order = mode::order(&link, &driver, features.as_deref());
    Reading::Value(XdpAbility {
        rx_queues: device::rx_queues(iface),
        occupied_by: attach::occupant(&link),
        programs: programs_possible(),
        busy_poll: xsk::busy_poll_possible(BusyPoll { us: 20, budget: 8 }).map_err(|e| e.to_string()),
        modes: abilities(&order.modes, features.is_some()),
        features,
        remarks: order.remarks,
        driver,
    })
}

/// `reported`: the kernel says what the driver can do.
fn abilities(tried: &[XdpMode], reported: bool) -> Vec<ModeAbility> {
    let untried = XdpMode::ALL.into_iter().filter(|m| !tried.contains(m));
    tried
        .iter()
        .copied()
        .chain(untried)
        .map(|mode| {
            let (possible, why) = match (mode, reported) {
                (XdpMode::Generic, _) => (Some(true), "any interface has it"),
                (_, false) => (None, "this kernel does not say (before 6.3)"),
                (m, true) if tried.contains(&m) => (Some(true), "the driver offers it"),
                _ => (Some(false), "the driver does not offer it"),
            };
            ModeAbility { mode, possible, why: why.to_owned() }
        })
        .collect()
}

/// Loads the smallest XDP program and drops it again.
fn programs_possible() -> Result<(), String> {
    let mut pass = Asm::new();
    pass.mov_imm(R0, Action::Pass as i32).exit();
    let program = pass.finish().map_err(|e| e.to_string())?;
    bpf::load(&program, "lowlat_probe").map(drop).map_err(|e| match e.source.raw_os_error() {
        Some(libc::EPERM) => "XDP programs need CAP_BPF and CAP_NET_ADMIN (or kernel lockdown forbids them)".to_owned(),
        _ => format!("this kernel takes no XDP program: {}", e.source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_nothing_are_two_answers() {
        assert_eq!(probe("lo").why_not().map(|w| w.0), Some("unsupported"));
        assert_eq!(probe("no-such-if").why_not().map(|w| w.0), Some("absent"));
    }

    #[test]
    fn an_old_kernel_is_not_a_driver_without_zero_copy() {
        let of = |reported| abilities(&[XdpMode::NativeCopy, XdpMode::Generic], reported).pop().unwrap();
        assert_eq!((of(false).mode, of(false).possible), (XdpMode::ZeroCopy, None));
        assert_eq!(of(true).possible, Some(false));
    }
}
