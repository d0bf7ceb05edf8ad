//! Queue disciplines: dump, put, delete.

use std::fmt;
use std::str::FromStr;

use crate::attr::{Attr, Attrs, tail, u32_at};
use crate::message::{CREATE, EXCL, Message, REPLACE};
use crate::route::link;
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
/// Length of `struct tcmsg`.
pub(super) const TCMSG: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_RATE_EST: u16 = 2;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_STATS_RATE_EST64: u16 = 5;
const TCA_STATS_PKT64: u16 = 8;

/// `8001:`, `1:10`, `0:`: major and minor number in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcHandle(pub u32);

impl TcHandle {
    /// `TC_H_ROOT`.
    pub const ROOT: Self = Self(0xffff_ffff);
    /// `TC_H_INGRESS` and `TC_H_CLSACT`.
    pub const INGRESS: Self = Self(0xffff_fff1);

    /// The number before the colon.
    pub fn major(self) -> u32 {
        self.0 >> 16
    }
}

impl fmt::Display for TcHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = (self.0 >> 16, self.0 & 0xffff);
        if minor == 0 { write!(f, "{major:x}:") } else { write!(f, "{major:x}:{minor:x}") }
    }
}

impl FromStr for TcHandle {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("{s:?} is not a handle; write for example 1: or 8001:2");
        let (major, minor) = s.split_once(':').ok_or_else(bad)?;
        let part = |t: &str| if t.is_empty() { Ok(0) } else { u16::from_str_radix(t, 16).map_err(|_| bad()) };
        Ok(Self(u32::from(part(major)?) << 16 | u32::from(part(minor)?)))
    }
}

/// Where a queue discipline hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parent {
    /// The device's root, for what goes out.
    Root,
    /// The hook for what comes in (`ingress`), or for both (`clsact`): they exclude each other.
    Ingress,
    /// A class of another queue discipline: `1:1`.
    Class(TcHandle),
}

impl Parent {
    fn number(self) -> u32 {
        match self {
            Self::Root => TcHandle::ROOT.0,
            Self::Ingress => TcHandle::INGRESS.0,
            Self::Class(h) => h.0,
        }
    }

    fn from_number(n: u32) -> Self {
        match TcHandle(n) {
            TcHandle::ROOT => Self::Root,
            TcHandle::INGRESS => Self::Ingress,
            h => Self::Class(h),
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Ingress => f.write_str("ingress"),
            Self::Class(h) => write!(f, "{:x}:{:x}", h.0 >> 16, h.0 & 0xffff),
        }
    }
}

impl FromStr for Parent {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "root" => Ok(Self::Root),
            "ingress" | "clsact" => Ok(Self::Ingress),
            other => other.parse().map(Self::Class),
        }
    }
}

/// One queue discipline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QdiscMessage {
    /// Interface index.
    pub ifindex: u32,
    /// `fq_codel`, …
    pub kind: String,
    /// Its own handle; `0:` for one the kernel made on its own.
    pub handle: TcHandle,
    /// Where it hangs.
    pub parent: Parent,
    /// `TCA_OPTIONS`, byte for byte; `None` where the kernel gave none.
    pub options: Option<Vec<u8>>,
    /// Bytes sent.
    pub bytes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets queued now.
    pub qlen: u32,
    /// Bytes queued now.
    pub backlog: u32,
    /// Packets dropped.
    pub drops: u32,
    /// Packets taken back by the driver.
    pub requeues: u32,
    /// Times its limit or rate was met.
    pub overlimits: u32,
    /// What else it carries, as text, that its kind and options do not bring back: a size table, a shared block, a
    /// rate estimator, an attribute that this build has no name for.
    pub carries: Vec<String>,
}

/// All queue disciplines of the namespace that the kernel shows by default (not the inner ones it made on its own for
/// classful ones).
pub fn qdiscs() -> Result<Vec<QdiscMessage>, Error> {
    let what = "list the queue disciplines";
    let replies = NetlinkSocket::open(Protocol::Route)?.dump(what, &Message::new(RTM_GETQDISC, 0, &[0; TCMSG]))?;
    replies
        .iter()
        .filter(|r| r.kind == RTM_NEWQDISC)
        .map(|r| parse(&r.payload).map_err(|e| Error::malformed(what, e)))
        .collect()
}

/// What hangs at one place; `None` where nothing does.
pub fn at(iface: &str, parent: Parent) -> Result<Option<QdiscMessage>, Error> {
    let ifindex = link::index(iface)?;
    Ok(qdiscs()?.into_iter().find(|q| q.ifindex == ifindex && q.parent == parent))
}

