//! One path: where the far end is, how it is probed, and with which engine. Opens engines and peers by name.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use lowlat_model::bypass_verdict::Extent;
use lowlat_model::tune::Placement;
use lowlat_peers::{FoundPace, Key, Peer, PeerOptions};
use lowlat_transport::{DpdkPort, Endpoint, Engine, EngineError, Proto};
use lowlat_transport_uring::RingOptions;

use crate::Failure;

/// The name that asks for no program at the far end.
pub const NO_PEER: &str = "none";

/// Refuses what no request of the link layer can reach.
fn of_the_link(target: &str, proto: Proto, remote: SocketAddr, iface: Option<&str>) -> Result<(), Failure> {
    let refused = |why: &str, next: &str| Err(Failure::new(format!("ask for the neighbour {target:?}: {why}; {next}")));
    match proto {
        Proto::Arp | Proto::Nd if remote.port() != 0 => refused("a host of the link has no port", "leave the port out"),
        Proto::Arp if remote.is_ipv6() => refused("ARP is for IPv4", "choose --proto nd"),
        Proto::Nd if remote.is_ipv4() => refused("neighbour discovery is for IPv6", "choose --proto arp"),
        Proto::Arp if iface.is_none() => refused("its link is not named", "add --iface IF"),
        _ => Ok(()),
    }
}

/// What needs no program at the far end: handshakes with a port that the target names, else echo requests. Handshakes or
/// echo requests that were asked for stay.
fn without_peer(target: &str, asked: Proto) -> Result<Proto, Failure> {
    match asked {
        Proto::Udp if resolve(target, 0)?.port() == 0 => Ok(Proto::Icmp),
        Proto::Udp => Ok(Proto::TcpConnect),
        Proto::Icmp | Proto::TcpConnect | Proto::Tls | Proto::UdpClosed | Proto::Arp | Proto::Nd => Ok(asked),
        Proto::Tcp => Err(Failure::new(
            "probe over tcp with --peer none: a stream needs a program that answers; choose --proto tcp-connect or icmp",
        )),
    }
}

/// Everything needed to open an engine and a peer on one path, again and again.
#[derive(Debug, Clone)]
pub struct ProbePath {
    /// Far end.
    pub remote: SocketAddr,
    /// As the user wrote it.
    pub words: String,
    /// Addresses of the same name that were tried before `remote` and did not answer.
    pub silent: Vec<SocketAddr>,
    /// Protocol.
    pub proto: Proto,
    /// Far-end protocol.
    pub peer: String,
    /// Message size, bytes.
    pub size: usize,
    /// Prober's CPU, if one was asked for.
    pub cpu: Option<u32>,
    /// Where the probers run, once that is decided ([`crate::probe::place`]): then for every round of the run.
    pub placed: Option<Placement>,
    /// A probe is lost after this, ns.
    pub timeout_ns: u64,
    /// DSCP.
    pub dscp: Option<u8>,
    /// `SO_PRIORITY`.
    pub priority: Option<u8>,
    /// Interface.
    pub iface: Option<String>,
    /// Ask for stamps.
    pub stamps: bool,
    /// Shared key.
    pub key: Option<Key>,
    /// SO_BUSY_POLL, µs.
    pub busy_poll_us: Option<u32>,
    /// The port of the engine `dpdk`.
    pub dpdk: Option<DpdkPort>,
    /// What sessions found of the far end's pace.
    pub found: KnownPace,
}

/// What the first session on a path found of the far end's pace, for all later ones: a path's clones have it in common.
#[derive(Debug, Clone, Default)]
pub struct KnownPace(Arc<Mutex<Option<FoundPace>>>);

impl KnownPace {
    /// What is known.
    pub fn known(&self) -> Option<FoundPace> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a session found. One that found nothing takes nothing away.
    pub(crate) fn keep(&self, found: Option<FoundPace>) {
        if found.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }
}

/// How a path is to be probed, before its target is resolved.
#[derive(Debug, Clone)]
pub struct PathAsk {
    /// Protocol.
    pub proto: Proto,
    /// Far-end protocol; ICMP has its own.
    pub peer: String,
    /// Message size, bytes.
    pub size: usize,
    /// Prober's CPU.
    pub cpu: Option<u32>,
    /// A probe is lost after this, ns.
    pub timeout_ns: u64,
    /// DSCP.
    pub dscp: Option<u8>,
    /// `SO_PRIORITY`.
    pub priority: Option<u8>,
    /// File with the shared key.
    pub key_file: Option<std::path::PathBuf>,
    /// SO_BUSY_POLL, ns.
    pub busy_poll_ns: Option<u64>,
    /// The port of the engine `dpdk`.
    pub dpdk: Option<DpdkPort>,
}

