//! Places in words, and what belongs to which namespace, boot and link.

use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

/// A place for people.
pub fn words(locus: &Locus) -> String {
    match locus {
        Locus::File { path } | Locus::DropIn { path } => path.clone(),
        Locus::Feature { iface, name } => format!("feature {name} of {iface}"),
        Locus::Coalesce { iface, param } => format!("coalescing {param} of {iface}"),
        Locus::Ring { iface, param } => format!("ring {param} of {iface}"),
        Locus::Channels { iface, param } => format!("channels {param} of {iface}"),
        Locus::Pause { iface, param } => format!("pause {param} of {iface}"),
        Locus::Eee { iface } => format!("energy-efficient ethernet of {iface}"),
        Locus::PrivateFlag { iface, name } => format!("private flag {name} of {iface}"),
        Locus::HwTimestamp { iface } => format!("hardware timestamping of {iface}"),
        Locus::Qdisc { iface, parent } => format!("qdisc {parent} of {iface}"),
        Locus::IrqAffinity { iface, index } => format!("affinity of interrupt {index} of {iface}"),
        Locus::RouteMetric { iface, prefix, metric } => format!("{metric} of the route to {prefix} over {iface}"),
        Locus::CpuDmaLatency => "the wake-up latency limit".to_owned(),
    }
}

/// Whether the same name means another thing in another network namespace.
///
/// `/proc/sys/net` shows the reader's namespace (net/sysctl_net.c, `net_ctl_root.lookup`), and so does
/// `/sys/class/net` for the namespace it was mounted in (net/core/net-sysfs.c, `net_ns_type_operations`).
pub(crate) fn of_namespace(locus: &Locus) -> bool {
    match locus {
        Locus::File { path } => path.starts_with("/proc/sys/net/") || path.starts_with("/sys/class/net/"),
        Locus::CpuDmaLatency | Locus::DropIn { .. } => false,
        _ => true,
    }
}

/// Whether it is still there after a reboot.
pub(crate) fn outlives_boot(locus: &Locus) -> bool {
    matches!(locus, Locus::DropIn { .. })
}

/// The places of an interface that freeing and allocating its queues may reset: interrupt affinities, RPS, RFS, XPS.
pub(crate) fn disturbed(sys: &dyn Sys, iface: &str, state: impl Fn(&Locus) -> Reading<State>) -> Vec<Locus> {
    let mut places = Vec::new();
    for index in 0.. {
        let locus = Locus::IrqAffinity { iface: iface.to_owned(), index };
        // Positions are dense, so the first one that is not there is the end.
        if state(&locus).value().is_none() {
            break;
        }
        places.push(locus);
    }
    let queues = format!("/sys/class/net/{iface}/queues");
    for queue in sys.list(&queues).into_value().unwrap_or_default() {
        let files: &[&str] = if queue.starts_with("rx-") { &["rps_cpus", "rps_flow_cnt"] } else { &["xps_cpus"] };
        places.extend(files.iter().map(|f| Locus::File { path: format!("{queues}/{queue}/{f}") }));
    }
    places
}
