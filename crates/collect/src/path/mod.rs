//! The path: from the kernel's route to the target down to the devices.

mod below;
mod login;
mod reach;
mod walk;

use std::collections::BTreeSet;

use lowlat_model::{Facts, NotSeen, PathLink, PathRole, Reading};
use lowlat_sys::Sys;
use lowlat_sys::query::LinkInfo;

pub(crate) use below::{Below, lower_links};
pub(crate) use login::login_ifaces;
pub use reach::{PathProblem, RouteHop, RouteTo, Towards, leads_over, path_changed, route_of};
use walk::Walk;

crate::collector! {
    /// The interfaces that packets to the target pass on this host: the output interface of the kernel's route (policy
    /// rules included, all next hops of a multipath route), and what is beneath it: slaves of a bond or a team, the
    /// device of a VLAN, macvlan or ipvlan, the ports of a bridge, the underlay of a tunnel (vxlan, geneve, gre, ipip,
    /// WireGuard), the virtual function beneath a Hyper-V interface. An `ifb` is on the path where a filter on the path
    /// (`mirred`) redirects packets to it.
    ///
    /// Of a bridge, only the port that leads to the next hop is on the path, where the neighbour and forwarding tables
    /// show it; otherwise all ports are. The interfaces that login sessions use are noted too (`SSH_CONNECTION`, and
    /// established sockets at port 22), so that no session is cut off. lowlat says what it cannot follow (an eBPF
    /// filter, a tun device, another network namespace).
    pub PATH = "path";
    reads [
        "net:route-to/*",
        "net:routes",
        "net:links",
        "net:stack",
        "net:addresses",
        "net:neighbours",
        "net:forwarding",
        "net:IF/redirects",
        "net:IF/peers",
        "net:IF/driver",
        "net:login",
        "net:tcp-sockets",
        "/sys/class/net/*/lower_*",
    ];
    sources [
        "net/ipv4/route.c in linux 6.12: inet_rtm_getroute",
        "net/ipv6/route.c in linux 6.12: inet6_rtm_getroute",
        "net/core/dev.c in linux 6.12: netdev_adjacent_sysfs_add",
        "net/bridge/br_fdb.c in linux 6.12: fdb_fill_info",
        "drivers/net/vxlan/vxlan_core.c in linux 6.12: vxlan_fdb_info, __vxlan_dev_create",
        "drivers/net/hyperv/netvsc_drv.c in linux 6.12: netvsc_vf_join",
        "include/uapi/linux/wireguard.h in linux 6.12",
        "net/sched/act_mirred.c in linux 6.12: tcf_mirred_dump",
    ];
}

/// A path and what could not be determined of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// From the top down.
    pub links: Vec<PathLink>,
    /// What could not be followed, and why.
    pub not_seen: Vec<NotSeen>,
}

/// The path over `iface`, to `target` where one is named: from the interfaces of the route to the target, else from
/// `iface`, down to the devices. Empty where neither is named.
///
/// # Errors
///
/// The route to the target does not lead over `iface`.
pub fn find(sys: &dyn Sys, iface: Option<&str>, target: Option<Towards>) -> Result<Found, PathProblem> {
    let below = Below::read(sys);
    let mut walk = Walk::new(sys, &below);
    let Some(target) = target else {
        if let Some(iface) = iface {
            walk.from(iface);
        }
        return Ok(walk.finish());
    };
    match reach::ask(sys, &below, target, iface) {
        (RouteTo::Local, _) => {
            if let Some(iface) = iface.filter(|i| *i != "lo") {
                return Err(PathProblem::Local { target: target.ip, iface: iface.to_owned() });
            }
            walk.from("lo");
        }
        (RouteTo::Out(hops), note) => {
            walk.not_seen.extend(note);
            walk.along(target.ip, &hops);
            let out: Vec<String> = hops.iter().map(|h| h.iface.clone()).collect();
            if let Some(iface) = iface.filter(|i| !walk.has(i)) {
                return Err(PathProblem::OtherWay { target: target.ip, iface: iface.to_owned(), by: out });
            }
        }
        (RouteTo::Refused(why), _) => {
            walk.not_seen.push(NotSeen { fact: format!("route to {}", target.ip), why: format!("absent: {why}") });
            if let Some(iface) = iface {
                walk.from(iface);
            }
        }
        (RouteTo::Unknown(why), _) => {
            walk.not_seen.push(NotSeen { fact: format!("route to {}", target.ip), why });
            if let Some(iface) = iface {
                walk.from(iface);
            }
        }
    }
    Ok(walk.finish())
}

/// The links directly beneath one: those that the kernel names, and of a tunnel the interfaces of the routes to its far
/// ends.
pub(crate) fn beneath(sys: &dyn Sys, below: &Below<'_>, link: &LinkInfo) -> Reading<Vec<String>> {
    let named = below.lower(link);
    if !Walk::tunnels(link) {
        return named;
    }
    let mut walk = Walk::new(sys, below);
    walk.from(&link.name);
    let links = walk.finish().links;
    let under = links.into_iter().filter(|l| l.role == PathRole::Lower && l.above.as_deref() == Some(&link.name));
    let under: BTreeSet<String> = under.map(|l| l.name).chain(named.value().into_iter().flatten().cloned()).collect();
    if under.is_empty() { named } else { Reading::Value(under.into_iter().collect()) }
}

/// Fills the path into facts. Where the route leads elsewhere the path is that of the interface alone, and the facts
/// say so; without an interface the route's own comes into focus.
pub(crate) fn fill(sys: &dyn Sys, facts: &mut Facts, target: Option<Towards>) {
    let found = find(sys, facts.iface.as_deref(), target).unwrap_or_else(|problem| {
        let mut alone = find(sys, facts.iface.as_deref(), None).unwrap_or_default();
        alone.not_seen.push(NotSeen { fact: "path".to_owned(), why: format!("absent: {problem}") });
        alone
    });
    if facts.iface.is_none() {
        let route = found.links.iter().find(|l| l.role == PathRole::Route);
        facts.iface = route.map(|l| l.name.clone());
    }
    facts.target = target.map(|t| t.ip.to_string());
    facts.path = found.links;
    facts.path_not_seen = found.not_seen;
}

#[cfg(test)]
mod tests;
