//! From an endpoint to what the headers need: interface, local address and port, next hop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use lowlat_netlink::route::link::{self, Link};
use lowlat_netlink::route::{lookup, neighbour, neighbours, vlan};
use lowlat_os::socket::set_bytes;
use lowlat_transport::{Endpoint, EngineError, Proto};

use crate::NAME;
use crate::device::plain;
use crate::frame::{Mac, Tag};

/// How long the neighbour may take to answer: three requests one second apart is the kernel's own limit
/// (`mcast_solicit`, `retrans_time`; Documentation/networking/ip-sysctl.rst).
const RESOLVE_LIMIT: Duration = Duration::from_secs(3);
/// A source port that is still taken after so long is somebody else's.
const PORT_LIMIT: Duration = Duration::from_millis(200);
const RESOLVE_PAUSE: Duration = Duration::from_millis(2);

/// One flow's way out.
#[derive(Debug)]
pub(crate) struct Path {
    /// The interface of the route.
    pub(crate) link: Link,
    /// The one that gets program and sockets: `link`, or the device under a VLAN interface.
    pub(crate) device: Link,
    /// Of the frames on `device`.
    pub(crate) tag: Option<Tag>,
    /// What there is to say of the choice of `device`.
    pub(crate) remark: Option<String>,
    pub(crate) mac: Mac,
    pub(crate) next_hop: Mac,
    pub(crate) local: SocketAddr,
    /// Holds the local port: the kernel gives it to nobody else, and reports refusals of the far end on it.
    pub(crate) reserved: UdpSocket,
}

pub(crate) fn unavailable(what: &str, why: impl Into<String>, next: impl Into<String>) -> EngineError {
    EngineError::Unavailable { engine: NAME, what: what.to_owned(), why: why.into(), next: next.into() }
}

/// Kinds that send through links of their own: the frames are on those, and no socket of the kind itself gets them
/// natively.
pub(crate) const STACKED: &[&str] = &["bond", "team", "bridge", "macvlan", "macvtap", "ipvlan", "openvswitch"];

const USE_SPIN: &str = "use --engine spin";

/// Finds the way, and refuses what AF_XDP cannot do, each with its reason.
pub(crate) fn find(endpoint: &Endpoint) -> Result<Path, EngineError> {
    let what = format!("open {}", endpoint.remote);
    let os = |what: String| move |source| EngineError::Os { what, source };
    if endpoint.proto != Proto::Udp {
        return Err(unavailable(&what, "AF_XDP carries whole packets and this engine builds UDP only", USE_SPIN));
    }
    let remote = endpoint.remote;
    if remote.port() == 0 || remote.ip().is_unspecified() || remote.ip().is_multicast() {
        return Err(unavailable(&what, "the target must be one host and one port", "give HOST:PORT"));
    }
    if endpoint.local.is_some_and(|l| l.is_ipv4() != remote.is_ipv4()) {
        return Err(unavailable(&what, "local and remote address are of two families", "give both as IPv4 or IPv6"));
    }

    let asked = match &endpoint.iface {
        None => None,
        Some(name) => Some(read_link(name, &what)?),
    };
    // Before the route: an interface that is down has none, and "no route" would hide the cause.
    if let Some(link) = asked.as_ref().filter(|l| !l.up) {
        let next = format!("ip link set {} up", link.name);
        return Err(unavailable(&what, format!("{} is down", link.name), next));
    }
    // A link-local address says itself which link it is on.
    let scope = match remote {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Some(v6.scope_id()),
        _ => None,
    };
    if let (Some(link), Some(scope)) = (&asked, scope)
        && link.index != scope
    {
        let why = format!("the target's scope is another interface than {}", link.name);
        return Err(unavailable(&what, why, "give one of the two"));
    }
    let unreachable = |why: String| EngineError::Unreachable {
        what: format!("find the route to {}", remote.ip()),
        why,
        next: format!("see ip route get {}", remote.ip()),
    };
    let route = lookup::taken(remote.ip(), asked.as_ref().map(|l| l.index).or(scope))
        .map_err(|e| unreachable(plain(e).to_string()))?;
    if let Some(why) = route.refused {
        return Err(unreachable(why));
    }
    let hop = route.hops.first().and_then(|hop| Some((hop.oif?, hop.gateway)));
    let Some((oif, gateway)) = hop else { return Err(unreachable("it leads to no interface".to_owned())) };
    let link = match asked {
        Some(link) => link,
        None => link::numbered(oif)
            .map_err(|e| EngineError::Os { what: format!("read interface {oif}"), source: plain(e) })?
            .ok_or_else(|| unreachable("its interface is gone".to_owned()))?,
    };
    if route.local || link.loopback {
        return Err(unavailable(
            &what,
            "the target is this host itself, and loopback has no queue to bypass",
            USE_SPIN,
        ));
    }
    if !route.unicast {
        return Err(unavailable(&what, "the kernel has no unicast route to it", "see ip route get"));
    }
    let Some(mac) = link.ethernet else {
        return Err(unavailable(&what, format!("{} does not speak Ethernet", link.name), USE_SPIN));
    };

    let under = device_under(&link, endpoint.priority, &what)?;
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut local = endpoint.local.unwrap_or(SocketAddr::new(any, 0));
    if endpoint.source_port > 0 {
        local.set_port(endpoint.source_port);
    }
    let reserved = reserve(local).map_err(os(format!("reserve UDP port on {local}")))?;
    // So that another interface never answers for it.
    set_bytes(reserved.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, link.name.as_bytes())
        .map_err(os(format!("bind to {}", link.name)))?;
    reserved.connect(remote).map_err(|e| EngineError::Unreachable {
        what: format!("connect to {remote} through {}", link.name),
        why: e.to_string(),
        next: format!("see ip route get {}", remote.ip()),
    })?;
    reserved.set_nonblocking(true).map_err(os("make the reserved socket non-blocking".to_owned()))?;
    let local = reserved.local_addr().map_err(os("read the local address".to_owned()))?;

    let next_hop = resolve(&link, gateway.unwrap_or(remote.ip()))?;
    let Under { device, tag, remark } = under;
    Ok(Path { link, device, tag, remark, mac, next_hop, local, reserved })
}