/// Every engine of this build, with the crate that has it.
pub const ENGINES: &[&str] = &["block", "spin", "busy-poll", "epoll", "suspend", "io-uring", "af-xdp", "dpdk"];

/// Whether a text names an engine, its options included (`io-uring:sleep+multishot`); why not.
pub fn is_engine(name: &str) -> Result<(), String> {
    match name.split_once(':') {
        Some((lowlat_transport_uring::NAME, options)) => RingOptions::parse(options).map(drop),
        Some((engine, options)) if ENGINES.contains(&engine) => {
            Err(format!("{engine} has no option {options:?}; leave it out"))
        }
        None if ENGINES.contains(&name) => Ok(()),
        _ => Err(format!("no such engine; choose one of {}", ENGINES.join(", "))),
    }
}

/// A port of the engine `dpdk`, as the user names it; as text, why it is none.
pub fn dpdk_port(text: &str) -> Result<String, String> {
    lowlat_transport_dpdk::Port::parse(text).map(|_| text.to_owned())
}

/// An IPv4 address and the length of its subnet: `192.0.2.10/24`.
pub fn subnet(text: &str) -> Result<(std::net::Ipv4Addr, u8), String> {
    let read = || {
        let (address, length) = text.split_once('/')?;
        let length = length.parse().ok().filter(|n| (1..=32).contains(n))?;
        Some((address.parse().ok()?, length))
    };
    read().ok_or_else(|| "give an IPv4 address and the length of its subnet: 192.0.2.10/24".to_owned())
}

/// The reference page of an engine: the doc comment of its file. What it costs on this host, the engine itself says
/// when it is opened.
pub fn engine_page(name: &str) -> Option<String> {
    let source = match name {
        "block" => include_str!("../../transport/src/block.rs"),
        "spin" => include_str!("../../transport/src/spin.rs"),
        "busy-poll" => include_str!("../../transport/src/busy_poll.rs"),
        "epoll" => include_str!("../../transport/src/epoll.rs"),
        "suspend" => include_str!("../../transport/src/suspend.rs"),
        "io-uring" => include_str!("../../transport-uring/src/lib.rs"),
        "af-xdp" => include_str!("../../transport-xdp/src/lib.rs"),
        "dpdk" => include_str!("../../transport-dpdk/src/lib.rs"),
        _ => return None,
    };
    let lines = source.lines().map_while(|l| l.strip_prefix("//!"));
    Some(lines.flat_map(|l| [l.strip_prefix(' ').unwrap_or(l), "\n"]).collect())
}

/// What an engine goes past, and what stops working for its flow, each with its reason: the section *What it gives up*
/// of its page. `None` where the page has none.
pub fn gives_up(name: &str) -> Option<(Extent, Vec<String>)> {
    let page = engine_page(name.split(':').next()?)?;
    let (_, section) = page.split_once("## What it gives up\n")?;
    let mut bypass = None;
    let mut loses: Vec<String> = Vec::new();
    for line in section.lines().take_while(|l| !l.starts_with('#')) {
        if let Some(is) = line.strip_prefix("Bypass: ") {
            bypass = match is.split([':', '.']).next() {
                Some("none") => Some(Extent::None),
                Some("partial") => Some(Extent::Partial),
                Some("full") => Some(Extent::Full),
                _ => None,
            };
        } else if let Some(what) = line.strip_prefix("- ") {
            loses.push(what.to_owned());
        } else if let (Some(more), Some(last)) = (line.strip_prefix("  "), loses.last_mut()) {
            last.push(' ');
            last.push_str(more);
        }
    }
    Some((bypass?, loses))
}

