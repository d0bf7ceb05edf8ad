//! What belongs to a link, and goes with it.

use std::collections::BTreeSet;

use lowlat_model::tune::Resets;
use lowlat_model::{Locus, PlannedStep, Reading, State};
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

/// The bond that sends by this interface alone and would stay with another port once this one was down: it comes back on its own
/// to a primary, as long as that is chosen anew always (drivers/net/bonding/bond_main.c, `bond_choose_primary_or_current`).
/// Modes that send by all ports name no active one (`bond_uses_primary`): balance-xor and 802.3ad take a port that is up
/// again back by themselves, but for [`leaves_its_group`].
fn goes_over(sys: &dyn Sys, iface: &str) -> Option<String> {
    let master = format!("/sys/class/net/{iface}/master");
    let of = |file: &str| sys.read(&format!("{master}/bonding/{file}")).into_value();
    let active = of("active_slave")?.trim() == iface && of("slaves")?.split_whitespace().any(|s| s != iface);
    let returns = of("primary").is_some_and(|p| p.trim() == iface)
        && of("primary_reselect").is_some_and(|r| r.split_whitespace().next() == Some("always"));
    let name = || Some(sys.link_target(&master).into_value()?.rsplit('/').next()?.to_owned());
    (active && !returns).then(|| name().unwrap_or_else(|| "its bond".to_owned()))
}

/// The 802.3ad bond that sends by this port's group alone and may stay with another group. With `ad_select` stable the
/// active group is chosen anew only when all its ports are down or it has none (Documentation/networking/bonding.rst), which
/// is so where this one is its only port; the group taken then stays. With bandwidth and count it is chosen anew whenever a
/// port's link changes, and the present one stays unless another has more bandwidth or ports
/// (drivers/net/bonding/bond_3ad.c, `ad_agg_selection_test`). Which has more is not read, so no return is counted on.
fn leaves_its_group(sys: &dyn Sys, iface: &str) -> Option<String> {
    let master = format!("/sys/class/net/{iface}/master");
    let of = |file: &str| sys.read(&format!("{master}/bonding/{file}")).into_value();
    if !of("mode")?.starts_with("802.3ad") {
        return None;
    }
    let group = |port: &str| {
        let id = sys.read(&format!("/sys/class/net/{port}/bonding_slave/ad_aggregator_id")).into_value()?;
        Some(id.trim().to_owned())
    };
    let own = group(iface)?;
    let slaves = of("slaves")?;
    let others: Vec<String> = slaves.split_whitespace().filter(|s| *s != iface).filter_map(group).collect();
    let alone = of("ad_aggregator")?.trim() == own && !others.is_empty() && !others.contains(&own);
    let name = || Some(sys.link_target(&master).into_value()?.rsplit('/').next()?.to_owned());
    alone.then(|| name().unwrap_or_else(|| "its bond".to_owned()))
}

/// What lowlat can see and could not put back: flow rules, the active port of a bond, values of single NAPI instances, AF_XDP
/// sockets of other programs. Some drivers keep them over a reset and some do not, and none says before.
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
    if let Some(bond) = leaves_its_group(sys, iface) {
        return may(
            format!(
                "the place of {iface} as the only port of the group that {bond} sends by, which would go over to another \
                 group and stay there"
            ),
            &format!("add a second port to its group, or take {iface} out of {bond} first"),
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

/// Why a step would be refused as the host stands now: what the reset that it announces would lose for good. Asked again right
/// before it is made, since a plan may be old. Reads; of a step that resets nothing it asks nothing.
pub fn foretold(sys: &dyn Sys, step: &PlannedStep) -> Result<(), String> {
    if step.resets == Resets::Nothing {
        return Ok(());
    }
    let ifaces: BTreeSet<&str> = step.ifaces().collect();
    ifaces.into_iter().try_for_each(|iface| lost_for_good(sys, iface))
}
