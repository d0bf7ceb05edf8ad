//! Who is behind which link: neighbours by address, and forwarding entries by hardware address.

use std::net::IpAddr;

use super::{dump, ip, link, neighbour, octets, read_all};
use crate::attr::{Attrs, tail, u16_at, u32_at};
use crate::message::Message;
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
/// Length of `struct ndmsg`.
const NDMSG: usize = 12;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_MASTER: u16 = 9;
/// `NUD_INCOMPLETE` and `NUD_FAILED`: nobody answered (include/uapi/linux/neighbour.h).
const NO_ANSWER: u16 = 0x01 | FAILED;
const FAILED: u16 = 0x20;
/// `PF_BRIDGE`: forwarding entries and not neighbours.
const PF_BRIDGE: u8 = 7;

/// One entry of the neighbour or of a forwarding table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourMessage {
    /// Link index: the neighbour's, or the port behind which the hardware address is.
    pub index: u32,
    /// The neighbour's address; of a forwarding entry the far end of the tunnel.
    pub address: Option<IpAddr>,
    /// `aa:bb:…`; `None` where nobody answered.
    pub mac: Option<String>,
    /// The same where it is an Ethernet address.
    pub ethernet: Option<[u8; 6]>,
    /// Index of the bridge that the port is a part of.
    pub master: Option<u32>,
    /// It was asked for, and nobody answered in time (`NUD_FAILED`).
    pub failed: bool,
}

/// The entry of one neighbour (Linux 5.0); `None` where it was not asked for.
pub fn get(index: u32, address: IpAddr) -> Result<Option<NeighbourMessage>, Error> {
    let what = format!("look up the neighbour {address}");
    let ask = Message::new(RTM_GETNEIGH, 0, &neighbour::header(index, address, 0)).attr(NDA_DST, &octets(address));
    let replies = match NetlinkSocket::open(Protocol::Route)?.ask(&what, ask) {
        Err(e) if e.errno() == Some(libc::ENOENT) => return Ok(None),
        other => other?,
    };
    Ok(read_all(&what, &replies, RTM_NEWNEIGH, parse)?.pop())
}

/// Neighbours of the namespace, IPv4 and IPv6.
pub fn neighbours() -> Result<Vec<NeighbourMessage>, Error> {
    entries("list the neighbours", 0)
}

/// Forwarding entries of every bridge and vxlan.
pub fn forwarding() -> Result<Vec<NeighbourMessage>, Error> {
    entries("list the forwarding entries", PF_BRIDGE)
}

fn entries(what: &str, family: u8) -> Result<Vec<NeighbourMessage>, Error> {
    let mut fixed = [0; NDMSG];
    fixed[0] = family;
    let replies = dump(what, &Message::new(RTM_GETNEIGH, 0, &fixed))?;
    read_all(what, &replies, RTM_NEWNEIGH, parse)
}

/// Reads one `RTM_NEWNEIGH` after its netlink header.
pub fn parse(payload: &[u8]) -> Result<NeighbourMessage, Malformed> {
    let (Some(index), Some(state)) = (u32_at(payload, 4), u16_at(payload, 8)) else {
        return Err(Malformed::new("a neighbour message shorter than its header"));
    };
    let attrs = Attrs::parse(tail(payload, NDMSG))?;
    let mac = attrs.get(NDA_LLADDR).filter(|a| !a.data.is_empty() && state & NO_ANSWER == 0);
    Ok(NeighbourMessage {
        index,
        address: attrs.get(NDA_DST).and_then(|a| ip(a.data)),
        mac: mac.map(|a| link::mac_text(a.data)),
        ethernet: mac.and_then(|a| a.data.try_into().ok()),
        master: attrs.u32(NDA_MASTER),
        failed: state & FAILED != 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_without_an_answer_has_no_hardware_address() {
        let entry = |state: u16| {
            let mut bytes = vec![2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
            bytes[8..10].copy_from_slice(&state.to_ne_bytes());
            let mac = [2, 0, 0, 0, 0, 1];
            bytes.extend(crate::message::attrs(|m| {
                m.attr(NDA_DST, &[192, 0, 2, 1]).attr(NDA_LLADDR, &mac).u32(NDA_MASTER, 3)
            }));
            parse(&bytes).unwrap()
        };
        let reachable = entry(0x02);
        assert_eq!((reachable.index, reachable.master), (u32::from_ne_bytes([7, 0, 0, 0]), Some(3)));
        assert_eq!(reachable.mac.as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(entry(0x20).mac, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_entry_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&bytes);
        }
    }
}
