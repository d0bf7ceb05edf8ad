//! Links: dump, make, move, delete.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{dump, order, read_all};
use crate::attr::{Attrs, tail, u16_at, u32_at};
use crate::message::{CREATE, EXCL, Message};
use crate::socket::{NetlinkSocket, Protocol};
use crate::{Error, Malformed};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
/// Length of `struct ifinfomsg`.
const IFINFO: usize = 16;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
/// Has a carrier (include/uapi/linux/if.h).
const IFF_LOWER_UP: u32 = 1 << 16;
/// `ARPHRD_ETHER`, of `ifi_type`.
const ETHERNET: u16 = 1;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_XDP: u16 = 43;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_PROG_ID: u16 = 4;

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// `IFF_UP`.
    pub up: bool,
    /// `IFF_LOWER_UP`: has a carrier.
    pub carrier: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// Speaks Ethernet: its hardware address is one of six bytes.
    pub ethernet: Option<[u8; 6]>,
    /// `up`, `down`, `lowerlayerdown`, `unknown`, … as sysfs writes it.
    pub operstate: &'static str,
    /// Bytes.
    pub mtu: u32,
    /// `aa:bb:…`; `None` where the link has none.
    pub mac: Option<String>,
    /// `veth`, `bridge`, …; `None` for a device.
    pub kind: Option<String>,
    /// `none`, `native`, `generic`, `offload`, `multi`.
    pub xdp: &'static str,
    /// The kernel's number of the XDP program; `None` where there is none, or several.
    pub xdp_program: Option<u32>,
}

/// All links of the namespace.
pub fn links() -> Result<Vec<Link>, Error> {
    let what = "list the links";
    let replies = dump(what, &Message::new(RTM_GETLINK, 0, &[0; IFINFO]))?;
    read_all(what, &replies, RTM_NEWLINK, parse)
}

/// The link of that name in the namespace; `None` where there is none.
pub fn named(name: &str) -> Result<Option<Link>, Error> {
    // Longer than a name can be (`IFNAMSIZ`).
    if name.is_empty() || name.len() > 15 {
        return Ok(None);
    }
    let ask = Message::new(RTM_GETLINK, 0, &[0; IFINFO]).text(IFLA_IFNAME, name);
    one(&format!("look up interface {name}"), ask)
}

/// The link of that index in the namespace; `None` where there is none.
pub fn numbered(index: u32) -> Result<Option<Link>, Error> {
    one(&format!("look up interface {index}"), by_index(RTM_GETLINK, index, 0, 0))
}

fn one(what: &str, ask: Message) -> Result<Option<Link>, Error> {
    let replies = match NetlinkSocket::open(Protocol::Route)?.ask(what, ask) {
        Err(e) if e.errno() == Some(libc::ENODEV) => return Ok(None),
        other => other?,
    };
    Ok(read_all(what, &replies, RTM_NEWLINK, parse)?.pop())
}

/// The index of a link of the namespace.
pub fn index(name: &str) -> Result<u32, Error> {
    named(name)?.map(|l| l.index).ok_or_else(|| Error::Refused {
        what: format!("look up interface {name}"),
        errno: libc::ENODEV,
        extack: String::new(),
    })
}

/// Reads one `RTM_NEWLINK` after its netlink header.
pub fn parse(payload: &[u8]) -> Result<Link, Malformed> {
    let (Some(kind), Some(index), Some(flags)) = (u16_at(payload, 2), u32_at(payload, 4), u32_at(payload, 8)) else {
        return Err(Malformed::new("a link message shorter than its header"));
    };
    let attrs = Attrs::parse(tail(payload, IFINFO))?;
    Ok(Link {
        index,
        name: attrs.text(IFLA_IFNAME).ok_or_else(|| Malformed::new("a link without a name"))?,
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        ethernet: attrs.get(IFLA_ADDRESS).filter(|_| kind == ETHERNET).and_then(|a| a.data.try_into().ok()),
        operstate: operstate(attrs.u8(IFLA_OPERSTATE)),
        mtu: attrs.u32(IFLA_MTU).unwrap_or(0),
        mac: attrs.get(IFLA_ADDRESS).filter(|a| !a.data.is_empty()).map(|a| mac_text(a.data)),
        kind: attrs.nested(IFLA_LINKINFO)?.text(IFLA_INFO_KIND),
        xdp: match attrs.nested(IFLA_XDP)?.u8(IFLA_XDP_ATTACHED) {
            None | Some(0) => "none",
            Some(1) => "native",
            Some(2) => "generic",
            Some(3) => "offload",
            Some(_) => "multi",
        },
        xdp_program: attrs.nested(IFLA_XDP)?.u32(IFLA_XDP_PROG_ID),
    })
}

/// RFC 2863 states, in the words of `net/core/net-sysfs.c`.
fn operstate(state: Option<u8>) -> &'static str {
    match state {
        Some(1) => "notpresent",
        Some(2) => "down",
        Some(3) => "lowerlayerdown",
        Some(4) => "testing",
        Some(5) => "dormant",
        Some(6) => "up",
        _ => "unknown",
    }
}

/// `aa:bb:…`
pub(crate) fn mac_text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}

fn by_index(kind: u16, index: u32, flags: u32, change: u32) -> Message {
    let mut fixed = [0; IFINFO];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&change.to_ne_bytes());
    Message::new(kind, 0, &fixed)
}

