//! Filters: what comes in on one link is sent out through another.

use super::qdisc::tcmsg;
use crate::Error;
use crate::message::{CREATE, EXCL, Message};
use crate::route::link;
use crate::socket::{Protocol, Socket};

const RTM_NEWTFILTER: u16 = 44;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
/// `ETH_P_ALL`, big-endian in the lower half of `tcm_info`.
const ALL_PROTOCOLS: u32 = 0x0003_u16.to_be() as u32;

/// Redirects every packet that comes in on `iface` to the transmit side of `to` (an `ifb`), so that a queue discipline
/// there shapes what comes in. Needs the `ingress` queue discipline ([`super::qdisc::add_ingress`]).
///
/// A `u32` filter that matches all: kernels without `matchall` have it too.
pub fn redirect_ingress(iface: &str, to: &str) -> Result<(), Error> {
    const ACT_MIRRED: &str = "mirred";
    const U32_SEL: u16 = 5;
    const U32_ACT: u16 = 7;
    let what = format!("redirect what comes in on {iface} to {to}");
    let target = link::index(to)?;
    // prio 1, any protocol; parent ffff: is the ingress queue discipline
    let fixed = tcmsg(link::index(iface)?, 0, 0xffff_0000, 1 << 16 | ALL_PROTOCOLS);
    // struct tc_u32_sel: terminal, one key; the key: mask 0, value 0, at offset 0
    let mut selector = vec![0; 32];
    selector[0] = 1;
    selector[2] = 1;
    // struct tc_mirred: index, capab, action (TC_ACT_STOLEN), refcnt, bindcnt, eaction (TCA_EGRESS_REDIR), ifindex
    let mirred: Vec<u8> = [0, 0, 4, 0, 0, 1, target].iter().flat_map(|f: &u32| f.to_ne_bytes()).collect();
    let m = Message::new(RTM_NEWTFILTER, CREATE | EXCL, &fixed).text(TCA_KIND, "u32").nest(TCA_OPTIONS, |m| {
        m.attr(U32_SEL, &selector)
            .nest(U32_ACT, |m| m.nest(1, |m| m.text(1, ACT_MIRRED).nest(2, |m| m.attr(2, &mirred))))
    });
    Socket::open(Protocol::Route)?.ask(&what, m).map(drop)
}
