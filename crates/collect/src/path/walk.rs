//! Down from the route's interface to the devices.

use std::collections::VecDeque;
use std::net::IpAddr;

use lowlat_model::{NotSeen, PathLink, PathRole, Reading};
use lowlat_sys::Sys;
use lowlat_sys::query::{self, LinkInfo, Neighbour, NetQuery, RouteReply, TunnelPeer};

use super::Found;
use super::below::Below;
use super::reach::{RouteHop, covers};

/// Interfaces of one path, at most: a bridge may have a thousand ports (`BR_MAX_PORTS`, net/bridge/br_private.h), and
/// what is found on so many helps nobody.
const MOST: usize = 256;

/// Kinds that have something beneath them.
const STACKED: &[&str] =
    &["vlan", "bond", "team", "bridge", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "hsr", "dsa"];

/// Kinds whose packets go into a tunnel.
const TUNNELS: &[&str] = &[
    "geneve",
    "gre",
    "gretap",
    "erspan",
    "ip6gre",
    "ip6gretap",
    "ip6erspan",
    "ipip",
    "sit",
    "ip6tnl",
    "vti",
    "vti6",
    "xfrm",
    "bareudp",
];

/// Kinds that are one end of a pair.
const PAIRS: &[&str] = &["veth", "netkit", "vxcan"];

/// Kinds with nothing beneath them: packets end there, or a device of its own is behind.
const ENDS: &[&str] = &["dummy", "ifb", "netdevsim", "can", "vcan", "nlmon", "wwan", "rmnet", "lowpan"];

/// Who the packets on a link are for.
#[derive(Debug, Clone, Default)]
struct Bound {
    /// Their destination.
    to: Option<IpAddr>,
    /// Hardware addresses of the next hops, where they are known.
    macs: Vec<String>,
}

/// One interface to look at.
struct Step {
    name: String,
    role: PathRole,
    above: Option<String>,
    bound: Bound,
}