/// Reads one `RTM_NEWQDISC` after its netlink header.
pub fn parse(payload: &[u8]) -> Result<QdiscMessage, Malformed> {
    let (Some(ifindex), Some(handle), Some(parent)) = (u32_at(payload, 4), u32_at(payload, 8), u32_at(payload, 12))
    else {
        return Err(Malformed::new("a queue discipline shorter than its header"));
    };
    let attrs = Attrs::parse(tail(payload, TCMSG))?;
    let stats = attrs.nested(TCA_STATS2)?;
    let queue = stats.get(TCA_STATS_QUEUE).map(|a| a.data).unwrap_or_default();
    let basic = stats.get(TCA_STATS_BASIC).map(|a| a.data).unwrap_or_default();
    let q = |at| u32_at(queue, at).unwrap_or(0);
    Ok(QdiscMessage {
        ifindex,
        kind: attrs.text(TCA_KIND).ok_or_else(|| Malformed::new("a queue discipline without its kind"))?,
        handle: TcHandle(handle),
        parent: Parent::from_number(parent),
        options: attrs.get(TCA_OPTIONS).map(|a| a.data.to_vec()),
        bytes: Attr { kind: 0, data: basic }.u64().unwrap_or(0),
        packets: stats
            .get(TCA_STATS_PKT64)
            .and_then(Attr::u64)
            .unwrap_or_else(|| u64::from(u32_at(basic, 8).unwrap_or(0))),
        // struct gnet_stats_queue: qlen, backlog, drops, requeues, overlimits
        qlen: q(0),
        backlog: q(4),
        drops: q(8),
        requeues: q(12),
        overlimits: q(16),
        carries: carried(&attrs, &stats),
    })
}

/// What a dump holds beside kind, options and counters (`tc_fill_qdisc`, net/sched/sch_api.c). A dump of a size table
/// leaves its data out (`qdisc_dump_stab`), and one of an estimator its interval, so neither can be sent back.
fn carried(attrs: &Attrs<'_>, stats: &Attrs<'_>) -> Vec<String> {
    let name = |kind: u16| match kind {
        // TCA_KIND, TCA_OPTIONS, TCA_STATS, TCA_XSTATS, TCA_STATS2, TCA_PAD, and TCA_HW_OFFLOAD, which the driver
        // decides.
        TCA_KIND | TCA_OPTIONS | 3 | 4 | TCA_STATS2 | 9 | 12 => None,
        8 => Some("a size table (stab)".to_owned()),
        13 => Some("a shared ingress block".to_owned()),
        14 => Some("a shared egress block".to_owned()),
        other => Some(format!("attribute {other}, which this lowlat does not know")),
    };
    let mut out: Vec<String> = attrs.iter().filter_map(|a| name(a.kind)).collect();
    if stats.has(TCA_STATS_RATE_EST) || stats.has(TCA_STATS_RATE_EST64) {
        out.push("a rate estimator".to_owned());
    }
    out
}

