//! Metrics of one route: read with [`routes`](super::routes), set by sending the whole route again with one of them
//! changed.
//!
//! The kernel has no order for a metric alone. `NLM_F_REPLACE` puts a route in the place of the one with the same
//! destination, type of service and priority (net/ipv4/fib_trie.c, `fib_table_insert`; net/ipv6/ip6_fib.c,
//! `fib6_add_rt2node`), so everything else of the old one is sent back as the kernel gave it.

use std::net::IpAddr;

use super::{dump, ip, link, order};
use crate::attr::{Attr, Attrs, tail, u32_at};
use crate::message::{Message, REPLACE};
use crate::{Error, Malformed};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTMSG: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
const RTA_TABLE: u16 = 15;
const RT_TABLE_MAIN: u32 = 254;
/// Made by a router's advertisement: it has a lifetime that cannot be sent back.
const RTPROT_RA: u8 = 9;
/// The only flag of a route that is an order; the others tell what the link is doing (include/uapi/linux/rtnetlink.h).
const RTNH_F_ONLINK: u32 = 4;
const RTAX_LOCK: u16 = 1;

/// Name, attribute (`RTAX_*`, include/uapi/linux/rtnetlink.h), and whether the kernel honours it only when it is locked
/// (`tcp_rto_min` in include/net/tcp.h asks `dst_metric_locked`).
pub const METRICS: &[(&str, u16, bool)] = &[("rto_min", 13, true), ("quickack", 15, false)];

/// The metrics of [`METRICS`] that a `RTA_METRICS` attribute holds.
pub(super) fn read(metrics: Option<Attr<'_>>) -> Result<Vec<(&'static str, u32)>, Malformed> {
    let Some(attr) = metrics else { return Ok(Vec::new()) };
    let inside = attr.nested()?;
    Ok(METRICS
        .iter()
        .filter_map(|(name, kind, _)| Some((*name, inside.u32(*kind)?)))
        .filter(|(_, v)| *v != 0)
        .collect())
}

/// Sets a metric of the one route of the main table to `to` over `iface`; 0 takes it off. Refused where there are
/// several such routes, or several next hops, and where the route has a lifetime.
pub fn set(iface: &str, to: (IpAddr, u8), metric: &str, value: u32) -> Result<(), Error> {
    let what = format!("set {metric} of the route to {}/{} over {iface}", to.0, to.1);
    let Some((_, kind, locked)) = METRICS.iter().find(|(name, ..)| *name == metric) else {
        return Err(Error::request(&what, format!("no metric {metric}; known are rto_min and quickack")));
    };
    let oif = link::index(iface)?;
    let replies = dump(&what, &Message::new(RTM_GETROUTE, 0, &[0; RTMSG]))?;
    let mut found: Option<&[u8]> = None;
    for reply in replies.iter().filter(|r| r.kind == RTM_NEWROUTE) {
        if is_it(&reply.payload, to, oif).map_err(|e| Error::malformed(&what, e))? {
            if found.is_some() {
                return Err(Error::request(
                    &what,
                    "there are several such routes; which one is meant cannot be determined",
                ));
            }
            found = Some(&reply.payload);
        }
    }
    let Some(old) = found else { return Err(Error::request(&what, "there is no such route in the main table")) };
    let new = with(old, *kind, *locked, value).map_err(|why| match why {
        Cannot::Malformed(e) => Error::malformed(&what, e),
        Cannot::Because(why) => Error::request(&what, why),
    })?;
    order(&what, new)
}

/// Whether a route message is the one: main table, destination and interface.
fn is_it(payload: &[u8], to: (IpAddr, u8), oif: u32) -> Result<bool, Malformed> {
    let Some(&[family, prefix, _, _, table, ..]) = payload.get(..RTMSG) else {
        return Err(Malformed::new("a route message shorter than its header"));
    };
    if family != super::family(to.0) || prefix != to.1 {
        return Ok(false);
    }
    let attrs = Attrs::parse(tail(payload, RTMSG))?;
    let destination = attrs.get(RTA_DST).and_then(|a| ip(a.data));
    // The default route comes without a destination.
    let same = destination.map_or(to.1 == 0, |d| d == to.0);
    let table = attrs.u32(RTA_TABLE).unwrap_or_else(|| u32::from(table));
    // A multipath route is meant by each of its interfaces; `with` refuses it.
    let over = attrs.has(RTA_MULTIPATH) || attrs.u32(RTA_OIF) == Some(oif);
    Ok(same && table == RT_TABLE_MAIN && over)
}

