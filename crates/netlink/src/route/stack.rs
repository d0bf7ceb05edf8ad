//! What each link stands on: its master, the link below it, the far end of a tunnel.

use std::net::IpAddr;

use super::{dump, ip, read_all};
use crate::attr::{Attrs, tail, u32_at};
use crate::message::Message;
use crate::{Error, Malformed};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
/// Length of `struct ifinfomsg`.
const IFINFO: usize = 16;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;

/// Where the options of a tunnel kind name its far end and the link that it is bound to: attribute of an IPv4 or IPv6
/// far end, of an IPv6 far end where that is another, of the link; 0 where there is none (include/uapi/linux/if_link.h:
/// `IFLA_VXLAN_*`, `IFLA_GENEVE_*`, `IFLA_XFRM_*`; include/uapi/linux/if_tunnel.h: `IFLA_GRE_*`, `IFLA_IPTUN_*`,
/// `IFLA_VTI_*`).
const TUNNELS: &[(&str, u16, u16, u16)] = &[
    ("vxlan", 2, 16, 3),
    ("geneve", 2, 7, 0),
    ("gre", 7, 0, 1),
    ("gretap", 7, 0, 1),
    ("erspan", 7, 0, 1),
    ("ip6gre", 7, 0, 1),
    ("ip6gretap", 7, 0, 1),
    ("ip6erspan", 7, 0, 1),
    ("ipip", 3, 0, 1),
    ("sit", 3, 0, 1),
    ("ip6tnl", 3, 0, 1),
    ("vti", 5, 0, 1),
    ("vti6", 5, 0, 1),
    ("xfrm", 0, 0, 1),
];

/// One link and what it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackedMessage {
    /// Index.
    pub index: u32,
    /// Index of the link it is a part of: a bond's, a team's, a bridge's.
    pub master: Option<u32>,
    /// Index of the link it names as its own (`IFLA_LINK`): a VLAN's device, a veth's peer.
    pub link: Option<u32>,
    /// `link` is an index of another network namespace.
    pub link_elsewhere: bool,
    /// `vlan`, `vxlan`, …; `None` for a device.
    pub kind: Option<String>,
    /// A tunnel's far end; `None` where there is none, or it is chosen for each packet.
    pub remote: Option<IpAddr>,
    /// Index of the link that a tunnel is bound to.
    pub bound: Option<u32>,
}

/// All links of the namespace.
pub fn stack() -> Result<Vec<StackedMessage>, Error> {
    let what = "list what the links stand on";
    let replies = dump(what, &Message::new(RTM_GETLINK, 0, &[0; IFINFO]))?;
    read_all(what, &replies, RTM_NEWLINK, parse)
}

/// Reads one `RTM_NEWLINK` after its netlink header.
pub fn parse(payload: &[u8]) -> Result<StackedMessage, Malformed> {
    let Some(index) = u32_at(payload, 4) else {
        return Err(Malformed::new("a link message shorter than its header"));
    };
    let attrs = Attrs::parse(tail(payload, IFINFO))?;
    let info = attrs.nested(IFLA_LINKINFO)?;
    let kind = info.text(IFLA_INFO_KIND);
    let data = info.nested(IFLA_INFO_DATA)?;
    let tunnel = TUNNELS.iter().find(|t| Some(t.0) == kind.as_deref());
    let address = |at: u16| data.get(at).filter(|_| at != 0).and_then(|a| ip(a.data)).filter(|a| !a.is_unspecified());
    Ok(StackedMessage {
        index,
        master: attrs.u32(IFLA_MASTER).filter(|m| *m != 0),
        link: attrs.u32(IFLA_LINK).filter(|l| *l != 0 && *l != index),
        link_elsewhere: attrs.has(IFLA_LINK_NETNSID),
        remote: tunnel.and_then(|(_, at, six, _)| address(*at).or_else(|| address(*six))),
        bound: tunnel.and_then(|(.., at)| data.u32(*at).filter(|b| *at != 0 && *b != 0)),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(index: u32, write: impl FnOnce(Message) -> Message) -> StackedMessage {
        let mut bytes = vec![0; IFINFO];
        bytes[4..8].copy_from_slice(&index.to_ne_bytes());
        bytes.extend(crate::message::attrs(write));
        parse(&bytes).unwrap()
    }

    #[test]
    fn masters_links_and_far_ends() {
        let slave = link(3, |m| m.u32(IFLA_MASTER, 9));
        assert_eq!((slave.master, slave.link, slave.kind), (Some(9), None, None));
        let tagged = link(4, |m| m.u32(IFLA_LINK, 3).nest(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, "vlan")));
        assert_eq!((tagged.link, tagged.link_elsewhere), (Some(3), false));
        let peer = link(4, |m| m.u32(IFLA_LINK, 3).u32(IFLA_LINK_NETNSID, 0));
        assert!(peer.link_elsewhere);
        let tunnel = link(5, |m| {
            m.nest(IFLA_LINKINFO, |m| {
                m.text(IFLA_INFO_KIND, "vxlan")
                    .nest(IFLA_INFO_DATA, |m| m.u32(1, 77).attr(2, &[192, 0, 2, 9]).u32(3, 2))
            })
        });
        assert_eq!((tunnel.remote, tunnel.bound), (Some("192.0.2.9".parse().unwrap()), Some(2)));
        let six = link(5, |m| {
            m.nest(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, "vxlan").nest(IFLA_INFO_DATA, |m| m.attr(16, &[1; 16])))
        });
        assert!(six.remote.is_some_and(|r| r.is_ipv6()));
        let none = link(6, |m| {
            m.nest(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, "gre").nest(IFLA_INFO_DATA, |m| m.attr(7, &[0; 4])))
        });
        assert_eq!(none.remote, None, "0.0.0.0 is not a far end");
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_link_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
