//! Places in words, and what belongs to which namespace, boot and link.

use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

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
        Locus::Rss { iface } => format!("RSS table of {iface}"),
        Locus::Napi { iface, id, param } => format!("{param} of NAPI instance {id} of {iface}"),
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

/// The places of an interface that freeing and allocating its queues may reset: interrupt affinities, RPS, RFS, XPS, the
/// limits and rates of its queues, RSS table, coalescing, time stamping. In words, what would be lost for good.
pub(crate) fn disturbed(
    sys: &dyn Sys,
    iface: &str,
    state: impl Fn(&Locus) -> Reading<State>,
) -> Result<Vec<Locus>, String> {
    lost_for_good(sys, iface)?;
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
        let files: &[&str] = if queue.starts_with("rx-") { RX_FILES } else { TX_FILES };
        places.extend(files.iter().map(|f| Locus::File { path: format!("{queues}/{queue}/{f}") }));
    }
    let coalesce = query::coalesce(sys, iface).into_value().unwrap_or_default();
    places.extend(coalesce.into_keys().map(|param| Locus::Coalesce { iface: iface.to_owned(), param }));
    places.push(Locus::Rss { iface: iface.to_owned() });
    places.push(Locus::HwTimestamp { iface: iface.to_owned() });
    Ok(places)
}

/// Files of a receive queue that hold a setting (net/core/net-sysfs.c, `rx_queue_default_attrs`).
const RX_FILES: &[&str] = &["rps_cpus", "rps_flow_cnt"];
/// Files of a transmit queue that hold a setting (`netdev_queue_default_attrs`, `dql_attrs`).
const TX_FILES: &[&str] = &[
    "xps_cpus",
    "xps_rxqs",
    "tx_maxrate",
    "byte_queue_limits/limit_max",
    "byte_queue_limits/limit_min",
    "byte_queue_limits/hold_time",
];

/// The bond that sends by this interface alone and would stay with another port once this one was down: it comes back by itself
/// to a primary, as long as that is chosen anew always (drivers/net/bonding/bond_main.c, `bond_choose_primary_or_current`).
/// Modes that send by all ports name no active one (`bond_uses_primary`).
fn goes_over(sys: &dyn Sys, iface: &str) -> Option<String> {
    let master = format!("/sys/class/net/{iface}/master");
    let of = |file: &str| sys.read(&format!("{master}/bonding/{file}")).into_value();
    let active = of("active_slave")?.trim() == iface && of("slaves")?.split_whitespace().any(|s| s != iface);
    let returns = of("primary").is_some_and(|p| p.trim() == iface)
        && of("primary_reselect").is_some_and(|r| r.split_whitespace().next() == Some("always"));
    let name = || Some(sys.link_target(&master).into_value()?.rsplit('/').next()?.to_owned());
    (active && !returns).then(|| name().unwrap_or_else(|| "its bond".to_owned()))
}

/// What lowlat can see and could not put back: flow rules, the active port of a bond, values of single NAPI instances, AF_XDP
/// sockets of other programs. Some drivers keep them over a reset and some do not, and none tells before.
fn lost_for_good(sys: &dyn Sys, iface: &str) -> Result<(), String> {
    let may = |what: String, next: &str| Err(format!("the link reset may lose {what}; {next}"));
    if let Reading::Value(n) = query::flow_rules(sys, iface)
        && n > 0
    {
        return may(format!("{n} receive flow rules"), &format!("remove them first (`ethtool -n {iface}`)"));
    }
    if let Some(bond) = goes_over(sys, iface) {
        return may(
            format!(
                "the place of {iface} as the port that {bond} sends by, which would go over to another and stay there"
            ),
            &format!("make it the primary first (`ip link set {bond} type bond primary {iface}`)"),
        );
    }
    let device = |file: &str| {
        let text = sys.read(&format!("/sys/class/net/{iface}/{file}")).into_value()?;
        text.trim().parse::<u64>().ok()
    };
    let of_device =
        [("gro-flush-timeout", device("gro_flush_timeout")), ("defer-hard-irqs", device("napi_defer_hard_irqs"))];
    for query::Napi { id, values, .. } in query::napis(sys, iface).into_value().unwrap_or_default() {
        let own = of_device
            .iter()
            .find(|(param, whole)| whole.is_some() && values.get(*param).is_some_and(|v| Some(*v) != *whole));
        if let Some((param, _)) = own {
            return may(format!("the own {param} of NAPI instance {id}"), "give it the device's value first");
        }
    }
    let index = query::links(sys).into_value().and_then(|l| l.into_iter().find(|l| l.name == iface)).map(|l| l.index);
    // This process's own sockets are opened for each measurement, and know when their link goes.
    let own: Vec<String> = sys
        .list("/proc/self/fd")
        .into_value()
        .unwrap_or_default()
        .iter()
        .filter_map(|fd| sys.link_target(&format!("/proc/self/fd/{fd}")).into_value())
        .collect();
    let foreign = |s: &query::XskSocket| Some(s.index) == index && !own.contains(&format!("socket:[{}]", s.inode));
    match query::xsk_sockets(sys).into_value().unwrap_or_default().iter().find(|s| foreign(s)) {
        Some(s) => may(format!("an AF_XDP socket of another program on queue {}", s.queue), "end that program first"),
        None => Ok(()),
    }
}