#[derive(Debug)]
enum Cannot {
    Malformed(Malformed),
    Because(&'static str),
}

/// The same route with one metric changed.
fn with(old: &[u8], kind: u16, locked: bool, value: u32) -> Result<Message, Cannot> {
    let bad = Cannot::Malformed;
    let mut fixed = [0; RTMSG];
    let header = old.get(..RTMSG).ok_or_else(|| bad(Malformed::new("a route message shorter than its header")))?;
    fixed.copy_from_slice(header);
    if fixed[5] == RTPROT_RA {
        return Err(Cannot::Because("a router's advertisement made it, with a lifetime that would be lost"));
    }
    let flags = u32_at(&fixed, 8).unwrap_or(0) & RTNH_F_ONLINK;
    fixed[8..].copy_from_slice(&flags.to_ne_bytes());
    let attrs = Attrs::parse(tail(old, RTMSG)).map_err(bad)?;
    if attrs.has(RTA_MULTIPATH) {
        return Err(Cannot::Because("it has several next hops"));
    }
    let mut m = Message::new(RTM_NEWROUTE, REPLACE, &fixed);
    for attr in attrs.iter().filter(|a| !matches!(a.kind, RTA_METRICS | RTA_CACHEINFO)) {
        m = m.attr(attr.kind, attr.data);
    }
    let inside = attrs.nested(RTA_METRICS).map_err(bad)?;
    let bit = 1_u32 << kind;
    let lock = inside.u32(RTAX_LOCK).unwrap_or(0) & !bit | if locked && value > 0 { bit } else { 0 };
    let others: Vec<Attr<'_>> = inside.iter().filter(|a| a.kind != kind && a.kind != RTAX_LOCK).collect();
    if others.is_empty() && value == 0 {
        return Ok(m);
    }
    Ok(m.nest(RTA_METRICS, |mut inner| {
        if lock != 0 {
            inner = inner.u32(RTAX_LOCK, lock);
        }
        for attr in &others {
            inner = inner.attr(attr.kind, attr.data);
        }
        if value == 0 { inner } else { inner.u32(kind, value) }
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(protocol: u8, metrics: &[(u16, u32)]) -> Vec<u8> {
        let mut bytes = vec![2, 24, 0, 0, 254, protocol, 253, 1, 16, 0, 0, 0];
        bytes.extend(crate::message::attrs(|m| {
            m.attr(RTA_DST, &[192, 0, 2, 0]).u32(RTA_OIF, 3).attr(RTA_CACHEINFO, &[0; 32]).nest(RTA_METRICS, |mut m| {
                for (kind, value) in metrics {
                    m = m.u32(*kind, *value);
                }
                m
            })
        }));
        bytes
    }

    #[test]
    fn one_metric_changes_and_the_rest_stays() {
        let old = route(2, &[(2, 1400), (15, 1)]);
        let m = with(&old, 13, true, 5).unwrap();
        let attrs = Attrs::parse(m.attr_bytes(RTMSG)).unwrap();
        let metrics = attrs.nested(RTA_METRICS).unwrap();
        assert_eq!((metrics.u32(2), metrics.u32(13), metrics.u32(15)), (Some(1400), Some(5), Some(1)));
        assert_eq!(metrics.u32(RTAX_LOCK), Some(1 << 13), "the kernel honours rto_min only when it is locked");
        assert!(attrs.has(RTA_DST) && !attrs.has(RTA_CACHEINFO));
        let off = with(&route(2, &[(RTAX_LOCK, 1 << 13), (13, 5)]), 13, true, 0).unwrap();
        assert!(!Attrs::parse(off.attr_bytes(RTMSG)).unwrap().has(RTA_METRICS), "nothing is left of it");
    }

    #[test]
    fn what_could_not_be_put_back_is_refused() {
        assert!(matches!(with(&route(RTPROT_RA, &[]), 13, true, 5), Err(Cannot::Because(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_route_or_some(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = is_it(&bytes, ("192.0.2.0".parse().unwrap(), 24), 3);
            let _ = with(&bytes, 13, true, 5);
        }
    }
}
