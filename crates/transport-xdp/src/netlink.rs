//! Request and reply over netlink and the ethtool ioctl, as far as one flow needs them: the link, the route, the
//! neighbour, the driver's XDP abilities. All in the network namespace of the calling thread.
#![allow(unsafe_code)] // netlink sockets and ioctls

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::frame::Mac;
use crate::sockopt::set_bytes;

const NLMSG_HEADER: usize = 16;
const GENL_HEADER: usize = 4;

/// A netlink socket for one request at a time.
struct Socket {
    fd: OwnedFd,
}

impl Socket {
    fn open(protocol: libc::c_int) -> io::Result<Self> {
        // SAFETY: plain socket(2); the descriptor is checked before it is owned.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // A kernel that never answers would hang the tool: 2 s, then EAGAIN.
        let two_seconds = [2i64.to_ne_bytes(), 0i64.to_ne_bytes()].concat();
        if cfg!(target_pointer_width = "64") {
            set_bytes(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, &two_seconds)?;
        }
        Ok(Self { fd })
    }

    /// Sends one request (type, flags beside `NLM_F_REQUEST`, body) and gives the body of its first answer; empty for
    /// an acknowledgement. An error answer is its errno.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // NLM_F_REQUEST is 1
        let flags = flags | libc::NLM_F_REQUEST as u16;
        let mut message = Vec::with_capacity(NLMSG_HEADER + body.len());
        let len = u32::try_from(NLMSG_HEADER + body.len()).map_err(|_| garbled("request"))?;
        message.extend(len.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]); // sequence and port: one request per socket at a time
        message.extend(body);
        let fd = self.fd.as_raw_fd();
        // SAFETY: `message` is readable for its length.
        let sent = unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut answer = vec![0u8; 32 * 1024]; // a link with many VFs takes more than a page
        // SAFETY: `answer` is writable for its length.
        let got = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        answer.truncate(got);
        let (kind, body) = message_in(&answer).ok_or_else(|| garbled("netlink answer"))?;
        if i32::from(kind) == libc::NLMSG_ERROR {
            let errno = i32_at(body, 0).ok_or_else(|| garbled("netlink error"))?;
            return if errno == 0 { Ok((kind, Vec::new())) } else { Err(io::Error::from_raw_os_error(-errno)) };
        }
        Ok((kind, body.to_vec()))
    }
}

fn garbled(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("garbled {what}"))
}

/// Type and body of the first message in `bytes`.
pub(crate) fn message_in(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let len = u32_at(bytes, 0)? as usize;
    Some((u16_at(bytes, 4)?, bytes.get(NLMSG_HEADER..len)?))
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    b.get(at..)?.first_chunk().map(|c| u16::from_ne_bytes(*c))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    b.get(at..)?.first_chunk().map(|c| u32::from_ne_bytes(*c))
}

fn i32_at(b: &[u8], at: usize) -> Option<i32> {
    b.get(at..)?.first_chunk().map(|c| i32::from_ne_bytes(*c))
}

/// The attributes in `bytes` (type without its flag bits, payload); ends at the first that does not fit.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff; // NLA_F_NESTED and NLA_F_NET_BYTEORDER off
        let payload = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

