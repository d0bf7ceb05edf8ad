//! Sysctls: files of `/proc/sys`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

use crate::{AtBoot, Kind, Place, Write, text};

/// Where they are.
pub(crate) const ROOT: &str = "/proc/sys/";

/// A sysctl by its dotted key.
#[derive(Debug)]
pub struct SysctlKey(pub &'static str);

impl Place for SysctlKey {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let path = || format!("{ROOT}{}", self.0.replace('.', "/"));
        Ok(if *target == Target::Host { vec![Locus::File { path: path() }] } else { Vec::new() })
    }
    fn targets(&self, _: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        Reading::Value(vec![Target::Host])
    }
    fn order(&self) -> Order {
        let of_queues = ["net.core.netdev_", "net.core.rmem_", "net.core.wmem_"].iter().any(|p| self.0.starts_with(p));
        let sizes = ["net.ipv4.tcp_limit_output_bytes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];
        match self.0 {
            key if of_queues || sizes.contains(&key) => Order::Queues,
            key if key.starts_with("kernel.") => Order::Placement,
            _ => Order::Kernel,
        }
    }
}

/// Sysctls under `net/ipv4` that are the host's and not the namespace's (net/ipv4/sysctl_net_ipv4.c, `ipv4_table`, next
/// to the `ipv4_net_table` of each namespace; net/ipv4/ip_fragment.c, `ip4_frags_ctl_table`). On Linux 6.18 these, and
/// no other, are missing in a namespace of their own.
const IPV4_OF_HOST: &[&str] = &[
    "cipso_cache_bucket_size",
    "cipso_cache_enable",
    "cipso_rbm_optfmt",
    "cipso_rbm_strictvalid",
    "fib_sync_mem",
    "inet_peer_maxttl",
    "inet_peer_minttl",
    "inet_peer_threshold",
    "ipfrag_secret_interval",
    "tcp_available_ulp",
    "tcp_low_latency",
    "tcp_max_orphans",
    "tcp_mem",
    "udp_mem",
];

/// Sysctls under `net/core` that each namespace has of its own (net/core/sysctl_net_core.c, `netns_core_table`):
/// `somaxconn` on every kernel, `txrehash` from 5.18, `optmem_max` from 6.8, `rps_default_mask` from 6.3,
/// `tstamp_allow_data` where a namespace shows it (6.18 does). `rmem_max` and its kin are in the table too, since 6.13,
/// but a namespace sees the host's values and cannot write them (`sysctl_core_net_init` takes the write bits off).
const CORE_OF_NAMESPACE: &[&str] = &["somaxconn", "txrehash", "optmem_max", "rps_default_mask", "tstamp_allow_data"];

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a str,
    /// Below the root: `net/core/busy_read`.
    pub(crate) key: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::read(sys, self.path)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        text::line(self.path, set)
    }
    fn shown(&self) -> Option<String> {
        Some(text::shown(self.path))
    }
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn same(&self, a: &State, b: &State) -> bool {
        text::same_in(self.path, a, b)
    }
    fn scope(&self) -> Scope {
        let Some(key) = self.key.strip_prefix("net/") else { return Scope::Host };
        let mut parts = key.split('/');
        match (parts.next(), parts.next(), parts.next()) {
            // `conf/eth0/…`, `neigh/eth0/…` are an interface's; `all` and `default` are every interface's.
            (Some("ipv4" | "ipv6"), Some("conf" | "neigh"), Some(which)) if !["all", "default"].contains(&which) => {
                Scope::Interface
            }
            (Some("ipv4"), Some(key), _) if IPV4_OF_HOST.contains(&key) => Scope::Host,
            (Some("ipv4" | "ipv6"), ..) => Scope::Namespace,
            (Some("core"), Some(key), _) if CORE_OF_NAMESPACE.contains(&key) => Scope::Namespace,
            _ => Scope::Host,
        }
    }
    /// `/proc/sys/net` shows the reader's namespace (net/sysctl_net.c, `net_ctl_root.lookup`).
    fn of_namespace(&self) -> bool {
        self.key.starts_with("net/")
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Sysctl(self.key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sysctl_reaches_as_far_as_its_table() {
        for (path, scope) in [
            ("net/ipv4/conf/eth0/rp_filter", Scope::Interface),
            ("net/ipv4/conf/all/rp_filter", Scope::Namespace),
            ("net/ipv4/tcp_limit_output_bytes", Scope::Namespace),
            ("net/ipv4/tcp_mem", Scope::Host),
            ("net/core/somaxconn", Scope::Namespace),
            ("net/core/busy_read", Scope::Host),
            ("net/core/rmem_default", Scope::Host),
            ("vm/swappiness", Scope::Host),
            ("kernel/numa_balancing", Scope::Host),
        ] {
            assert_eq!(At { path: "", key: path }.scope(), scope, "{path}");
        }
    }
}
