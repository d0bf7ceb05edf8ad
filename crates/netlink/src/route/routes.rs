//! Routes.

use std::net::IpAddr;

use super::{dump, family, ip, link, octets, order, read_all};
use crate::attr::{Attrs, tail};
use crate::message::{CREATE, Message, REPLACE};
use crate::{Error, Malformed};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
/// Length of `struct rtmsg`.
const RTMSG: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RT_TABLE_MAIN: u8 = 254;
/// `RTPROT_STATIC`: set by an administrator.
const STATIC: u8 = 4;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMessage {
    /// Destination; `None` for the default route.
    pub destination: Option<IpAddr>,
    /// Prefix length; 0 for the default route.
    pub prefix: u8,
    /// Outgoing interface index; a multipath route gives one entry per next hop.
    pub oif: Option<u32>,
    /// Gateway.
    pub gateway: Option<IpAddr>,
    /// Table.
    pub table: u32,
    /// `RTN_UNICAST` and so on; local and broadcast routes are in the local table.
    pub kind: u8,
    /// IPv6; the destination of a default route does not report.
    pub v6: bool,
    /// It has several next hops.
    pub multipath: bool,
    /// Metrics that are set, of [`METRICS`](super::metrics::METRICS).
    pub metrics: Vec<(&'static str, u32)>,
}

/// All routes of the namespace, IPv4 and IPv6, every table.
pub fn routes() -> Result<Vec<RouteMessage>, Error> {
    let what = "list the routes";
    let replies = dump(what, &Message::new(RTM_GETROUTE, 0, &[0; RTMSG]))?;
    Ok(read_all(what, &replies, RTM_NEWROUTE, parse)?.into_iter().flatten().collect())
}

/// Reads one `RTM_NEWROUTE` after its netlink header; empty for a family other than IPv4 and IPv6.
pub fn parse(payload: &[u8]) -> Result<Vec<RouteMessage>, Malformed> {
    let Some(&[family, prefix, _, _, table, _, _, kind]) = payload.get(..8) else {
        return Err(Malformed::new("a route message shorter than its header"));
    };
    if !matches!(family, 2 | 10) {
        return Ok(Vec::new());
    }
    let attrs = Attrs::parse(tail(payload, RTMSG))?;
    let table = attrs.u32(RTA_TABLE).unwrap_or_else(|| u32::from(table));
    let destination = attrs.get(RTA_DST).and_then(|a| ip(a.data));
    let gateway = attrs.get(RTA_GATEWAY).and_then(|a| ip(a.data));
    let one = RouteMessage {
        destination,
        prefix,
        oif: attrs.u32(RTA_OIF),
        gateway,
        table,
        kind,
        v6: family == 10,
        multipath: attrs.has(RTA_MULTIPATH),
        metrics: super::metrics::read(attrs.get(RTA_METRICS))?,
    };
    let Some(multipath) = attrs.get(RTA_MULTIPATH) else {
        return Ok(vec![one]);
    };
    // struct rtnexthop: u16 length, u8 flags, u8 hops, i32 ifindex, then attributes.
    let mut hops = Vec::new();
    let mut rest = multipath.data;
    while !rest.is_empty() {
        let (Some(len), Some(oif)) = (crate::attr::u16_at(rest, 0), crate::attr::u32_at(rest, 4)) else {
            return Err(Malformed::new("a next hop shorter than its header"));
        };
        let len = usize::from(len);
        let Some(inner) = rest.get(8..len) else {
            return Err(Malformed::new("a next hop that runs over its message"));
        };
        let gateway = Attrs::parse(inner)?.get(RTA_GATEWAY).and_then(|a| ip(a.data));
        hops.push(RouteMessage { oif: Some(oif), gateway, ..one.clone() });
        rest = tail(rest, crate::attr::align(len));
    }
    Ok(hops)
}

/// Adds a route of the main table; `to` is `None` for the default route. At least one of `via` and `iface` is needed.
pub fn add(to: Option<(IpAddr, u8)>, via: Option<IpAddr>, iface: Option<&str>) -> Result<(), Error> {
    let what = match to {
        Some((d, p)) => format!("add a route to {d}/{p}"),
        None => "add a default route".to_owned(),
    };
    let Some(family) = to.map(|t| t.0).or(via).map(family) else {
        return Err(Error::request(&what, "neither a destination nor a gateway says whether it is IPv4 or IPv6"));
    };
    let scope = if via.is_none() { SCOPE_LINK } else { 0 };
    let fixed = [family, to.map_or(0, |t| t.1), 0, 0, RT_TABLE_MAIN, STATIC, scope, UNICAST, 0, 0, 0, 0];
    let mut m = Message::new(RTM_NEWROUTE, CREATE | REPLACE, &fixed);
    if let Some((d, _)) = to {
        m = m.attr(RTA_DST, &octets(d));
    }
    if let Some(g) = via {
        m = m.attr(RTA_GATEWAY, &octets(g));
    }
    if let Some(i) = iface {
        m = m.u32(RTA_OIF, link::index(i)?);
    }
    order(&what, m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_not_route_or_some(mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(b) = bytes.first_mut() {
                *b = 2;
            }
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn a_next_hop_of_length_zero_ends_the_reading() {
        let mut bytes = vec![2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        bytes.extend(crate::message::attrs(|m| m.attr(RTA_MULTIPATH, &[0; 8])));
        assert!(parse(&bytes).is_err());
    }
}