impl ProbePath {
    /// From what was asked; resolves the name and checks what can be checked before a packet leaves. Of a name with
    /// several addresses the first that answers counts, in the order of the C library (RFC 6724); where none does, the
    /// first.
    pub fn new(target: &str, ask: &PathAsk, iface: Option<&str>) -> Result<Self, Failure> {
        let proto = if ask.peer == NO_PEER { without_peer(target, ask.proto)? } else { ask.proto };
        // The far host's kernel answers both; nothing needs to run there.
        let peer_name = match proto {
            Proto::Icmp => "icmp".to_owned(),
            Proto::TcpConnect => "tcp-connect".to_owned(),
            Proto::Tls => "tls".to_owned(),
            Proto::UdpClosed => "udp-closed".to_owned(),
            Proto::Arp => "arp".to_owned(),
            Proto::Nd => "nd".to_owned(),
            Proto::Udp | Proto::Tcp => ask.peer.clone(),
        };
        let key = ask.key_file.as_deref().map(read_key).transpose()?;
        let entry = lowlat_peers::find(&peer_name).ok_or_else(|| {
            let names: Vec<&str> = lowlat_peers::PEERS.iter().map(|p| p.name).collect();
            Failure::new(format!(
                "probe by {peer_name:?}: no such far-end protocol; choose one of {}",
                names.join(", ")
            ))
        })?;
        let peer = (entry.make)(&PeerOptions { key: key.clone(), message_len: ask.size, ..PeerOptions::default() });
        if !entry.protos.contains(&proto) {
            return Err(Failure::new(format!(
                "probe {peer_name} over {proto:?}: {peer_name} does not run on it; choose another --proto or --peer"
            )));
        }
        let (smallest, largest) = peer.message_sizes();
        if !(smallest..=largest).contains(&ask.size) {
            return Err(Failure::new(format!(
                "send {} byte messages: {peer_name} takes {smallest} to {largest} bytes; choose another --size",
                ask.size
            )));
        }
        let all = resolve_all(target, peer.default_port())?;
        let remote = all[0];
        if proto == Proto::Icmp && remote.port() != 0 {
            return Err(Failure::new(format!(
                "probe {target:?} over ICMP: an echo request has no port; leave out :{}, or choose --proto udp",
                remote.port()
            )));
        }
        of_the_link(target, proto, remote, iface)?;
        if proto == Proto::TcpConnect && remote.port() == 0 {
            return Err(Failure::new(format!(
                "connect to {target:?}: no port given; name one that listens there, as in {target}:443"
            )));
        }
        let busy_poll_us = ask.busy_poll_ns.map(|ns| u32::try_from(ns / 1_000).unwrap_or(u32::MAX));
        let first = Self {
            remote,
            words: target.to_owned(),
            silent: Vec::new(),
            proto,
            peer: peer_name,
            size: ask.size,
            cpu: ask.cpu,
            placed: None,
            timeout_ns: ask.timeout_ns,
            dscp: ask.dscp,
            priority: ask.priority,
            iface: iface.map(str::to_owned),
            stamps: false,
            key,
            busy_poll_us,
            dpdk: ask.dpdk.clone(),
            found: KnownPace::default(),
        };
        Ok(first.that_answers(&all))
    }

    /// This path to the first of its name's addresses that answers. A name with one address is not asked.
    fn that_answers(self, all: &[SocketAddr]) -> Self {
        if all.len() < 2 {
            return self;
        }
        let to = |n: usize| {
            // Each address may be another host's.
            Self { remote: all[n], silent: all[..n].to_vec(), found: KnownPace::default(), ..self.clone() }
        };
        let answers = |path: &Self| crate::probe::reach(path, lowlat_transport::block::NAME).is_ok();
        (0..all.len()).map(to).find(answers).unwrap_or(self)
    }

    /// That addresses of the name do not answer, as text.
    pub fn silent_words(&self) -> Option<String> {
        let silent: Vec<String> = self.silent.iter().map(ToString::to_string).collect();
        (!silent.is_empty())
            .then(|| format!("{}: {} did not answer, {} is measured", self.words, silent.join(", "), self.remote))
    }

    /// Opens the named engine on this path, from a port of the kernel's choice.
    pub fn open(&self, engine: &str) -> Result<Box<dyn Engine>, EngineError> {
        open_flow(engine, &self.endpoint())
    }

    /// Opens the named engine on a flow that a round of an A/B test shares with another: from `source_port`, or from
    /// one of the kernel's choice if that is 0, and so that the next round can have the same port at once.
    pub fn open_round(&self, engine: &str, source_port: u16) -> Result<Box<dyn Engine>, EngineError> {
        open_flow(engine, &Endpoint { source_port, port_is_reused: true, ..self.endpoint() })
    }

