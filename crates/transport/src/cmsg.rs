//! Control messages, read as bytes: timestamps and destination addresses that the kernel puts next to a message.
//!
//! The layout is that of cmsg(3): `usize` length with its header, `int` level, `int` type, data, padded to a word. It
//! is read without pointers, so whatever the bytes are, the worst answer is "nothing".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::c_int;

use crate::os::Source;
use crate::{StampAt, TxStamp};

const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;

/// `SCM_TIMESTAMPING` is `SO_TIMESTAMPING` (include/uapi/asm-generic/socket.h).
const SCM_TIMESTAMPING: c_int = libc::SO_TIMESTAMPING;
/// include/uapi/linux/errqueue.h.
const SCM_TSTAMP_SND: u32 = 0;
const SCM_TSTAMP_SCHED: u32 = 1;
const SCM_TSTAMP_ACK: u32 = 2;
const SO_EE_ORIGIN_LOCAL: u8 = 1;
const SO_EE_ORIGIN_ICMP: u8 = 2;
const SO_EE_ORIGIN_ICMP6: u8 = 3;
const SO_EE_ORIGIN_TIMESTAMPING: u8 = 4;
const SO_EE_ORIGIN_ZEROCOPY: u8 = 5;
const SO_EE_CODE_ZEROCOPY_COPIED: u8 = 1;

/// One control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlMessage<'a> {
    /// `SOL_…` or `IPPROTO_…`.
    pub level: c_int,
    /// Its type on that level.
    pub kind: c_int,
    /// Its data.
    pub data: &'a [u8],
}

/// The messages in `control`; ends at the first that does not fit.
pub fn items(mut control: &[u8]) -> impl Iterator<Item = ControlMessage<'_>> {
    std::iter::from_fn(move || {
        let len = usize::from_ne_bytes(control.get(..WORD)?.try_into().ok()?);
        let level = int(control, WORD)?;
        let kind = int(control, WORD + 4)?;
        let data = control.get(HEADER..len)?;
        control = control.get(len.checked_next_multiple_of(WORD)?..).unwrap_or_default();
        Some(ControlMessage { level, kind, data })
    })
}

fn int(bytes: &[u8], at: usize) -> Option<c_int> {
    Some(c_int::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Kernel (ns, `CLOCK_REALTIME`) and hardware (ns, NIC clock) stamp of a `struct scm_timestamping`: three timespecs,
/// the second of which is obsolete. A zero timespec means that there is none
/// (Documentation/networking/timestamping.rst, §2.1).
fn stamps(data: &[u8]) -> (Option<u64>, Option<u64>) {
    (timespec(data, 0), timespec(data, 32))
}

fn timespec(data: &[u8], at: usize) -> Option<u64> {
    let s = i64::from_ne_bytes(data.get(at..at + 8)?.try_into().ok()?);
    let ns = i64::from_ne_bytes(data.get(at + 8..at + 16)?.try_into().ok()?);
    let ns = u64::try_from(s).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(ns).ok()?)?;
    (ns > 0).then_some(ns)
}

/// The receive stamps of a message: kernel, hardware.
pub fn receive_stamps(control: &[u8]) -> (Option<u64>, Option<u64>) {
    items(control)
        .find(|i| i.level == libc::SOL_SOCKET && i.kind == SCM_TIMESTAMPING)
        .map_or((None, None), |i| stamps(i.data))
}

/// Zero-copy sends that completed: the numbers of the calls, which wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroCopyRange {
    /// The first.
    pub first: u32,
    /// The last, included.
    pub last: u32,
    /// The kernel copied the data anyway.
    pub copied: bool,
}