/// Where the frames of an interface are.
#[derive(Debug)]
pub(crate) struct Under {
    pub(crate) device: Link,
    pub(crate) tag: Option<Tag>,
    pub(crate) remark: Option<String>,
}

/// The device that carries the frames of `link`: itself, or what a VLAN interface stands on, with the tag. A VLAN
/// interface on anything but a device keeps its program, at the generic hook of its own.
pub(crate) fn device_under(link: &Link, priority: Option<u8>, what: &str) -> Result<Under, EngineError> {
    let itself = |remark| Under { device: link.clone(), tag: None, remark };
    if link.kind.as_deref() != Some("vlan") {
        return Ok(itself(None));
    }
    let os = |e| EngineError::Os { what: format!("read the VLAN interface {}", link.name), source: plain(e) };
    let vlan = vlan::of(link.index).map_err(os)?;
    let Some(vlan) = vlan.filter(|v| v.protocol == vlan::DOT1Q) else {
        let why = format!("the tags of {} are not 802.1Q, and this engine writes no others", link.name);
        return Err(unavailable(what, why, USE_SPIN));
    };
    let below = if vlan.below_elsewhere { None } else { link::numbered(vlan.below).map_err(os)? };
    let Some(device) = below else {
        return Ok(itself(Some(format!("{} stands on a device of another network namespace", link.name))));
    };
    if device.kind.as_deref() == Some("vlan") {
        let why = format!("{} is a VLAN in the VLAN {} (QinQ), and this engine writes one tag", link.name, device.name);
        return Err(unavailable(what, why, USE_SPIN));
    }
    if device.ethernet.is_none() || device.kind.as_deref().is_some_and(|kind| STACKED.contains(&kind)) {
        let kind = device.kind.as_deref().unwrap_or("interface without Ethernet");
        return Ok(itself(Some(format!("{} stands on {}, a {kind}: it keeps its own hook", link.name, device.name))));
    }
    let code_point = vlan.code_point(priority.map_or(0, u32::from));
    let remark = format!("VLAN {} of {}: frames carry its tag on {}", vlan.id, link.name, device.name);
    Ok(Under { device, tag: Some(Tag { id: vlan.id, code_point }), remark: Some(remark) })
}

/// Binds; a port that is taken is waited for a moment: the socket that had it may be on its way out, held by a child
/// that was forked and has not begun its program yet.
fn reserve(local: SocketAddr) -> std::io::Result<UdpSocket> {
    let start = Instant::now();
    loop {
        match UdpSocket::bind(local) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse && local.port() > 0 && start.elapsed() < PORT_LIMIT => {
            }
            other => return other,
        }
        std::thread::sleep(RESOLVE_PAUSE);
    }
}

fn read_link(name: &str, what: &str) -> Result<Link, EngineError> {
    link::named(name)
        .map_err(|e| EngineError::Os { what: format!("read interface {name}"), source: plain(e) })?
        .ok_or_else(|| {
            unavailable(what, format!("no interface {name:?} in this network namespace"), "see ip link for the names")
        })
}

/// The MAC address of `ip`, asked for on the link if the kernel does not know it yet.
pub(crate) fn resolve(link: &Link, ip: IpAddr) -> Result<Mac, EngineError> {
    let os = |e| EngineError::Os { what: format!("look up neighbour {ip} on {}", link.name), source: plain(e) };
    let start = Instant::now();
    let mut asked = false;
    loop {
        let entry = neighbours::get(link.index, ip).map_err(os)?;
        let (gone, failed) = (entry.is_none(), entry.as_ref().is_some_and(|e| e.failed));
        if let Some(mac) = entry.and_then(|e| e.ethernet) {
            return Ok(mac);
        }
        // A row that failed before we asked is history; one that fails after is an answer.
        if failed && asked && start.elapsed() > RESOLVE_LIMIT / 3 {
            break;
        }
        // Asked again where it failed or is gone, and left to wait where it is being asked for.
        if !asked || failed || gone {
            neighbour::resolve(link.index, ip).map_err(os)?;
            asked = true;
        }
        if start.elapsed() > RESOLVE_LIMIT {
            break;
        }
        std::thread::sleep(RESOLVE_PAUSE);
    }
    Err(EngineError::Unreachable {
        what: format!("resolve {ip} on {}", link.name),
        why: "no neighbour answered".to_owned(),
        next: format!("see ip neigh show dev {}", link.name),
    })
}
