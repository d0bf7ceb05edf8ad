//! Which way the kernel sends packets to a target, and whether that is the way that was meant.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use lowlat_model::{NotSeen, PathLink, PathRole, Reading};
use lowlat_sys::Sys;
use lowlat_sys::query::{self, NetQuery, RouteReply};

use super::below::Below;
use super::find;

/// The table of this host's own addresses (`RT_TABLE_LOCAL`, include/uapi/linux/rtnetlink.h).
const LOCAL: u32 = 255;

/// Where packets are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Towards {
    /// The address.
    pub ip: IpAddr,
    /// The link of a link-local address, by index.
    pub scope: Option<u32>,
}

impl From<IpAddr> for Towards {
    fn from(ip: IpAddr) -> Self {
        Self { ip, scope: None }
    }
}

impl From<SocketAddr> for Towards {
    fn from(address: SocketAddr) -> Self {
        let scope = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => Some(v6.scope_id()),
            _ => None,
        };
        Self { ip: address.ip(), scope }
    }
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteHop {
    /// Outgoing interface.
    pub iface: String,
    /// Gateway; `None` where the target is on the link.
    pub gateway: Option<IpAddr>,
}

/// The kernel's route to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteTo {
    /// The target is an address of this host: packets go by `lo`.
    Local,
    /// By these; several of a multipath route.
    Out(Vec<RouteHop>),
    /// There is none, in the kernel's words.
    Refused(String),
    /// It cannot be determined: kind of answer and reason.
    Unknown(String),
}

/// Why a path is not the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathProblem {
    /// The target is an address of this host.
    Local {
        /// Target.
        target: IpAddr,
        /// Interface that was named.
        iface: String,
    },
    /// The route leaves by other interfaces.
    OtherWay {
        /// Target.
        target: IpAddr,
        /// Interface that was named.
        iface: String,
        /// By these.
        by: Vec<String>,
    },
}

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { target, iface } => write!(
                f,
                "reach {target} over {iface}: it is an address of this host, so its packets never leave; name a far end on \
                 another host, or use --iface lo"
            ),
            Self::OtherWay { target, iface, by } => write!(
                f,
                "reach {target} over {iface}: the route to it leaves by {}; use --iface {}, or a target behind {iface}",
                by.join(" and "),
                by.first().map_or("IF", String::as_str)
            ),
        }
    }
}

impl std::error::Error for PathProblem {}

/// The kernel's route to a target.
pub fn route_of(sys: &dyn Sys, target: Towards) -> RouteTo {
    ask(sys, &Below::read(sys), target, None).0
}

/// Whether packets to the target pass an interface: the route's own, or what is beneath it. Where there is no route, or
/// it cannot be read, nothing is refused: the send shows.
///
/// # Errors
///
/// The target is an address of this host, or its route leads elsewhere.
pub fn leads_over(sys: &dyn Sys, iface: &str, target: Towards) -> Result<(), PathProblem> {
    find(sys, Some(iface), Some(target)).map(drop)
}