/// Makes a veth pair, both ends in this namespace and down.
pub fn veth(name: &str, peer: &str) -> Result<(), Error> {
    let m = Message::new(RTM_NEWLINK, CREATE | EXCL, &[0; IFINFO]).text(IFLA_IFNAME, name).nest(IFLA_LINKINFO, |m| {
        m.text(IFLA_INFO_KIND, "veth")
            .nest(IFLA_INFO_DATA, |m| m.nest_after(VETH_INFO_PEER, &[0; IFINFO], |m| m.text(IFLA_IFNAME, peer)))
    });
    order(&format!("create the veth pair {name}, {peer}"), m)
}

/// Makes an intermediate functional block device (`ifb`), down.
pub fn ifb(name: &str) -> Result<(), Error> {
    virtual_link(name, "ifb")
}

/// Makes a link of a kind that needs no options: `ifb`, `dummy`, `bridge`.
pub fn virtual_link(name: &str, kind: &str) -> Result<(), Error> {
    let m = Message::new(RTM_NEWLINK, CREATE | EXCL, &[0; IFINFO])
        .text(IFLA_IFNAME, name)
        .nest(IFLA_LINKINFO, |m| m.text(IFLA_INFO_KIND, kind));
    order(&format!("create the {kind} {name}"), m)
}

/// Sets a link up.
pub fn up(name: &str) -> Result<(), Error> {
    order(&format!("set {name} up"), by_index(RTM_NEWLINK, index(name)?, IFF_UP, IFF_UP))
}

/// Sets a link down.
pub fn down(name: &str) -> Result<(), Error> {
    order(&format!("set {name} down"), by_index(RTM_NEWLINK, index(name)?, 0, IFF_UP))
}

/// Renames a link; the kernel wants it down (before Linux 6.2 always, later for most).
pub fn rename(name: &str, to: &str) -> Result<(), Error> {
    order(&format!("rename {name} to {to}"), by_index(RTM_NEWLINK, index(name)?, 0, 0).text(IFLA_IFNAME, to))
}

/// Takes the XDP program of that number off a link, and no other: one that a killed process left, which a BPF link would
/// have taken off with it. Says whether it was there.
pub fn detach_xdp(name: &str, program: u32) -> Result<bool, Error> {
    let what = format!("take XDP program {program} off {name}");
    let Some(link) = named(name)?.filter(|l| l.xdp_program == Some(program)) else { return Ok(false) };
    // XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE (include/uapi/linux/if_link.h); a descriptor of −1 takes it off.
    let flags = if link.xdp == "generic" { 2 } else { 4 };
    let off = |m: Message| m.u32(IFLA_XDP_FD, u32::MAX).u32(IFLA_XDP_FLAGS, flags);
    order(&what, by_index(RTM_NEWLINK, link.index, 0, 0).nest(IFLA_XDP, off)).map(|()| true)
}

/// Sets the MTU, bytes.
pub fn set_mtu(name: &str, mtu: u32) -> Result<(), Error> {
    order(&format!("set the MTU of {name} to {mtu}"), by_index(RTM_NEWLINK, index(name)?, 0, 0).u32(IFLA_MTU, mtu))
}

/// Moves a link to the network namespace behind a descriptor of `/proc/PID/ns/net` or the like. It arrives down.
pub fn to_netns(name: &str, netns: BorrowedFd<'_>) -> Result<(), Error> {
    let fd = netns.as_raw_fd().unsigned_abs();
    order(
        &format!("move {name} to another namespace"),
        by_index(RTM_NEWLINK, index(name)?, 0, 0).u32(IFLA_NET_NS_FD, fd),
    )
}

/// Deletes a link; of a veth pair both ends go.
pub fn delete(name: &str) -> Result<(), Error> {
    order(&format!("delete {name}"), by_index(RTM_DELLINK, index(name)?, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ethernet_link_with_a_program() {
        let mut bytes = vec![0; IFINFO];
        bytes[2] = 1;
        bytes[4] = 7;
        bytes[8..12].copy_from_slice(&(IFF_UP | IFF_LOWER_UP).to_ne_bytes());
        bytes.extend(crate::message::attrs(|m| {
            let m = m.text(IFLA_IFNAME, "eth0").attr(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 9]);
            m.nest(IFLA_XDP, |m| m.attr(IFLA_XDP_ATTACHED, &[2]).u32(IFLA_XDP_PROG_ID, 41))
        }));
        let link = parse(&bytes).unwrap();
        assert_eq!((link.xdp, link.xdp_program), ("generic", Some(41)));
        assert!(link.up && link.carrier && !link.loopback);
        assert_eq!((link.ethernet, link.mac.as_deref()), (Some([2, 0, 0, 0, 0, 9]), Some("02:00:00:00:00:09")));
        // Of another kind of link (ARPHRD_INFINIBAND 32) its six bytes are not Ethernet address.
        bytes[2] = 32;
        assert_eq!(parse(&bytes).unwrap().ethernet, None);
    }

    #[test]
    fn loopback_is_found_by_name_and_number_and_nothing_is_none() {
        let lo = named("lo").unwrap().unwrap();
        assert!(lo.loopback && lo.ethernet.is_none() && lo.mtu > 0);
        assert_eq!(numbered(lo.index).unwrap().unwrap().name, "lo");
        assert_eq!(named("no-such-if").unwrap(), None);
        assert_eq!(named("a-name-of-16-byt").unwrap(), None);
        assert_eq!(numbered(0x7fff_ffff).unwrap(), None);
        assert_eq!(index("no-such-if").unwrap_err().errno(), Some(libc::ENODEV));
    }

    proptest! {
        #[test]
        fn any_bytes_are_not_link_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
