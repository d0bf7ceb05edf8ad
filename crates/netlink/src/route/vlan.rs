//! What a VLAN interface is made of: its tag, the link below it, and the code point that it writes for a priority.

use super::read_all;
use crate::attr::{Attr, Attrs, be16_at, tail, u32_at};
use crate::message::Message;
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
/// Length of `struct ifinfomsg`.
const IFINFO: usize = 16;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
// include/uapi/linux/if_link.h
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_EGRESS_QOS: u16 = 3;
const IFLA_VLAN_PROTOCOL: u16 = 5;
/// `ETH_P_8021Q`.
pub const DOT1Q: u16 = 0x8100;

/// One VLAN interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlanMessage {
    /// Index.
    pub index: u32,
    /// VLAN identifier, 0–4095.
    pub id: u16,
    /// EtherType of its tag: [`DOT1Q`], or 0x88a8 (802.1ad).
    pub protocol: u16,
    /// Index of the link it sends through.
    pub below: u32,
    /// `below` is an index of another network namespace.
    pub below_elsewhere: bool,
    /// `egress-qos-map`: priority of a packet, and the priority code point (0–7) it gets. What it does not name gets 0.
    pub egress: Vec<(u32, u8)>,
}

impl VlanMessage {
    /// The priority code point of packets with this priority.
    pub fn code_point(&self, priority: u32) -> u8 {
        self.egress.iter().find(|(from, _)| *from == priority).map_or(0, |(_, to)| *to)
    }
}

/// The VLAN interface of that index in the namespace; `None` where there is none, or it is of another kind.
pub fn of(index: u32) -> Result<Option<VlanMessage>, Error> {
    let what = format!("look up VLAN interface {index}");
    let mut fixed = [0; IFINFO];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let replies = match NetlinkSocket::open(Protocol::Route)?.ask(&what, Message::new(RTM_GETLINK, 0, &fixed)) {
        Err(e) if e.errno() == Some(libc::ENODEV) => return Ok(None),
        other => other?,
    };
    Ok(read_all(&what, &replies, RTM_NEWLINK, parse)?.into_iter().flatten().next())
}

/// Reads one `RTM_NEWLINK` after its netlink header; `None` for a link of another kind.
pub fn parse(payload: &[u8]) -> Result<Option<VlanMessage>, Malformed> {
    let Some(index) = u32_at(payload, 4) else {
        return Err(Malformed::new("a link message shorter than its header"));
    };
    let attrs = Attrs::parse(tail(payload, IFINFO))?;
    let info = attrs.nested(IFLA_LINKINFO)?;
    if info.text(IFLA_INFO_KIND).as_deref() != Some("vlan") {
        return Ok(None);
    }
    let data = info.nested(IFLA_INFO_DATA)?;
    let id = data.get(IFLA_VLAN_ID).and_then(Attr::u16);
    let (Some(id), Some(below)) = (id, attrs.u32(IFLA_LINK)) else {
        return Err(Malformed::new("a VLAN interface without its identifier or its link"));
    };
    // struct ifla_vlan_qos_mapping { __u32 from; __u32 to; }
    let pair = |data: &[u8]| Some((u32_at(data, 0)?, u8::try_from(u32_at(data, 4)?).ok().filter(|to| *to < 8)?));
    let egress = data.nested(IFLA_VLAN_EGRESS_QOS)?.iter().filter_map(|a| pair(a.data)).collect();
    Ok(Some(VlanMessage {
        index,
        id,
        // Kernels that do not say have no other.
        protocol: data.get(IFLA_VLAN_PROTOCOL).and_then(|a| be16_at(a.data, 0)).unwrap_or(DOT1Q),
        below,
        below_elsewhere: attrs.has(IFLA_LINK_NETNSID),
        egress,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(write: impl FnOnce(Message) -> Message) -> Result<Option<VlanMessage>, Malformed> {
        let mut bytes = vec![0; IFINFO];
        bytes[4..8].copy_from_slice(&9u32.to_ne_bytes());
        bytes.extend(crate::message::attrs(write));
        parse(&bytes)
    }

    fn vlan(m: Message, write: impl FnOnce(Message) -> Message) -> Message {
        m.nest(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, "vlan").nest(IFLA_INFO_DATA, write))
    }

    #[test]
    fn tag_link_and_code_points() {
        let id = 7u16.to_ne_bytes();
        let mapping = [5u32.to_ne_bytes(), 6u32.to_ne_bytes()].concat();
        let seen = link(|m| {
            vlan(m.u32(IFLA_LINK, 3), |m| {
                m.attr(IFLA_VLAN_ID, &id)
                    .attr(IFLA_VLAN_PROTOCOL, &[0x88, 0xa8])
                    .nest(IFLA_VLAN_EGRESS_QOS, |m| m.attr(1, &mapping))
            })
        });
        let seen = seen.unwrap().unwrap();
        assert_eq!((seen.index, seen.id, seen.protocol, seen.below), (9, 7, 0x88a8, 3));
        assert_eq!((seen.code_point(5), seen.code_point(6), seen.below_elsewhere), (6, 0, false));
        let plain = link(|m| vlan(m.u32(IFLA_LINK, 3).u32(IFLA_LINK_NETNSID, 0), |m| m.attr(IFLA_VLAN_ID, &id)));
        let plain = plain.unwrap().unwrap();
        assert!(plain.protocol == DOT1Q && plain.below_elsewhere);
    }

    #[test]
    fn another_kind_is_none_and_one_without_a_tag_is_malformed() {
        assert_eq!(link(|m| m.nest(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, "veth"))).unwrap(), None);
        assert!(link(|m| vlan(m.u32(IFLA_LINK, 3), |m| m)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
