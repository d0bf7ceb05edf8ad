//! Filters: what comes in on one link is sent out through another.

use super::qdisc::{TcHandle, tcmsg};
use crate::Error;
use crate::attr::{Attrs, tail};
use crate::message::{CREATE, EXCL, Message};
use crate::route::link;
use crate::socket::{NetlinkSocket, Protocol};

const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
/// `ETH_P_ALL`, big-endian in the lower half of `tcm_info`.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;

/// The kinds of the filters that hang at a queue discipline, one for each; none where the kind takes none, or the
/// kernel has no filters (`tc_dump_tfilter`, net/sched/cls_api.c).
///
/// A filter of `u32` shows its hash tables as entries of their own, so the number is not that of `tc filter add` calls.
pub fn filters(ifindex: u32, handle: TcHandle) -> Result<Vec<String>, Error> {
    let what = "list the filters of a queue discipline";
    let m = Message::new(RTM_GETTFILTER, 0, &tcmsg(ifindex, 0, handle.0, 0));
    let replies = match NetlinkSocket::open(Protocol::Route)?.dump(what, &m) {
        Err(e) if e.errno() == Some(libc::EOPNOTSUPP) => return Ok(Vec::new()),
        other => other?,
    };
    let kind = |payload: &[u8]| Some(Attrs::parse(tail(payload, 20)).ok()?.text(TCA_KIND).unwrap_or_default());
    Ok(replies.iter().filter(|r| r.kind == RTM_NEWTFILTER).filter_map(|r| kind(&r.payload)).collect())
}

/// Redirects every packet that comes in on `iface` to the transmit side of `to` (an `ifb`), so that a queue discipline
/// there shapes what comes in. Needs the `ingress` queue discipline ([`super::qdisc::add_ingress`]).
///
/// A `u32` filter that matches all: kernels without `matchall` have it too.
pub fn redirect_ingress(iface: &str, to: &str) -> Result<(), Error> {
    // One key that matches all: mask 0, value 0, at offset 0.
    redirect(iface, to, &[(0, 0, 0)])
}

/// As [`redirect_ingress`], but only UDP over IPv4 without options from `source_port`; the rest comes in as before.
pub fn redirect_ingress_udp(iface: &str, to: &str, source_port: u16) -> Result<(), Error> {
    // Offsets from the IP header: protocol is byte 9, the source port bytes 20 and 21 (no options: IHL is 5).
    redirect(
        iface,
        to,
        &[
            (0x0f00_0000, 0x0500_0000, 0),
            (0x00ff_0000, 0x0011_0000, 8),
            (0xffff_0000, u32::from(source_port) << 16, 20),
        ],
    )
}

/// Keys are mask and value in host order, and the offset of their word.
fn redirect(iface: &str, to: &str, keys: &[(u32, u32, i32)]) -> Result<(), Error> {
    const ACT_MIRRED: &str = "mirred";
    const U32_SEL: u16 = 5;
    const U32_ACT: u16 = 7;
    let what = format!("redirect what comes in on {iface} to {to}");
    let target = link::index(to)?;
    // prio 1, any protocol; parent ffff: is the ingress queue discipline
    let fixed = tcmsg(link::index(iface)?, 0, 0xffff_0000, 1 << 16 | ALL_PROTOCOLS);
    // struct tc_u32_sel (include/uapi/linux/pkt_cls.h): flags, offshift, nkeys, pad, offmask, off, offoff, hoff, hmask;
    // then struct tc_u32_key each: mask, val (network order), off, offmask
    let mut selector = vec![0; 16];
    selector[0] = 1; // TC_U32_TERMINAL
    selector[2] = u8::try_from(keys.len()).unwrap_or(u8::MAX);
    for (mask, value, offset) in keys {
        selector.extend_from_slice(&mask.to_be_bytes());
        selector.extend_from_slice(&value.to_be_bytes());
        selector.extend_from_slice(&offset.to_ne_bytes());
        selector.extend_from_slice(&0_i32.to_ne_bytes());
    }
    // struct tc_mirred: index, capab, action (TC_ACT_STOLEN), refcnt, bindcnt, eaction (TCA_EGRESS_REDIR), ifindex
    let mirred: Vec<u8> = [0, 0, 4, 0, 0, 1, target].iter().flat_map(|f: &u32| f.to_ne_bytes()).collect();
    let m = Message::new(RTM_NEWTFILTER, CREATE | EXCL, &fixed).text(TCA_KIND, "u32").nest(TCA_OPTIONS, |m| {
        m.attr(U32_SEL, &selector)
            .nest(U32_ACT, |m| m.nest(1, |m| m.text(1, ACT_MIRRED).nest(2, |m| m.attr(2, &mirred))))
    });
    NetlinkSocket::open(Protocol::Route)?.ask(&what, m).map(drop)
}