/// A path as it grows.
pub(super) struct Walk<'a> {
    sys: &'a dyn Sys,
    below: &'a Below<'a>,
    links: Vec<PathLink>,
    pub(super) not_seen: Vec<NotSeen>,
    queue: VecDeque<Step>,
    /// Interfaces of the path whose redirections cannot be read, and why.
    unread: Vec<(String, String)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(sys: &'a dyn Sys, below: &'a Below<'a>) -> Self {
        Self { sys, below, links: Vec::new(), not_seen: Vec::new(), queue: VecDeque::new(), unread: Vec::new() }
    }

    /// From an interface down.
    pub(super) fn from(&mut self, iface: &str) {
        self.queue.push_back(Step {
            name: iface.to_owned(),
            role: PathRole::Route,
            above: None,
            bound: Bound::default(),
        });
        self.go();
    }

    /// From each next hop of a route down.
    pub(super) fn along(&mut self, to: IpAddr, hops: &[RouteHop]) {
        for hop in hops {
            let bound = self.bound(to, &hop.iface, hop.gateway);
            self.queue.push_back(Step { name: hop.iface.clone(), role: PathRole::Route, above: None, bound });
        }
        self.go();
    }

    /// Whether packets on a link leave by the route to its far end.
    pub(super) fn tunnels(link: &LinkInfo) -> bool {
        link.kind.as_deref().is_some_and(|k| TUNNELS.contains(&k) || matches!(k, "vxlan" | "wireguard"))
    }

    /// Whether an interface is on the path.
    pub(super) fn has(&self, iface: &str) -> bool {
        self.links.iter().any(|l| l.name == iface)
    }

    /// The path, with a note of each ifb next to it that may be a part of it.
    pub(super) fn finish(mut self) -> Found {
        if let Some((iface, why)) = self.unread.first() {
            let beside = |l: &&LinkInfo| l.kind.as_deref() == Some("ifb") && l.up && !self.has(&l.name);
            let note = |ifb: &LinkInfo| NotSeen {
                fact: format!("redirection to {}", ifb.name),
                why: format!("{why}, so whether {iface} redirects packets to {} is not known", ifb.name),
            };
            let notes: Vec<NotSeen> = self.below.links().iter().filter(beside).map(note).collect();
            self.not_seen.extend(notes);
        }
        Found { links: self.links, not_seen: self.not_seen }
    }

    fn note(&mut self, fact: String, why: impl Into<String>) {
        self.not_seen.push(NotSeen { fact, why: why.into() });
    }

    fn go(&mut self) {
        while let Some(step) = self.queue.pop_front() {
            if self.has(&step.name) {
                continue;
            }
            if self.links.len() == MOST {
                self.note(
                    "path".to_owned(),
                    format!("unsupported: it has more than {MOST} interfaces; the rest is left out"),
                );
                self.queue.clear();
                return;
            }
            let Some(link) = self.below.link(&step.name) else { continue };
            self.links.push(PathLink {
                name: step.name.clone(),
                role: step.role,
                kind: link.kind.clone(),
                above: step.above.clone(),
            });
            self.descend(link, &step.bound);
            self.redirects(link);
        }
    }

    fn push(&mut self, names: impl IntoIterator<Item = String>, role: PathRole, above: &str, bound: &Bound) {
        for name in names {
            self.queue.push_back(Step { name, role, above: Some(above.to_owned()), bound: bound.clone() });
        }
    }

    fn descend(&mut self, link: &LinkInfo, bound: &Bound) {
        match link.kind.as_deref() {
            Some("bridge") => self.bridge(link, bound),
            Some("vxlan") => self.vxlan(link, bound),
            Some("wireguard") => self.wireguard(link, bound),
            Some("vrf") => self.vrf(link, bound),
            Some(kind) if TUNNELS.contains(&kind) => self.tunnel(link),
            Some("tun") => self.note(
                format!("path beneath {}", link.name),
                "unsupported: a program takes its packets, and the kernel does not report where it sends them",
            ),
            Some("openvswitch") => self.note(
                format!("path beneath {}", link.name),
                "unsupported: Open vSwitch forwards its packets by flows of its own, which are not read",
            ),
            _ => self.lower(link, bound),
        }
    }

    /// What the kernel's own links say is beneath.
    fn lower(&mut self, link: &LinkInfo, bound: &Bound) {
        let name = &link.name;
        let stacked = link.kind.as_deref().is_some_and(|k| STACKED.contains(&k));
        let lower = self.below.lower(link);
        let synthetic = query::driver(self.sys, name).into_value().is_some_and(|d| d.driver == "hv_netvsc");
        let role = if synthetic { PathRole::Vf } else { PathRole::Lower };
        match &lower {
            Reading::Value(names) if !names.is_empty() => self.push(names.clone(), role, name, bound),
            // The driver pairs by the hardware address (drivers/net/hyperv/netvsc_drv.c, `get_netvsc_byslot`).
            _ if synthetic => {
                let twin =
                    |l: &&LinkInfo| l.index != link.index && l.mac.is_some() && l.mac == link.mac && l.kind.is_none();
                let names: Vec<String> = self.below.links().iter().filter(twin).map(|l| l.name.clone()).collect();
                self.push(names, PathRole::Vf, name, bound);
            }
            _ if self.below.stacked(link.index).is_some_and(|s| s.link_elsewhere) && stacked => self.note(
                format!("path beneath {name}"),
                "unsupported: its device is in another network namespace, and cannot be looked at from here",
            ),
            other if stacked => {
                let why = match other.why_not() {
                    Some((kind, why)) => format!("{kind}: {why}"),
                    None => "absent: the kernel names nothing".to_owned(),
                };
                self.note(format!("path beneath {name}"), why);
            }
            _ => self.end(link),
        }
    }

    /// A link with nothing beneath it: a device, one that leads elsewhere, or one of a kind that nothing is known about.
    fn end(&mut self, link: &LinkInfo) {
        let Some(kind) = link.kind.as_deref() else { return };
        let elsewhere = self.below.stacked(link.index).is_some_and(|s| s.link_elsewhere);
        if PAIRS.contains(&kind) {
            if elsewhere {
                self.note(
                    format!("path beyond {}", link.name),
                    format!(
                        "unsupported: the other end of this {kind} is in another network namespace, where the path goes on; \
                         look there too"
                    ),
                );
            }
        } else if !ENDS.contains(&kind) {
            self.note(
                format!("path beneath {}", link.name),
                format!(
                    "unsupported: nothing is known about links of the kind {kind}; what is beneath is not looked at"
                ),
            );
        }
    }

    fn bridge(&mut self, link: &LinkInfo, bound: &Bound) {
        let Reading::Value(ports) = self.below.lower(link) else { return self.lower(link, bound) };
        let behind = behind(self.below.forwarding(), link.index, &bound.macs);
        let known: Vec<String> =
            ports.iter().filter(|p| self.below.link(p).is_some_and(|l| behind.contains(&l.index))).cloned().collect();
        if !known.is_empty() {
            return self.push(known, PathRole::Lower, &link.name, bound);
        }
        if ports.len() > 1 {
            let to = bound.to.map_or_else(|| "the target".to_owned(), |to| to.to_string());
            let why = match (bound.to, bound.macs.is_empty()) {
                (None, _) => "absent: no target is named",
                (Some(_), true) => "absent: the neighbour table does not name the next hop's hardware address",
                (Some(_), false) => "absent: the forwarding table does not name the next hop's hardware address",
            };
            self.note(
                format!("port of {} that leads to {to}", link.name),
                format!("{why}; all {} ports are taken for the path", ports.len()),
            );
        }
        self.push(ports, PathRole::Lower, &link.name, bound);
    }

    /// The far end of a vxlan: what its forwarding table says of the next hop, else of everyone, else the one it has.
    fn vxlan(&mut self, link: &LinkInfo, bound: &Bound) {
        let remotes = far_ends(self.below.forwarding(), link.index, &bound.macs);
        if remotes.is_empty() {
            return self.tunnel(link);
        }
        for remote in remotes {
            self.underlay(link, remote, 0);
        }
    }

    fn tunnel(&mut self, link: &LinkInfo) {
        let stacked = self.below.stacked(link.index);
        match (stacked.and_then(|s| s.remote), self.below.lower(link)) {
            (Some(remote), _) => self.underlay(link, remote, 0),
            (None, Reading::Value(lower)) if !lower.is_empty() => {
                self.push(lower, PathRole::Lower, &link.name, &Bound::default());
            }
            _ => self.note(
                format!("path beneath {}", link.name),
                "absent: the tunnel names neither its far end nor a device",
            ),
        }
    }

    fn wireguard(&mut self, link: &LinkInfo, bound: &Bound) {
        let fact = format!("path beneath {}", link.name);
        let peers = match query::peers(self.sys, &link.name) {
            Reading::Value(peers) => peers,
            other => {
                let (kind, why) = other.why_not().unwrap_or(("absent", ""));
                return self.note(fact, format!("{kind}: {why}"));
            }
        };
        let endpoints = endpoints(&peers, bound.to);
        if endpoints.is_empty() {
            return self.note(fact, "absent: no peer's endpoint is known");
        }
        for (endpoint, mark) in endpoints {
            self.underlay(link, endpoint, mark);
        }
    }

    /// A route that leaves by a VRF is looked up once more in the VRF's own table (Documentation/networking/vrf.rst).
    fn vrf(&mut self, link: &LinkInfo, bound: &Bound) {
        let Some(to) = bound.to else { return self.lower(link, bound) };
        let question = NetQuery::RouteTo { to, oif: Some(link.name.clone()), from: None, mark: None };
        match query::typed::<RouteReply>(self.sys, &question) {
            Reading::Value(reply) => self.hops(link, to, &reply),
            _ => self.lower(link, bound),
        }
    }

    /// The route to the far end of a tunnel, of packets with `mark` (0 for none): by it rules send the tunnel's own
    /// packets another way than what goes into the tunnel (wg-quick(8), `Table` and `FwMark`).
    fn underlay(&mut self, link: &LinkInfo, remote: IpAddr, mark: u32) {
        match query::route_to(self.sys, remote, mark) {
            Reading::Value(reply) => {
                if reply.hops.iter().any(|h| h.oif == Some(link.index)) {
                    let name = &link.name;
                    let why =
                        format!("unsupported: it leads into {name} itself, whose own packets a rule sends another way");
                    self.note(format!("route to {remote}, the far end of {name}"), why);
                }
                self.hops(link, remote, &reply);
            }
            other => {
                let (kind, why) = other.why_not().unwrap_or(("absent", ""));
                let why = format!("{kind}: {why}");
                self.note(format!("route to {remote}, the far end of {}", link.name), why);
                let lower = self.below.lower(link).into_value().unwrap_or_default();
                self.push(lower, PathRole::Lower, &link.name, &Bound::default());
            }
        }
    }

    fn hops(&mut self, link: &LinkInfo, to: IpAddr, reply: &RouteReply) {
        if let Some(why) = &reply.refused {
            self.note(format!("route to {to}, the far end of {}", link.name), format!("absent: {why}"));
        }
        for hop in reply.hops.iter().filter(|_| !reply.local) {
            let Some(iface) = hop.oif.and_then(|i| self.below.name(i)).map(str::to_owned) else { continue };
            let bound = self.bound(to, &iface, hop.gateway);
            self.push([iface], PathRole::Lower, &link.name, &bound);
        }
    }

    /// Who packets to an address are for on the link by which they leave.
    fn bound(&self, to: IpAddr, iface: &str, gateway: Option<IpAddr>) -> Bound {
        let next = gateway.unwrap_or(to);
        let index = self.below.link(iface).map(|l| l.index);
        // Only what forwards by hardware address asks for it.
        let neighbours = if self.forwards() { self.below.neighbours() } else { &[] };
        let mine = neighbours.iter().filter(|n| Some(n.index) == index && n.address == Some(next));
        Bound { to: Some(to), macs: mine.filter_map(|n| n.mac.clone()).collect() }
    }

    fn forwards(&self) -> bool {
        self.below.links().iter().any(|l| l.kind.as_deref().is_some_and(|k| ["bridge", "vxlan"].contains(&k)))
    }

    /// Where filters on a link send its packets.
    fn redirects(&mut self, link: &LinkInfo) {
        match query::redirects(self.sys, &link.name) {
            Reading::Value(filters) => {
                for filter in filters {
                    if filter.opaque {
                        let why = format!("unsupported: a {} filter on {} decides on its own", filter.kind, link.name);
                        self.unread.push((link.name.clone(), why));
                    }
                    let names: Vec<String> =
                        filter.to.iter().filter_map(|i| self.below.name(*i)).map(str::to_owned).collect();
                    self.push(names, PathRole::Redirect, &link.name, &Bound::default());
                }
            }
            // A kernel without traffic control redirects nothing.
            Reading::Unsupported(_) => {}
            other => {
                let (kind, why) = other.why_not().unwrap_or(("absent", ""));
                self.unread.push((link.name.clone(), format!("{kind}: {why}")));
            }
        }
    }
}