fn attribute(kind: u16, payload: &[u8], to: &mut Vec<u8>) {
    let len = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX); // payloads here are below 20 bytes
    to.extend(len.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(payload);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn address(b: &[u8]) -> Option<IpAddr> {
    match b.len() {
        4 => b.first_chunk::<4>().map(|o| Ipv4Addr::from(*o).into()),
        16 => b.first_chunk::<16>().map(|o| Ipv6Addr::from(*o).into()),
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 2 and 10
fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

/// How an XDP program is attached (`XDP_ATTACHED_*`, include/uapi/linux/if_link.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attached {
    /// In the driver.
    Native,
    /// The generic hook.
    Generic,
    /// In the NIC.
    Offload,
    /// In more than one place.
    Several,
}

/// An interface as this flow needs it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Number.
    pub(crate) index: u32,
    /// Name, as asked.
    pub(crate) name: String,
    /// `IFF_UP`.
    pub(crate) up: bool,
    /// Has a carrier (`IFF_LOWER_UP`).
    pub(crate) carrier: bool,
    /// `IFF_LOOPBACK`.
    pub(crate) loopback: bool,
    /// Speaks Ethernet (`ARPHRD_ETHER`), with this address.
    pub(crate) mac: Option<Mac>,
    /// MTU, bytes.
    pub(crate) mtu: usize,
    /// `veth`, `vlan`, `bond`, …; empty for a plain device.
    pub(crate) kind: String,
    /// The XDP program that is on it, and its number.
    pub(crate) xdp: Option<(Attached, Option<u32>)>,
}

/// Reads interface `name`; `None` when this namespace has none of that name.
pub(crate) fn link(name: &str) -> io::Result<Option<Link>> {
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_MTU: u16 = 4;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_XDP: u16 = 43;
    const IFLA_XDP_ATTACHED: u16 = 2;
    const IFLA_XDP_PROG_ID: u16 = 4;
    const IFINFOMSG: usize = 16;

    let Ok(c_name) = std::ffi::CString::new(name) else { return Ok(None) };
    // SAFETY: a valid C string.
    let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
    if index == 0 {
        return Ok(None);
    }
    let mut body = vec![0u8; IFINFOMSG];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let (_, answer) = Socket::open(libc::NETLINK_ROUTE)?.ask(libc::RTM_GETLINK, 0, &body)?;
    let arphrd = u16_at(&answer, 2).ok_or_else(|| garbled("link"))?;
    let flags = u32_at(&answer, 8).ok_or_else(|| garbled("link"))?;
    let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    let mut link = Link {
        index,
        name: name.to_owned(),
        up: has(libc::IFF_UP),
        carrier: has(1 << 16), // IFF_LOWER_UP, include/uapi/linux/if.h
        loopback: has(libc::IFF_LOOPBACK),
        mac: None,
        mtu: 0,
        kind: String::new(),
        xdp: None,
    };
    for (kind, payload) in attributes(&answer[IFINFOMSG..]) {
        match kind {
            IFLA_ADDRESS if arphrd == libc::ARPHRD_ETHER => link.mac = payload.try_into().ok(),
            IFLA_MTU => link.mtu = u32_at(payload, 0).unwrap_or(0) as usize,
            IFLA_LINKINFO => {
                let text = attributes(payload).find(|a| a.0 == IFLA_INFO_KIND).map_or(&[][..], |a| a.1);
                String::from_utf8_lossy(text).trim_end_matches('\0').clone_into(&mut link.kind);
            }
            IFLA_XDP => {
                let how = match attributes(payload).find(|a| a.0 == IFLA_XDP_ATTACHED).and_then(|a| a.1.first()) {
                    Some(1) => Some(Attached::Native),
                    Some(2) => Some(Attached::Generic),
                    Some(3) => Some(Attached::Offload),
                    Some(4) => Some(Attached::Several),
                    _ => None,
                };
                let id = attributes(payload).find(|a| a.0 == IFLA_XDP_PROG_ID).and_then(|a| u32_at(a.1, 0));
                link.xdp = how.map(|how| (how, id));
            }
            _ => {}
        }
    }
    Ok(Some(link))
}

/// Name of interface `index`.
pub(crate) fn name_of(index: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has IF_NAMESIZE bytes, as if_indextoname asks.
    let got = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if got.is_null() {
        return None;
    }
    let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    Some(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// Where the kernel would send a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// Through this interface.
    pub(crate) oif: u32,
    /// To this neighbour, when the target is not on the link.
    pub(crate) gateway: Option<IpAddr>,
    /// To this host itself (`RTN_LOCAL`).
    pub(crate) local: bool,
    /// To one host, and not to many or none (`RTN_UNICAST`).
    pub(crate) unicast: bool,
}

/// The kernel's route to `to`, through interface `oif` where one is given.
pub(crate) fn route(to: IpAddr, oif: Option<u32>) -> io::Result<Route> {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_VIA: u16 = 18;
    const RTMSG: usize = 12;
    const RTN_UNICAST: u8 = 1;
    const RTN_LOCAL: u8 = 2;

    let mut body = vec![0u8; RTMSG];
    body[0] = family(to);
    body[1] = if to.is_ipv4() { 32 } else { 128 };
    attribute(RTA_DST, &octets(to), &mut body);
    if let Some(oif) = oif {
        attribute(RTA_OIF, &oif.to_ne_bytes(), &mut body);
    }
    let (_, answer) = Socket::open(libc::NETLINK_ROUTE)?.ask(libc::RTM_GETROUTE, 0, &body)?;
    let kind = *answer.get(7).ok_or_else(|| garbled("route"))?;
    let mut found = Route { oif: 0, gateway: None, local: kind == RTN_LOCAL, unicast: kind == RTN_UNICAST };
    for (kind, payload) in attributes(answer.get(RTMSG..).unwrap_or_default()) {
        match kind {
            RTA_OIF => found.oif = u32_at(payload, 0).unwrap_or(0),
            RTA_GATEWAY => found.gateway = address(payload),
            // An IPv4 route by an IPv6 neighbour: u16 family, then the address.
            RTA_VIA => found.gateway = payload.get(2..).and_then(address),
            _ => {}
        }
    }
    Ok(found)
}

/// A row of the neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// Its MAC address is known and may be used.
    Known(Mac),
    /// Asked for, no answer yet.
    Waiting,
    /// Asked for, nobody answered.
    Failed,
    /// No row.
    None,
}

const NDMSG: usize = 12;

fn neighbour_request(index: u32, ip: IpAddr, flags: u8) -> Vec<u8> {
    let mut body = vec![0u8; NDMSG];
    body[0] = family(ip);
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[10] = flags;
    attribute(libc::NDA_DST, &octets(ip), &mut body);
    body
}

/// The neighbour table's row for `ip` on interface `index` (`RTM_GETNEIGH` for one row: Linux 5.0).
pub(crate) fn neighbour(index: u32, ip: IpAddr) -> io::Result<Neighbour> {
    let asked = Socket::open(libc::NETLINK_ROUTE)?.ask(libc::RTM_GETNEIGH, 0, &neighbour_request(index, ip, 0));
    let answer = match asked {
        Ok((_, answer)) => answer,
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(Neighbour::None),
        Err(e) => return Err(e),
    };
    let state = u16_at(&answer, 8).ok_or_else(|| garbled("neighbour"))?;
    let usable = libc::NUD_REACHABLE
        | libc::NUD_STALE
        | libc::NUD_DELAY
        | libc::NUD_PROBE
        | libc::NUD_PERMANENT
        | libc::NUD_NOARP;
    let mac = attributes(&answer[NDMSG..]).find(|a| a.0 == libc::NDA_LLADDR).and_then(|a| a.1.try_into().ok());
    Ok(match mac {
        Some(mac) if state & usable != 0 => Neighbour::Known(mac),
        _ if state & libc::NUD_FAILED != 0 => Neighbour::Failed,
        _ => Neighbour::Waiting,
    })
}

/// Has the kernel resolve `ip` as if a packet had been sent to it (`NTF_USE`, net/core/neighbour.c `neigh_add`): no
/// datagram reaches the far end, which may take a stray one badly.
pub(crate) fn resolve(index: u32, ip: IpAddr) -> io::Result<()> {
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // NLM flags are 16-bit
    let flags = (libc::NLM_F_CREATE | libc::NLM_F_ACK) as u16;
    let body = neighbour_request(index, ip, libc::NTF_USE);
    Socket::open(libc::NETLINK_ROUTE)?.ask(libc::RTM_NEWNEIGH, flags, &body).map(drop)
}

/// Bits of `enum netdev_xdp_act` (include/uapi/linux/netdev.h).
pub(crate) const XDP_FEATURES: [(u64, &str); 7] = [
    (1, "basic"),
    (2, "redirect"),
    (4, "ndo-xmit"),
    (8, "xsk-zerocopy"),
    (16, "hw-offload"),
    (32, "rx-sg"),
    (64, "ndo-xmit-sg"),
];
/// AF_XDP zero-copy.
pub(crate) const XSK_ZEROCOPY: u64 = 8;
/// Native XDP.
pub(crate) const XDP_BASIC: u64 = 1;

/// What the driver says of its XDP abilities (netdev-genl `dev-get`); `None` on kernels before 6.3, which have no such
/// family.
pub(crate) fn xdp_features(index: u32) -> io::Result<Option<u64>> {
    const GENL_ID_CTRL: u16 = 16;
    const CTRL_CMD_GETFAMILY: u8 = 3;
    const CTRL_ATTR_FAMILY_ID: u16 = 1;
    const CTRL_ATTR_FAMILY_NAME: u16 = 2;
    const NETDEV_CMD_DEV_GET: u8 = 1;
    const NETDEV_A_DEV_IFINDEX: u16 = 1;
    const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;

    let socket = Socket::open(libc::NETLINK_GENERIC)?;
    let mut body = vec![CTRL_CMD_GETFAMILY, 1, 0, 0];
    attribute(CTRL_ATTR_FAMILY_NAME, b"netdev\0", &mut body);
    let answer = match socket.ask(GENL_ID_CTRL, 0, &body) {
        Ok((_, answer)) => answer,
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(e) => return Err(e),
    };
    let id = attributes(answer.get(GENL_HEADER..).unwrap_or_default())
        .find(|a| a.0 == CTRL_ATTR_FAMILY_ID)
        .and_then(|a| u16_at(a.1, 0))
        .ok_or_else(|| garbled("netdev family"))?;
    let mut body = vec![NETDEV_CMD_DEV_GET, 1, 0, 0];
    attribute(NETDEV_A_DEV_IFINDEX, &index.to_ne_bytes(), &mut body);
    let (_, answer) = socket.ask(id, 0, &body)?;
    attributes(answer.get(GENL_HEADER..).unwrap_or_default())
        .find(|a| a.0 == NETDEV_A_DEV_XDP_FEATURES)
        .and_then(|a| a.1.first_chunk().map(|c| u64::from_ne_bytes(*c)))
        .map(Some)
        .ok_or_else(|| garbled("xdp features"))
}

/// `struct ifreq` with a pointer to data.
#[repr(C)]
struct IfReq {
    name: [u8; libc::IF_NAMESIZE],
    data: *mut libc::c_void,
    pad: [u8; 16],
}

fn ethtool<T>(name: &str, data: &mut T) -> io::Result<()> {
    // SAFETY: plain socket(2); the descriptor is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut request = IfReq { name: [0; libc::IF_NAMESIZE], data: std::ptr::from_mut(data).cast(), pad: [0; 16] };
    for (to, from) in request.name[..libc::IF_NAMESIZE - 1].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: `request` is an ifreq whose data pointer leads to a live, writable #[repr(C)] structure of the size that
    // its first field (the ethtool command) names.
    let got = unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if got < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Name of the driver (`ETHTOOL_GDRVINFO`).
pub(crate) fn driver(name: &str) -> io::Result<String> {
    /// `struct ethtool_drvinfo`, include/uapi/linux/ethtool.h.
    #[repr(C)]
    struct DrvInfo {
        cmd: u32,
        driver: [u8; 32],
        rest: [u8; 160],
    }
    let mut info = DrvInfo { cmd: 3, driver: [0; 32], rest: [0; 160] };
    ethtool(name, &mut info)?;
    let end = info.driver.iter().position(|&b| b == 0).unwrap_or(info.driver.len());
    Ok(String::from_utf8_lossy(&info.driver[..end]).into_owned())
}

/// RX queues in use (`ETHTOOL_GCHANNELS`: its RX-only and its combined ones).
pub(crate) fn rx_queues(name: &str) -> io::Result<u32> {
    /// `struct ethtool_channels`, include/uapi/linux/ethtool.h.
    #[repr(C)]
    struct Channels {
        cmd: u32,
        max: [u32; 4],
        rx: u32,
        tx: u32,
        other: u32,
        combined: u32,
    }
    let mut channels = Channels { cmd: 0x3c, max: [0; 4], rx: 0, tx: 0, other: 0, combined: 0 };
    ethtool(name, &mut channels)?;
    Ok(channels.rx + channels.combined)
}

/// Binds a socket to an interface (`SO_BINDTODEVICE`), so that another one never answers for it.
pub(crate) fn bind_to_device(fd: std::os::fd::RawFd, name: &str) -> io::Result<()> {
    set_bytes(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_attribute_bytes_panic_or_loop(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(attributes(&bytes).count() <= bytes.len());
            let _ = message_in(&bytes);
        }
    }

    #[test]
    fn written_attributes_read_back() {
        let mut bytes = Vec::new();
        attribute(5, &[1, 2, 3], &mut bytes);
        attribute(6, &[9; 8], &mut bytes);
        assert_eq!(attributes(&bytes).collect::<Vec<_>>(), [(5, &[1u8, 2, 3][..]), (6, &[9; 8][..])]);
    }

    #[test]
    fn loopback_is_loopback() {
        let lo = link("lo").unwrap().unwrap();
        assert!(lo.loopback && lo.mac.is_none() && lo.mtu > 0);
        assert!(link("no-such-if").unwrap().is_none());
    }
}