    fn endpoint(&self) -> Endpoint {
        let mut endpoint = Endpoint::new(self.proto, self.remote, self.size);
        endpoint.iface.clone_from(&self.iface);
        endpoint.dscp = self.dscp;
        endpoint.priority = self.priority;
        endpoint.stamps = self.stamps;
        endpoint.busy_poll_us = self.busy_poll_us;
        endpoint.dpdk.clone_from(&self.dpdk);
        endpoint.server_name = server_name(&self.words);
        if let Some(entry) = lowlat_peers::find(&self.peer) {
            endpoint.where_refused = entry.where_refused;
        }
        endpoint
    }

    /// A fresh peer for this path, for a run of that length; `interval_ns` is the time between probes, 0 for as fast as
    /// they go.
    pub fn peer(&self, duration_ns: u64, interval_ns: u64) -> Result<Box<dyn Peer>, Failure> {
        let entry = lowlat_peers::find(&self.peer)
            .ok_or_else(|| Failure::new(format!("probe by {:?}: no such far-end protocol; see --peer", self.peer)))?;
        let options = PeerOptions {
            key: self.key.clone(),
            message_len: self.size,
            duration_ns,
            interval_ns,
            stamps: self.stamps,
            found: self.found.known(),
        };
        Ok((entry.make)(&options))
    }

    /// Where bulk streams would go: the sink of a `lowlat serve`. Another protocol's port is not its port.
    pub fn sink(&self) -> SocketAddr {
        let own = self.peer == lowlat_peers::lowlat::ENTRY.name;
        SocketAddr::new(self.remote.ip(), if own { self.remote.port() } else { lowlat_peers::lowlat::DEFAULT_PORT })
    }

    /// Whether probes may have to be slow: an irtt server says how fast it answers, and what a far kernel answers is paced.
    /// Other far ends are not asked.
    pub fn may_set_a_pace(&self) -> bool {
        use lowlat_peers::{arp, icmp, irtt, nd, tcp_connect, tls, udp_closed};
        [irtt::ENTRY, tcp_connect::ENTRY, tls::ENTRY, udp_closed::ENTRY, icmp::ENTRY, arp::ENTRY, nd::ENTRY]
            .iter()
            .any(|e| e.name == self.peer)
    }

    /// The far end for documents: address and port, or the address alone where the protocol has no ports.
    pub fn shown(&self) -> String {
        shown(self.proto, self.remote)
    }

    /// `udp`, `tcp`, `tcp-connect`, `tls`, `udp-closed`, `icmp`, `arp`, `nd`.
    pub fn proto_name(&self) -> &'static str {
        match self.proto {
            Proto::Icmp => "icmp",
            Proto::Udp => "udp",
            Proto::Tcp => "tcp",
            Proto::TcpConnect => "tcp-connect",
            Proto::Tls => "tls",
            Proto::UdpClosed => "udp-closed",
            Proto::Arp => "arp",
            Proto::Nd => "nd",
        }
    }
}

/// The name in a target `HOST` or `HOST:PORT`; an address is none.
fn server_name(target: &str) -> Option<String> {
    let host = target.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(target, |(host, _)| host);
    let is_name = !host.is_empty() && host.parse::<IpAddr>().is_err() && !host.contains([':', '[', '%']);
    // Without the dot of the root (RFC 6066 §3).
    is_name.then(|| host.trim_end_matches('.').to_owned())
}

fn open_flow(engine: &str, endpoint: &Endpoint) -> Result<Box<dyn Engine>, EngineError> {
    if let Some((lowlat_transport_uring::NAME, options)) = engine.split_once(':') {
        let unknown = |why| EngineError::Unavailable {
            engine: lowlat_transport_uring::NAME,
            what: format!("open with {options:?}"),
            why,
            next: "leave it out".to_owned(),
        };
        let options = RingOptions::parse(options).map_err(unknown)?;
        return lowlat_transport_uring::open_with(endpoint, &options);
    }
    match engine {
        "io-uring" => lowlat_transport_uring::open(endpoint),
        "af-xdp" => lowlat_transport_xdp::open(endpoint),
        "dpdk" => lowlat_transport_dpdk::open(endpoint, &reached_by),
        other => lowlat_transport::open(other, endpoint),
    }
}

/// Why not all packets of an interface may be taken from the kernel: this host is reached by it.
pub(crate) fn reached_by(iface: &str) -> Option<String> {
    let facts = lowlat_collect::gather(&lowlat_sys::Live::new(), None, None);
    crate::optimize::management_ifaces(&facts)
        .iter()
        .any(|i| i == iface)
        .then(|| format!("{iface} carries the default route or a login session, which would lose their packets"))
}