/// The ports of a bridge behind which one of these hardware addresses is.
pub(super) fn behind(forwarding: &[Neighbour], bridge: u32, macs: &[String]) -> Vec<u32> {
    let of = |e: &&Neighbour| {
        e.master == Some(bridge) && e.index != bridge && e.mac.as_ref().is_some_and(|m| macs.contains(m))
    };
    forwarding.iter().filter(of).map(|e| e.index).collect()
}

/// The far ends that a vxlan sends to: those of the next hop, else those of packets to everyone, whose hardware address is
/// all zero (drivers/net/vxlan/vxlan_core.c, `all_zeros_mac`).
pub(super) fn far_ends(forwarding: &[Neighbour], vxlan: u32, macs: &[String]) -> Vec<IpAddr> {
    let of = |wanted: &dyn Fn(&str) -> bool| -> Vec<IpAddr> {
        let mine = forwarding.iter().filter(|e| e.index == vxlan && e.mac.as_deref().is_some_and(wanted));
        mine.filter_map(|e| e.address).filter(|a| !a.is_multicast()).collect()
    };
    let known = of(&|mac| macs.iter().any(|m| m == mac));
    if known.is_empty() { of(&|mac| mac == "00:00:00:00:00:00") } else { known }
}

/// The endpoints that packets to an address go to, each with the mark of the packets to it: of the peer with the longest
/// prefix that holds it (WireGuard's cryptokey routing); of every peer where no address is known.
pub(super) fn endpoints(peers: &[TunnelPeer], to: Option<IpAddr>) -> Vec<(IpAddr, u32)> {
    let end = |p: &TunnelPeer| Some((p.endpoint?, p.mark));
    let Some(to) = to else { return peers.iter().filter_map(end).collect() };
    let longest = |p: &TunnelPeer| p.allowed.iter().filter_map(|net| covers(net, to)).max();
    let best = peers.iter().filter_map(|p| Some((longest(p)?, p))).max_by_key(|(length, _)| *length);
    best.and_then(|(_, p)| end(p)).into_iter().collect()
}