/// The zero-copy sends that a message of the error queue is about: its `sock_extended_err` (see [`transmit_stamp`])
/// has the first in `info`, the last in `data` and in `code` whether they were copied.
pub fn zerocopy_range(control: &[u8]) -> Option<ZeroCopyRange> {
    let is_error = |i: &ControlMessage<'_>| {
        matches!((i.level, i.kind), (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR))
    };
    let data = items(control).find(is_error)?.data;
    let word = |at: usize| Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?));
    if word(0)? != 0 || *data.get(4)? != SO_EE_ORIGIN_ZEROCOPY {
        return None;
    }
    let copied = *data.get(6)? & SO_EE_CODE_ZEROCOPY_COPIED != 0;
    Some(ZeroCopyRange { first: word(8)?, last: word(12)?, copied })
}

/// An error of the path, as the error queue reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathError {
    /// The kernel's number for it.
    pub errno: c_int,
    /// Whether it is ICMPv6, its type and its code; `None` where this host's own kernel is the source.
    pub icmp: Option<(bool, u8, u8)>,
    /// Who sent it.
    pub from: Option<IpAddr>,
}

/// The error that a message of the error queue is about: its `sock_extended_err` (see [`transmit_stamp`]), behind which stands
/// the address of the host that sent it (`SO_EE_OFFENDER`, ip(7)). `None` for stamps and completed sends.
pub fn path_error(control: &[u8]) -> Option<PathError> {
    let is_error = |i: &ControlMessage<'_>| {
        matches!((i.level, i.kind), (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR))
    };
    let data = items(control).find(is_error)?.data;
    let icmp = match *data.get(4)? {
        SO_EE_ORIGIN_LOCAL => None,
        origin @ (SO_EE_ORIGIN_ICMP | SO_EE_ORIGIN_ICMP6) => {
            Some((origin == SO_EE_ORIGIN_ICMP6, *data.get(5)?, *data.get(6)?))
        }
        _ => return None,
    };
    // struct sockaddr_in: u16 family, u16 port, address; sockaddr_in6 has a flow label between.
    let family = data.get(16..18).and_then(|b| Some(c_int::from(u16::from_ne_bytes(b.try_into().ok()?))));
    let from = match family {
        Some(libc::AF_INET) => data.get(20..24).and_then(|b| Some(IpAddr::V4(<[u8; 4]>::try_from(b).ok()?.into()))),
        Some(libc::AF_INET6) => data.get(24..40).and_then(|b| Some(IpAddr::V6(<[u8; 16]>::try_from(b).ok()?.into()))),
        _ => None,
    };
    Some(PathError { errno: int(data, 0)?, icmp, from })
}

/// A transmit stamp from a message of the error queue: the time in `SCM_TIMESTAMPING`, its kind and id in the
/// `sock_extended_err` (`u32 errno, u8 origin, u8 type, u8 code, u8 pad, u32 info, u32 data`) of `IP_RECVERR`.
pub fn transmit_stamp(control: &[u8]) -> Option<TxStamp> {
    let mut time = (None, None);
    let mut which = None;
    for item in items(control) {
        match (item.level, item.kind) {
            (libc::SOL_SOCKET, SCM_TIMESTAMPING) => time = stamps(item.data),
            (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR)
                if item.data.get(4) == Some(&SO_EE_ORIGIN_TIMESTAMPING) =>
            {
                let info = u32::from_ne_bytes(item.data.get(8..12)?.try_into().ok()?);
                let id = u32::from_ne_bytes(item.data.get(12..16)?.try_into().ok()?);
                which = Some((info, id));
            }
            _ => {}
        }
    }
    let (at, ns, id) = match (which?, time) {
        ((SCM_TSTAMP_SND, id), (_, Some(ns))) => (StampAt::TxHardware, ns, id),
        ((SCM_TSTAMP_SND, id), (Some(ns), None)) => (StampAt::TxSoftware, ns, id),
        ((SCM_TSTAMP_SCHED, id), (Some(ns), _)) => (StampAt::TxSched, ns, id),
        ((SCM_TSTAMP_ACK, id), (Some(ns), _)) => (StampAt::TxAck, ns, id),
        _ => return None,
    };
    Some(TxStamp { id, at, ns })
}