/// No key is longer; RFC 2104 takes one of any length and hashes what exceeds a block of 64 bytes.
const LONGEST_KEY: u64 = 4096;

/// A key shared with the far end, from a file.
pub fn read_key(path: &std::path::Path) -> Result<Key, Failure> {
    let key = lowlat_sys::store::read_secret(path, LONGEST_KEY)?;
    let mut key = key.trim_ascii();
    // As programs of other kinds write theirs, stamp-suite among them.
    let bytes;
    if let Some(hex) = key.strip_prefix(b"hex:") {
        bytes = std::str::from_utf8(hex).ok().and_then(lowlat_model::hex::bytes_of).ok_or_else(|| {
            Failure::new(format!(
                "read the key in {}: what follows hex: is not an even number of hexadecimal digits; fix it",
                path.display()
            ))
        })?;
        key = &bytes;
    }
    if key.len() < 16 {
        return Err(Failure::new(format!(
            "read the key in {}: it has {} bytes, at least 16 are needed; make one with `head -c 32 /dev/urandom | base64`",
            path.display(),
            key.len()
        )));
    }
    Key::new(key).ok_or_else(|| Failure::new(format!("read the key in {}: it is empty; put one in", path.display())))
}

/// `ADDRESS%INTERFACE`, `[ADDRESS%INTERFACE]` or `[ADDRESS%INTERFACE]:PORT`: an address, its interface, and the port.
fn scoped(target: &str) -> Option<(std::net::Ipv6Addr, &str, Option<&str>)> {
    let (inside, port) = match target.strip_prefix('[') {
        Some(rest) => {
            let (inside, behind) = rest.split_once(']')?;
            (inside, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
        }
        None => (target, None),
    };
    let (ip, scope) = inside.split_once('%')?;
    Some((ip.parse().ok()?, scope, port))
}

/// A target's first address.
pub fn resolve(target: &str, default_port: u16) -> Result<SocketAddr, Failure> {
    resolve_all(target, default_port).map(|all| all[0])
}

/// A target's addresses, at least one.
fn resolve_all(target: &str, default_port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let found = look_up(target, default_port)?;
    if let SocketAddr::V6(v6) = found[0]
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        return Err(Failure::new(format!(
            "reach {target:?}: a link-local address is on every link; write {}%INTERFACE",
            v6.ip()
        )));
    }
    Ok(found)
}

fn look_up(target: &str, default_port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(addr) = target.parse::<SocketAddr>() {
        return Ok(vec![addr]);
    }
    let bad_port = |port: &str| {
        Failure::new(format!("read the target {target:?}: {port:?} is not a port; write HOST or HOST:PORT"))
    };
    if let Some((ip, scope, port)) = scoped(target) {
        // The C library takes a name as a scope for these alone (glibc, inet/inet6_scopeid_pton.c).
        if !ip.is_unicast_link_local() {
            return Err(Failure::new(format!(
                "read the target {target:?}: only a link-local address (fe80::/10) has an interface behind it; write {ip}"
            )));
        }
        let port = port.map_or(Ok(default_port), |p| p.parse().map_err(|_| bad_port(p)))?;
        // The C library knows the interfaces' names, and says which address has none.
        let found = (format!("{ip}%{scope}").as_str(), port).to_socket_addrs().ok().and_then(|mut all| all.next());
        return found.map(|addr| vec![addr]).ok_or_else(|| {
            Failure::new(format!(
                "read the target {target:?}: there is no interface {scope:?} here; see `ip link` for the names"
            ))
        });
    }
    let bare = target.strip_prefix('[').and_then(|t| t.strip_suffix(']')).filter(|t| t.contains(':'));
    if let Ok(ip) = bare.unwrap_or(target).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, default_port)]);
    }
    if target.contains(['[', ']']) {
        return Err(Failure::new(format!(
            "read the target {target:?}: its brackets hold no IPv6 address; write [ADDRESS] or [ADDRESS]:PORT"
        )));
    }
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, port),
            Err(_) => return Err(bad_port(port)),
        },
        None => (target, default_port),
    };
    let found = (host, port).to_socket_addrs().map_err(|e| {
        Failure::new(format!("look up the target {target:?}: {e}; write an address, or a name this host resolves"))
    })?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(Failure::new(format!("look up the target {target:?}: the name has no address; write an address")));
    }
    Ok(found)
}