/// The route, and a note where it had to be taken from the tables. Of a link-local address the link is asked for, its
/// own or `iface`.
pub(super) fn ask(
    sys: &dyn Sys,
    below: &Below<'_>,
    target: Towards,
    iface: Option<&str>,
) -> (RouteTo, Option<NotSeen>) {
    let link_local = matches!(target.ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let oif = match target.scope.and_then(|s| below.name(s)) {
        Some(name) => Some(name.to_owned()),
        None => iface.filter(|_| link_local).map(str::to_owned),
    };
    match query::typed::<RouteReply>(sys, &NetQuery::RouteTo { to: target.ip, oif, from: None, mark: None }) {
        Reading::Value(reply) => (interpret(reply, below), None),
        other => {
            let (kind, why) = other.why_not().unwrap_or(("absent", ""));
            let note = NotSeen {
                fact: format!("route to {}", target.ip),
                why: format!("{kind}: {why}; taken from the routing tables, without policy rules"),
            };
            let route = by_tables(sys, below, target.ip);
            let known = matches!(route, RouteTo::Out(_));
            (route, known.then_some(note))
        }
    }
}

fn interpret(reply: RouteReply, below: &Below<'_>) -> RouteTo {
    if reply.local {
        return RouteTo::Local;
    }
    if let Some(why) = reply.refused {
        return RouteTo::Refused(why);
    }
    let hop = |h: query::NextHop| Some(RouteHop { iface: below.name(h.oif?)?.to_owned(), gateway: h.gateway });
    let hops: Vec<RouteHop> = reply.hops.into_iter().filter_map(hop).collect();
    if hops.is_empty() {
        return RouteTo::Unknown("garbled: the kernel's route names no interface of this namespace".to_owned());
    }
    RouteTo::Out(hops)
}

/// The way by the routing tables: of each table the longest prefix that holds the target. Which table counts is said by
/// rules that may ask for more than an address (ip-rule(8)), so the ways of all are taken.
fn by_tables(sys: &dyn Sys, below: &Below<'_>, target: IpAddr) -> RouteTo {
    let addresses = query::addresses(sys).into_value().unwrap_or_default();
    let own = |text: &str| text.split('/').next().and_then(|a| a.parse().ok()) == Some(target);
    if target.is_loopback() || addresses.iter().any(|a| own(&a.address)) {
        return RouteTo::Local;
    }
    let routes = match query::routes(sys) {
        Reading::Value(routes) => routes,
        other => {
            let (kind, why) = other.why_not().unwrap_or(("absent", ""));
            return RouteTo::Unknown(format!("{kind}: {why}"));
        }
    };
    let tables: BTreeSet<u32> = routes.iter().map(|r| r.table).filter(|t| *t != LOCAL).collect();
    let mut hops: Vec<RouteHop> = Vec::new();
    for table in tables {
        let mine = routes.iter().filter(|r| r.table == table);
        // The prefix distinguishes a default route of IPv4 from one of IPv6.
        let fits: Vec<(u8, RouteHop)> = mine
            .filter_map(|r| {
                let length = covers(if r.prefix.is_empty() { &r.destination } else { &r.prefix }, target)?;
                let gateway = r.gateway.as_deref().and_then(|g| g.parse().ok());
                Some((length, RouteHop { iface: below.name(r.oif?)?.to_owned(), gateway }))
            })
            .collect();
        let longest = fits.iter().map(|(length, _)| *length).max();
        for (_, hop) in fits.into_iter().filter(|(length, _)| Some(*length) == longest) {
            if !hops.contains(&hop) {
                hops.push(hop);
            }
        }
    }
    if hops.is_empty() {
        return RouteTo::Unknown("absent: no routing table leads there".to_owned());
    }
    RouteTo::Out(hops)
}

/// The length of a prefix (`192.0.2.0/24`, `default`), if it holds the address.
pub(super) fn covers(prefix: &str, target: IpAddr) -> Option<u8> {
    if prefix == "default" {
        return Some(0);
    }
    let (network, length) = prefix.split_once('/')?;
    let (network, length): (IpAddr, u8) = (network.parse().ok()?, length.parse().ok()?);
    let bits = |a: IpAddr| match a {
        IpAddr::V4(a) => (32, u128::from(u32::from(a))),
        IpAddr::V6(a) => (128, u128::from(a)),
    };
    let ((width, a), (other, b)) = (bits(network), bits(target));
    let rest = u32::from(u8::try_from(width).ok()?.checked_sub(length)?);
    // A shift by the whole width is not a shift in Rust, and all addresses are alike then.
    let same = width == other && (rest >= 128 || a >> rest == b >> rest);
    same.then_some(length)
}

/// What became of a path since `before`, in one line: an interface that went or was set down, a route that goes another
/// way. `None` where it still stands. The ports of a bridge are not compared: which one is known changes as its table
/// learns and forgets.
pub fn path_changed(sys: &dyn Sys, before: &[PathLink], target: Option<Towards>) -> Option<String> {
    let below = Below::read(sys);
    for link in before {
        match below.link(&link.name) {
            None => return Some(format!("interface {} is gone", link.name)),
            Some(l) if !l.up => return Some(format!("interface {} was set down", link.name)),
            Some(_) => {}
        }
    }
    let top: Vec<&str> = before.iter().filter(|l| l.role == PathRole::Route).map(|l| l.name.as_str()).collect();
    if let Some(target) = target {
        let ip = target.ip;
        match ask(sys, &below, target, top.first().copied()).0 {
            RouteTo::Out(hops) => {
                let now: BTreeSet<&str> = hops.iter().map(|h| h.iface.as_str()).collect();
                if !top.is_empty() && now != top.iter().copied().collect() {
                    let now: Vec<&str> = now.into_iter().collect();
                    let (now, was) = (now.join(" and "), top.join(" and "));
                    return Some(format!("the route to {ip} leaves by {now} now, and left by {was} before"));
                }
            }
            RouteTo::Refused(why) => return Some(format!("there is no route to {ip} any more: {why}")),
            RouteTo::Local if top != ["lo"] => return Some(format!("{ip} is an address of this host now")),
            RouteTo::Local | RouteTo::Unknown(_) => {}
        }
    }
    let moved = before.iter().find(|link| {
        let Some(above) = link.above.as_deref().and_then(|a| below.link(a)).filter(|_| link.role == PathRole::Lower)
        else {
            return false;
        };
        let fixed = above.kind.as_deref().is_some_and(|k| ["bond", "team", "vlan", "macvlan", "ipvlan"].contains(&k));
        fixed && below.lower(above).value().is_some_and(|lower| !lower.contains(&link.name))
    })?;
    Some(format!("interface {} is no longer beneath {}", moved.name, moved.above.as_deref().unwrap_or_default()))
}