/// Where a datagram was sent to, from `IP_PKTINFO` or `IPV6_PKTINFO`: the address its answer must leave from.
pub fn destination(control: &[u8]) -> Option<Source> {
    items(control).find_map(|i| match (i.level, i.kind) {
        // struct in_pktinfo: int ifindex, in_addr spec_dst, in_addr addr; spec_dst is the local one (ip(7)).
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            let ip: [u8; 4] = i.data.get(4..8)?.try_into().ok()?;
            Some(Source(IpAddr::V4(Ipv4Addr::from(ip)), 0))
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let ip: [u8; 16] = i.data.get(..16)?.try_into().ok()?;
            let ip = Ipv6Addr::from(ip);
            let index = u32::from_ne_bytes(i.data.get(16..20)?.try_into().ok()?);
            Some(Source(IpAddr::V6(ip), if ip.is_unicast_link_local() { index } else { 0 }))
        }
        _ => None,
    })
}

/// The time to live (hop limit) a datagram came with, from `IP_RECVTTL` or `IPV6_RECVHOPLIMIT`.
pub fn time_to_live(control: &[u8]) -> Option<u8> {
    items(control).find_map(|i| match (i.level, i.kind) {
        (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
            u8::try_from(int(i.data, 0)?).ok()
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(level: c_int, kind: c_int, data: &[u8]) -> Vec<u8> {
        let mut v = (HEADER + data.len()).to_ne_bytes().to_vec();
        v.extend(level.to_ne_bytes());
        v.extend(kind.to_ne_bytes());
        v.extend(data);
        v.resize(v.len().next_multiple_of(WORD), 0);
        v
    }

    fn times(soft: (i64, i64), hard: (i64, i64)) -> Vec<u8> {
        [soft.0, soft.1, 0, 0, hard.0, hard.1].iter().flat_map(|x| x.to_ne_bytes()).collect()
    }

    fn error(origin: u8, info: u32, id: u32) -> Vec<u8> {
        let mut v = vec![0, 0, 0, 0, origin, 0, 0, 0];
        v.extend(info.to_ne_bytes());
        v.extend(id.to_ne_bytes());
        v
    }

    #[test]
    fn a_receive_stamp_is_found_behind_another_message() {
        let mut c = item(libc::IPPROTO_IP, libc::IP_TTL, &64i32.to_ne_bytes());
        c.extend(item(libc::SOL_SOCKET, SCM_TIMESTAMPING, &times((1, 5), (0, 0))));
        assert_eq!(receive_stamps(&c), (Some(1_000_000_005), None));
        assert_eq!(time_to_live(&c), Some(64));
        assert_eq!(receive_stamps(&c[..c.len() - 16]), (None, None), "cut short");
    }

    #[test]
    fn a_transmit_stamp_needs_its_time_and_its_origin() {
        let when = item(libc::SOL_SOCKET, SCM_TIMESTAMPING, &times((0, 0), (2, 7)));
        let of = |origin| {
            let mut c = when.clone();
            c.extend(item(libc::SOL_IP, libc::IP_RECVERR, &error(origin, SCM_TSTAMP_SND, 9)));
            transmit_stamp(&c)
        };
        assert_eq!(of(4), Some(TxStamp { id: 9, at: StampAt::TxHardware, ns: 2_000_000_007 }));
        assert_eq!(of(2), None, "an ICMP error is not a stamp");
        for (info, at) in [
            (SCM_TSTAMP_SND, StampAt::TxSoftware),
            (SCM_TSTAMP_SCHED, StampAt::TxSched),
            (SCM_TSTAMP_ACK, StampAt::TxAck),
        ] {
            let mut c = item(libc::SOL_SOCKET, SCM_TIMESTAMPING, &times((3, 1), (0, 0)));
            c.extend(item(libc::SOL_IPV6, libc::IPV6_RECVERR, &error(4, info, 2)));
            assert_eq!(transmit_stamp(&c), Some(TxStamp { id: 2, at, ns: 3_000_000_001 }));
        }
        assert_eq!(transmit_stamp(&when), None);
    }

    #[test]
    fn completed_zero_copy_sends_are_a_range_and_whether_they_were_copied() {
        let error = |errno: u32, origin: u8, code: u8| {
            let mut data = errno.to_ne_bytes().to_vec();
            data.extend([origin, 0, code, 0]);
            data.extend(7u32.to_ne_bytes());
            data.extend(9u32.to_ne_bytes());
            item(libc::SOL_IP, libc::IP_RECVERR, &data)
        };
        assert_eq!(zerocopy_range(&error(0, 5, 1)), Some(ZeroCopyRange { first: 7, last: 9, copied: true }));
        assert_eq!(zerocopy_range(&error(0, 5, 0)), Some(ZeroCopyRange { first: 7, last: 9, copied: false }));
        assert_eq!(zerocopy_range(&error(0, 4, 1)), None, "a stamp");
        assert_eq!(zerocopy_range(&error(5, 5, 1)), None, "an error");
    }

    #[test]
    fn an_error_of_the_path_has_its_type_code_and_sender() {
        let of = |origin: u8, (kind, code): (u8, u8), sender: &[u8]| {
            let mut data = 111u32.to_ne_bytes().to_vec();
            data.extend([origin, kind, code, 0]);
            data.extend([0; 8]);
            data.extend(sender);
            path_error(&item(libc::SOL_IP, libc::IP_RECVERR, &data))
        };
        let v4 = [&2u16.to_ne_bytes()[..], &[0, 0, 192, 0, 2, 9], &[0; 8]].concat();
        let v6 = [&10u16.to_ne_bytes()[..], &[0; 6], &[0xfe, 0x80], &[0; 13], &[7], &[0; 4]].concat();
        let error = |icmp, from: Option<&str>| {
            Some(PathError { errno: 111, icmp, from: from.map(|from| from.parse().unwrap()) })
        };
        assert_eq!(of(2, (3, 3), &v4), error(Some((false, 3, 3)), Some("192.0.2.9")));
        assert_eq!(of(3, (1, 4), &v6), error(Some((true, 1, 4)), Some("fe80::7")));
        assert_eq!(of(2, (3, 3), &v4[..7]), error(Some((false, 3, 3)), None), "cut short");
        assert_eq!(of(1, (0, 0), &[]), error(None, None));
        assert_eq!(of(4, (0, 0), &v4), None, "a stamp");
        assert_eq!(of(5, (0, 0), &v4), None, "a completed send");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = receive_stamps(&bytes);
            let _ = transmit_stamp(&bytes);
            let _ = zerocopy_range(&bytes);
            let _ = path_error(&bytes);
            let _ = destination(&bytes);
            let _ = time_to_live(&bytes);
            prop_assert!(items(&bytes).count() <= bytes.len() / HEADER + 1);
        }

        /// Headers that look right reach the code behind them, which random bytes seldom do.
        #[test]
        fn any_data_behind_a_right_header_is_survived(
            level in prop::sample::select(vec![libc::SOL_SOCKET, libc::SOL_IP, libc::SOL_IPV6]),
            kind in prop::sample::select(vec![SCM_TIMESTAMPING, libc::IP_RECVERR, libc::IPV6_RECVERR, libc::IP_PKTINFO, libc::IPV6_PKTINFO, libc::IP_TTL]),
            data in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let c = item(level, kind, &data);
            let _ = receive_stamps(&c);
            let _ = transmit_stamp(&c);
            let _ = path_error(&c);
            let _ = destination(&c);
            let _ = time_to_live(&c);
            prop_assert_eq!(items(&c).next().map(|i| i.data.to_vec()), Some(data));
        }
    }
}