fn shown(proto: Proto, remote: SocketAddr) -> String {
    match (proto, remote) {
        (Proto::Udp | Proto::Tcp | Proto::TcpConnect | Proto::Tls | Proto::UdpClosed, _) => remote.to_string(),
        // An address of the link is one only with its interface.
        (_, SocketAddr::V6(six)) if six.scope_id() != 0 => format!("{}%{}", six.ip(), six.scope_id()),
        _ => remote.ip().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_s_page_says_what_it_gives_up() {
        for engine in ENGINES {
            let (bypass, loses) = gives_up(engine).unwrap_or_else(|| panic!("{engine}: no section What it gives up"));
            assert!(bypass == Extent::None || !loses.is_empty(), "{engine}: a bypass that loses nothing");
            for lost in &loses {
                assert!(lost.split_once(": ").is_some_and(|(what, why)| !what.is_empty() && !why.is_empty()), "{lost}");
            }
        }
        let (bypass, loses) = gives_up("af-xdp").unwrap();
        let named: Vec<&str> = loses.iter().filter_map(|l| l.split(':').next()).collect();
        assert_eq!((bypass, &named[..4]), (Extent::Partial, &["firewall", "routing", "sockets", "tcpdump"][..]));
        assert_eq!(gives_up("warp"), None);
    }

    #[test]
    fn without_a_peer_a_port_is_connected_to_and_a_host_gets_echo_requests() {
        assert_eq!(without_peer("127.0.0.1", Proto::Udp).unwrap(), Proto::Icmp);
        assert_eq!(without_peer("127.0.0.1:443", Proto::Udp).unwrap(), Proto::TcpConnect);
        assert_eq!(without_peer("127.0.0.1", Proto::TcpConnect).unwrap(), Proto::TcpConnect);
        assert!(without_peer("127.0.0.1:443", Proto::Tcp).is_err_and(|e| e.to_string().contains("--peer none")));
    }

    #[test]
    fn what_has_no_ports_is_shown_without_one() {
        let at = |proto, remote: &str| shown(proto, remote.parse().unwrap());
        assert_eq!(at(Proto::Icmp, "192.0.2.7:0"), "192.0.2.7");
        assert_eq!(at(Proto::Icmp, "[2001:db8::7]:0"), "2001:db8::7");
        assert_eq!(at(Proto::Nd, "[fe80::7%3]:0"), "fe80::7%3");
        assert_eq!(at(Proto::Arp, "192.0.2.7:0"), "192.0.2.7");
        assert_eq!(at(Proto::Udp, "192.0.2.7:9"), "192.0.2.7:9");
        assert_eq!(at(Proto::TcpConnect, "[fe80::7%3]:9"), "[fe80::7%3]:9");
    }

    #[test]
    fn targets_with_and_without_a_port() {
        let at = |t: &str| resolve(t, 7).map(|a| a.to_string()).map_err(|e| e.to_string());
        assert_eq!(at("10.1.2.3").as_deref(), Ok("10.1.2.3:7"));
        assert_eq!(at("10.1.2.3:99").as_deref(), Ok("10.1.2.3:99"));
        assert_eq!(at("fd00::1").as_deref(), Ok("[fd00::1]:7"));
        // Interface 1 is the loopback of every namespace.
        for with in ["fe80::1%lo", "[fe80::1%lo]", "fe80::1%1"] {
            assert_eq!(at(with).as_deref(), Ok("[fe80::1%1]:7"), "{with}");
        }
        assert_eq!(at("[fe80::1%lo]:99").as_deref(), Ok("[fe80::1%1]:99"));
        for (bad, named) in
            [("fe80::1", "%INTERFACE"), ("fe80::1%nosuch0", "nosuch0"), ("[fe80::1%lo]:x", "not a port")]
        {
            assert!(at(bad).is_err_and(|e| e.contains(named)), "{bad}");
        }
        assert_eq!(at("[::1]:99").as_deref(), Ok("[::1]:99"));
        assert_eq!(at("[fd02::2]").as_deref(), Ok("[fd02::2]:7"));
        assert!(at("10.1.2.3:many").is_err());
        for bad in ["[fd02::2", "fd02::2]", "[[fd02::2]]", "[10.1.2.3]", "[fd02::2]9"] {
            assert!(at(bad).is_err_and(|e| e.contains("brackets")), "{bad}: {:?}", at(bad));
        }
        assert!(at("fd77::2%lo").is_err_and(|e| e.contains("only a link-local") && e.contains("write fd77::2")));
    }
}
