//! How far a write reaches: an interface, the network namespace, or the whole host.

use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Op};

/// Sysctls under `net/ipv4` that are the host's and not the namespace's (net/ipv4/sysctl_net_ipv4.c, `ipv4_table`, beside
/// the `ipv4_net_table` of each namespace; net/ipv4/ip_fragment.c, `ip4_frags_ctl_table`). On Linux 6.18 these, and no
/// other, are missing in a namespace of their own.
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
/// `tstamp_allow_data` where a namespace shows it (6.18 does). `rmem_max` and its kin are in the table too, since 6.13, but
/// a namespace sees the host's values and cannot write them (`sysctl_core_net_init` takes the write bits off).
const CORE_OF_NAMESPACE: &[&str] = &["somaxconn", "txrehash", "optmem_max", "rps_default_mask", "tstamp_allow_data"];

/// How far a step reaches: as far as the farthest of its writes.
pub(crate) fn of(ops: &[Op]) -> Scope {
    let scopes: Vec<Scope> = ops.iter().map(|op| of_locus(&op.locus)).collect();
    if scopes.contains(&Scope::Host) || scopes.is_empty() {
        Scope::Host
    } else if scopes.contains(&Scope::Namespace) {
        Scope::Namespace
    } else {
        Scope::Interface
    }
}

fn of_locus(locus: &Locus) -> Scope {
    match locus {
        Locus::File { path } => of_file(path),
        Locus::Feature { .. }
        | Locus::Coalesce { .. }
        | Locus::Ring { .. }
        | Locus::Channels { .. }
        | Locus::Pause { .. }
        | Locus::Eee { .. }
        | Locus::PrivateFlag { .. }
        | Locus::HwTimestamp { .. }
        | Locus::Qdisc { .. }
        | Locus::RouteMetric { .. }
        | Locus::Rss { .. }
        | Locus::Napi { .. }
        | Locus::IrqAffinity { .. } => Scope::Interface,
        Locus::CpuDmaLatency | Locus::DropIn { .. } => Scope::Host,
    }
}

fn of_file(path: &str) -> Scope {
    if path.starts_with("/sys/class/net/") {
        return Scope::Interface;
    }
    let Some(sysctl) = path.strip_prefix("/proc/sys/net/") else { return Scope::Host };
    let mut parts = sysctl.split('/');
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_reaches_as_far_as_its_place() {
        for (path, scope) in [
            ("/sys/class/net/eth0/queues/rx-0/rps_cpus", Scope::Interface),
            ("/proc/sys/net/ipv4/conf/eth0/rp_filter", Scope::Interface),
            ("/proc/sys/net/ipv4/conf/all/rp_filter", Scope::Namespace),
            ("/proc/sys/net/ipv4/tcp_limit_output_bytes", Scope::Namespace),
            ("/proc/sys/net/ipv4/tcp_mem", Scope::Host),
            ("/proc/sys/net/core/somaxconn", Scope::Namespace),
            ("/proc/sys/net/core/busy_read", Scope::Host),
            ("/proc/sys/net/core/rmem_default", Scope::Host),
            ("/proc/sys/vm/swappiness", Scope::Host),
            ("/proc/sys/kernel/numa_balancing", Scope::Host),
            ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", Scope::Host),
        ] {
            assert_eq!(of(&[Op::file(path, "1")]), scope, "{path}");
        }
        let irq = Locus::IrqAffinity { iface: "eth0".into(), index: 0 };
        assert_eq!(of(&[Op::text(irq.clone(), "1")]), Scope::Interface);
        assert_eq!(of(&[Op::text(irq, "1"), Op::file("/proc/sys/net/ipv4/tcp_sack", "1")]), Scope::Namespace);
        assert_eq!(of(&[Op::text(Locus::CpuDmaLatency, "0")]), Scope::Host);
        assert_eq!(of(&[]), Scope::Host, "what is not known to be narrow is wide");
    }
}
