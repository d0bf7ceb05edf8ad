//! What belongs to a link, and goes with it.

use lowlat_model::{Locus, Reading, State};
use lowlat_settings::{coalesce, hw_timestamp, irq_affinity, napi, net_file, rss};
use lowlat_sys::{Sys, query};

/// The places of an interface that freeing and allocating its queues may reset: interrupt affinities, RPS, RFS, XPS,
/// the limits and rates of its queues, RSS table, coalescing, time stamping. As text, what would be lost for good.
pub(crate) fn disturbed(
    sys: &dyn Sys,
    iface: &str,
    state: impl Fn(&Locus) -> Reading<State>,
) -> Result<Vec<Locus>, String> {
    lost_for_good(sys, iface)?;
    let mut places = Vec::new();
    for index in 0.. {
        let locus = irq_affinity::of(iface, index);
        // Positions are dense, so the first one that is not there is the end.
        if state(&locus).value().is_none() {
            break;
        }
        places.push(locus);
    }
    places.extend(net_file::of_queues(sys, iface));
    places.extend(coalesce::all_of(sys, iface));
    places.push(rss::of(iface));
    places.push(hw_timestamp::of(iface));
    Ok(places)
}

/// The bond that sends by this interface alone and would stay with another port once this one was down: it comes back
/// on its own to a primary, as long as that is chosen anew always (drivers/net/bonding/bond_main.c,
/// `bond_choose_primary_or_current`). Modes that send by all ports name no active one (`bond_uses_primary`).
fn goes_over(sys: &dyn Sys, iface: &str) -> Option<String> {
    let master = format!("/sys/class/net/{iface}/master");
    let of = |file: &str| sys.read(&format!("{master}/bonding/{file}")).into_value();
    let active = of("active_slave")?.trim() == iface && of("slaves")?.split_whitespace().any(|s| s != iface);
    let returns = of("primary").is_some_and(|p| p.trim() == iface)
        && of("primary_reselect").is_some_and(|r| r.split_whitespace().next() == Some("always"));
    let name = || Some(sys.link_target(&master).into_value()?.rsplit('/').next()?.to_owned());
    (active && !returns).then(|| name().unwrap_or_else(|| "its bond".to_owned()))
}

/// What lowlat can see and could not put back: flow rules, the active port of a bond, values of single NAPI instances,
/// AF_XDP sockets of other programs. Some drivers keep them over a reset and some do not, and none says before.
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
    if let Some(own) = napi::own_value(sys, iface) {
        return may(own, "give it the device's value first");
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