pub(super) fn tcmsg(ifindex: u32, handle: u32, parent: u32, info: u32) -> [u8; TCMSG] {
    let mut m = [0; TCMSG];
    m[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    m[8..12].copy_from_slice(&handle.to_ne_bytes());
    m[12..16].copy_from_slice(&parent.to_ne_bytes());
    m[16..20].copy_from_slice(&info.to_ne_bytes());
    m
}

fn order(
    what: &str,
    ifindex: u32,
    parent: Parent,
    handle: TcHandle,
    flags: u16,
    kind: &str,
    options: Option<&[u8]>,
) -> Result<(), Error> {
    let mut m = Message::new(RTM_NEWQDISC, flags, &tcmsg(ifindex, handle.0, parent.number(), 0)).text(TCA_KIND, kind);
    if let Some(options) = options {
        m = m.attr(TCA_OPTIONS, options);
    }
    NetlinkSocket::open(Protocol::Route)?.ask(what, m).map(drop)
}

/// Puts a *fresh* queue discipline of a kind in a place, whatever hangs there. `handle` `0:` lets a free one be chosen;
/// `options` `None` means the kind's defaults.
///
/// The kernel grafts a new one over an old one with another handle in one step. Where the handle is the same, or none is
/// named and the kind is the same, it would only change the old one (net/sched/sch_api.c, `tc_modify_qdisc`; asking for a
/// new one with `NLM_F_EXCL` worked until Linux 6.6 and its stable series refused it). A change keeps what the options do
/// not name, and some kinds refuse it: fq_codel its flow count, pfifo_fast everything. So with the same kind a handle is
/// chosen here, and with the same handle the old one is deleted first; for that moment the kernel's default queues.
pub fn put(iface: &str, parent: Parent, handle: TcHandle, kind: &str, options: Option<&[u8]>) -> Result<(), Error> {
    let what = format!("put {kind} at {iface} {parent}");
    let ifindex = link::index(iface)?;
    let all: Vec<QdiscMessage> = qdiscs()?.into_iter().filter(|q| q.ifindex == ifindex).collect();
    let there = all.iter().find(|q| q.parent == parent);
    let same_kind = there.is_some_and(|q| q.kind == kind && q.handle.0 != 0);
    let handle = if handle.0 == 0 && same_kind { free_handle(&all) } else { handle };
    if parent == Parent::Ingress || (handle.0 != 0 && there.is_some_and(|q| q.handle == handle)) {
        // ENOENT: there is nothing to make room for.
        match delete(iface, parent) {
            Err(e) if e.errno() != Some(libc::ENOENT) => return Err(e),
            _ => {}
        }
    }
    order(&what, ifindex, parent, handle, CREATE | REPLACE, kind, options)
}

/// A handle no queue discipline of the device has. The kernel numbers its own, also those it does not show, from 8000:
/// upwards (`qdisc_alloc_handle`), and people begin at 1:, so the search begins below the kernel's.
fn free_handle(all: &[QdiscMessage]) -> TcHandle {
    let major = (1..0x8000).rev().find(|m| all.iter().all(|q| q.handle.major() != *m)).unwrap_or(0);
    TcHandle(major << 16)
}

/// Changes what hangs in a place without making it anew; what the options do not name stays.
pub fn change(iface: &str, parent: Parent, handle: TcHandle, kind: &str, options: &[u8]) -> Result<(), Error> {
    order(&format!("change {kind} at {iface} {parent}"), link::index(iface)?, parent, handle, 0, kind, Some(options))
}

/// Deletes what hangs in a place. At the root the kernel's default takes its place; `ENOENT` if that one is there
/// already.
///
/// Under a class nothing takes its place: a class of `mq` without a queue discipline *drops every packet*
/// (`noop_qdisc`, net/sched/sch_mq.c `mq_graft` with `new == NULL`). Put another one there instead.
pub fn delete(iface: &str, parent: Parent) -> Result<(), Error> {
    let m = Message::new(RTM_DELQDISC, 0, &tcmsg(link::index(iface)?, 0, parent.number(), 0));
    NetlinkSocket::open(Protocol::Route)?.ask(&format!("delete the queue discipline at {iface} {parent}"), m).map(drop)
}

/// Adds the `ingress` queue discipline, on which filters for incoming packets hang.
pub fn add_ingress(iface: &str) -> Result<(), Error> {
    let handle = TcHandle(0xffff_0000);
    order(
        &format!("add ingress to {iface}"),
        link::index(iface)?,
        Parent::Ingress,
        handle,
        CREATE | EXCL,
        "ingress",
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn handles_and_parents_read_as_they_are_written(n in any::<u32>()) {
            prop_assert_eq!(TcHandle(n).to_string().parse(), Ok(TcHandle(n)));
            let p = Parent::from_number(n);
            prop_assert_eq!(p.to_string().parse(), Ok(p));
        }
    }

    #[test]
    fn what_options_do_not_bring_back_is_named() {
        let dump = |more: fn(Message) -> Message| {
            let m = Message::new(RTM_NEWQDISC, 0, &tcmsg(2, 0x5_0000, TcHandle::ROOT.0, 2)).text(TCA_KIND, "tbf");
            let bytes = more(m.attr(TCA_OPTIONS, &[1]).attr(12, &[0])).finish(1, 0).unwrap();
            parse(tail(&bytes, 16)).unwrap().carries
        };
        assert!(dump(|m| m.nest(TCA_STATS2, |m| m.attr(TCA_STATS_BASIC, &[0; 16]))).is_empty());
        assert_eq!(dump(|m| m.nest(8, |m| m.attr(1, &[0; 24]))), ["a size table (stab)"]);
        assert_eq!(dump(|m| m.u32(14, 7)), ["a shared egress block"]);
        assert_eq!(dump(|m| m.nest(TCA_STATS2, |m| m.attr(TCA_STATS_RATE_EST, &[0; 8]))), ["a rate estimator"]);
        assert!(dump(|m| m.u32(99, 7))[0].contains("attribute 99"));
    }

    #[test]
    fn handles_are_hexadecimal() {
        assert_eq!("8001:".parse(), Ok(TcHandle(0x8001_0000)));
        assert_eq!("1:1f".parse::<Parent>(), Ok(Parent::Class(TcHandle(0x1_001f))));
        assert_eq!("ingress".parse(), Ok(Parent::Ingress));
        assert!("1".parse::<TcHandle>().is_err());
        assert!("12345:".parse::<TcHandle>().is_err());
    }
}
