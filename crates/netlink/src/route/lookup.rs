//! The kernel's route to one destination, policy rules included.

use std::net::IpAddr;

use super::{family, ip, link, octets, routes};
use crate::attr::{Attrs, tail};
use crate::message::Message;
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// Length of `struct rtmsg`.
const RTMSG: usize = 12;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_MARK: u16 = 16;
const RTA_VIA: u16 = 18;
/// Answer with the entry of the forwarding table and all its next hops, not with the one that this lookup took
/// (include/uapi/linux/rtnetlink.h, `RTM_F_FIB_MATCH`; `inet_rtm_getroute` and `inet6_rtm_getroute` heed it).
const RTM_F_FIB_MATCH: u32 = 0x2000;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;

/// One next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHopMessage {
    /// Outgoing interface index.
    pub oif: Option<u32>,
    /// Gateway; `None` where the destination is on the link.
    pub gateway: Option<IpAddr>,
}

/// Where the kernel sends packets to a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The destination is an address of this host (`RTN_LOCAL`).
    pub local: bool,
    /// The destination is one host, and not this one (`RTN_UNICAST`).
    pub unicast: bool,
    /// Every next hop of the entry; empty where there is no route.
    pub hops: Vec<NextHopMessage>,
    /// Why there is no route, in the kernel's words: no route at all, or one that forbids.
    pub refused: Option<String>,
}

/// Asks for the route to `to`, through interface `oif`, from address `from` and of packets with `mark` where they are
/// given. The user of a packet is not part of the question, so rules that ask for it (`ip rule … uidrange`) do not
/// match.
pub fn lookup(to: IpAddr, oif: Option<&str>, from: Option<IpAddr>, mark: Option<u32>) -> Result<Lookup, Error> {
    ask(to, oif.map(link::index).transpose()?, from, mark, RTM_F_FIB_MATCH)
}

/// The one next hop that a packet to `to` takes, through the interface with index `oif` where one is given.
pub fn taken(to: IpAddr, oif: Option<u32>) -> Result<Lookup, Error> {
    ask(to, oif, None, None, 0)
}

fn ask(to: IpAddr, oif: Option<u32>, from: Option<IpAddr>, mark: Option<u32>, flags: u32) -> Result<Lookup, Error> {
    let what = format!("look up the route to {to}");
    let bits = |ip: IpAddr| if ip.is_ipv4() { 32 } else { 128 };
    let mut fixed = [0; RTMSG];
    fixed[0] = family(to);
    fixed[1] = bits(to);
    fixed[2] = from.map_or(0, bits);
    fixed[8..].copy_from_slice(&flags.to_ne_bytes());
    let mut m = Message::new(RTM_GETROUTE, 0, &fixed).attr(RTA_DST, &octets(to));
    if let Some(from) = from {
        m = m.attr(RTA_SRC, &octets(from));
    }
    if let Some(oif) = oif {
        m = m.u32(RTA_OIF, oif);
    }
    if let Some(mark) = mark {
        m = m.u32(RTA_MARK, mark);
    }
    match NetlinkSocket::open(Protocol::Route)?.ask(&what, m) {
        Ok(replies) => match replies.iter().find(|r| r.kind == RTM_NEWROUTE) {
            Some(reply) => parse(&reply.payload).map_err(|e| Error::malformed(&what, e)),
            None => Err(Error::malformed(&what, Malformed::new("no route in the reply"))),
        },
        // No route, or one of type unreachable, prohibit or blackhole (net/ipv4/fib_semantics.c, `fib_props`;
        // net/ipv6/route.c, `ip6_rt_type_to_error`).
        Err(e) if matches!(e.errno(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL)) => {
            let why = e.errno().map_or_else(|| e.to_string(), crate::errno_text);
            Ok(Lookup { refused: Some(why), ..Lookup::default() })
        }
        Err(e) => Err(e),
    }
}

/// Reads one `RTM_NEWROUTE` after its netlink header.
pub fn parse(payload: &[u8]) -> Result<Lookup, Malformed> {
    let kind = payload.get(7).copied().unwrap_or(0);
    // An IPv4 route by an IPv6 neighbour: u16 family, then the address (`struct rtvia`).
    let via = Attrs::parse(tail(payload, RTMSG))?.get(RTA_VIA).and_then(|a| a.data.get(2..)).and_then(ip);
    let hops = routes::parse(payload)?
        .into_iter()
        .map(|r| NextHopMessage { oif: r.oif, gateway: r.gateway.or(via) })
        .collect::<Vec<_>>();
    // A route of type unreachable comes as an entry with no interface (`RTN_UNREACHABLE` 7, `RTN_BLACKHOLE` 6,
    // `RTN_PROHIBIT` 8).
    let refused = matches!(kind, 6..=8).then(|| "the route forbids it (unreachable, blackhole or prohibit)".to_owned());
    Ok(Lookup {
        local: kind == RTN_LOCAL,
        unicast: kind == RTN_UNICAST,
        hops: if refused.is_some() { Vec::new() } else { hops },
        refused,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, write: impl FnOnce(Message) -> Message) -> Vec<u8> {
        let mut bytes = vec![2, 24, 0, 0, 254, 4, 0, kind, 0, 0, 0, 0];
        bytes.extend(crate::message::attrs(write));
        bytes
    }

    #[test]
    fn one_hop_several_hops_and_none() {
        let one = parse(&message(1, |m| m.u32(RTA_OIF, 3).attr(5, &[192, 0, 2, 9]))).unwrap();
        assert_eq!(one.hops, [NextHopMessage { oif: Some(3), gateway: Some("192.0.2.9".parse().unwrap()) }]);
        // Two `struct rtnexthop`, each u16 length, u8 flags, u8 hops, i32 ifindex.
        let multipath: Vec<u8> =
            [3_u32, 4].iter().flat_map(|oif| [8_u32.to_ne_bytes(), oif.to_ne_bytes()].concat()).collect();
        let two = parse(&message(1, |m| m.attr(9, &multipath))).unwrap();
        assert_eq!(two.hops.iter().map(|h| h.oif).collect::<Vec<_>>(), [Some(3), Some(4)]);
        let via: Vec<u8> = [&[10, 0][..], &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..]].concat();
        let v6 = parse(&message(1, |m| m.u32(RTA_OIF, 3).attr(RTA_VIA, &via))).unwrap();
        assert_eq!(v6.hops[0].gateway, Some("fe80::7".parse().unwrap()));
        let here = parse(&message(2, |m| m.u32(RTA_OIF, 1))).unwrap();
        assert!(here.local && !here.unicast && one.unicast);
        let none = parse(&message(7, |m| m)).unwrap();
        assert!(none.hops.is_empty() && none.refused.is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_route_or_one(mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(b) = bytes.first_mut() {
                *b = 2;
            }
            let _ = parse(&bytes);
        }
    }
}
