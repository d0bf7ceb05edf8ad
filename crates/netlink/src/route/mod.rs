//! Links, addresses, routes and neighbours (`NETLINK_ROUTE`).
//!
//! | read | order |
//! |---|---|
//! | [`link::links`] | [`link::veth`], [`link::ifb`], [`link::up`], [`link::down`], [`link::rename`], [`link::set_mtu`], [`link::to_netns`], [`link::delete`] |
//! | [`address::addresses`] | [`address::add`] |
//! | [`routes::routes`] | [`routes::add`] |
//! | [`routes::routes`] | [`metrics::set`] |
//! | [`link::named`], [`link::numbered`] | |
//! | [`neighbours::get`] | [`neighbour::set`], [`neighbour::resolve`] |
//! | [`lookup::lookup`], [`lookup::taken`] | |
//! | [`stack::stack`], [`vlan::of`] | |
//! | [`neighbours::neighbours`], [`neighbours::forwarding`] | |
//! | [`departure::Departure`] | |

pub mod address;
pub mod departure;
pub mod link;
pub mod lookup;
pub mod metrics;
pub mod neighbour;
pub mod neighbours;
pub mod routes;
pub mod stack;
pub mod vlan;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::Message;
use crate::socket::{NetlinkSocket, Protocol, Reply};
use crate::{Error, Malformed};

fn order(what: &str, message: Message) -> Result<(), Error> {
    NetlinkSocket::open(Protocol::Route)?.ask(what, message).map(drop)
}

fn dump(what: &str, message: &Message) -> Result<Vec<Reply>, Error> {
    NetlinkSocket::open(Protocol::Route)?.dump(what, message)
}

/// Reads every reply of a type with `parse`.
fn read_all<T>(
    what: &str,
    replies: &[Reply],
    kind: u16,
    parse: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Vec<T>, Error> {
    replies
        .iter()
        .filter(|r| r.kind == kind)
        .map(|r| parse(&r.payload).map_err(|e| Error::malformed(what, e)))
        .collect()
}

/// An address of four or sixteen bytes.
pub(crate) fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(v4)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| IpAddr::V6(Ipv6Addr::from(v6)))
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 2,  // AF_INET
        IpAddr::V6(_) => 10, // AF_INET6
    }
}
