//! The engine: frames built and checked here, moved and stamped by the child.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use lowlat_netlink::route::link::{self, Link};
use lowlat_transport::clock::now;
use lowlat_transport::{Caps, DpdkPort, Endpoint, Engine, EngineError, Exchange, Got, Ns, Proto};
use lowlat_transport_xdp::wire::{self as frames, FlowHeaders, MAX_HEADER};

use crate::NAME;
use crate::child::{self, Mover};
use crate::port::{Port, PortKind};
use crate::wire::{FRAME, Request};

/// Ethernet without a jumbo frame, bytes: what a port without an interface carries.
const MTU: usize = 1500;
const ETH_LEN: usize = 14;
/// How often and how long ARP is asked: three requests a second apart are the kernel's limit too (`mcast_solicit`,
/// Documentation/networking/ip-sysctl.rst).
const ARP_TRIES: u32 = 3;
const ARP_WAIT_NS: u64 = 1_000_000_000;
/// The ephemeral ports of RFC 6335.
const FIRST_PORT: u16 = 49_152;

pub(crate) fn unavailable(what: &str, why: impl Into<String>, next: impl Into<String>) -> EngineError {
    EngineError::Unavailable { engine: NAME, what: what.to_owned(), why: why.into(), next: next.into() }
}

/// The engine on the port that the endpoint names, else on a packet socket of the path's interface. `reached_by`: why all
/// packets of an interface may not be taken from the kernel.
pub fn open(endpoint: &Endpoint, reached_by: &dyn Fn(&str) -> Option<String>) -> Result<Box<dyn Engine>, EngineError> {
    let what = format!("open {}", endpoint.remote);
    if endpoint.proto != Proto::Udp {
        return Err(unavailable(&what, "this engine builds whole frames, of UDP only", "use --engine spin"));
    }
    child::program(&what)?;
    let asked = endpoint.dpdk.clone().unwrap_or_default();
    let port = Port::parse(asked.port.as_deref().unwrap_or("net_af_packet"))
        .map_err(|why| unavailable(&what, why, "see `lowlat explain dpdk` for --dpdk-port"))?;
    if port.on_interface() {
        if asked.address.is_some() {
            let why = "--dpdk-address is for ports without an interface of the kernel";
            return Err(unavailable(&what, why, "leave it out, or name another --dpdk-port"));
        }
        return on_interface(endpoint, port, &what, reached_by);
    }
    without_interface(endpoint, &port, &asked, &what)
}

fn on_interface(
    endpoint: &Endpoint,
    port: Port,
    what: &str,
    reached_by: &dyn Fn(&str) -> Option<String>,
) -> Result<Box<dyn Engine>, EngineError> {
    let mut endpoint = endpoint.clone();
    if let Some(named) = port.iface() {
        if endpoint.iface.as_deref().is_some_and(|i| i != named) {
            return Err(unavailable(
                what,
                format!("the port is on {named}, and the path is not"),
                "name one interface",
            ));
        }
        endpoint.iface = Some(named.to_owned());
    }
    let path = frames::find(&endpoint).map_err(ours)?;
    let port = port.on(&path.link.name);
    let iface = path.link.name.clone();
    let takes_all = port.kind == PortKind::AfXdp;
    if takes_all {
        may_take_all(what, &path.link, reached_by)?;
    }
    let mtu = usize::try_from(path.link.mtu).unwrap_or(MTU);
    let mut mover = Mover::start(&port, what)?;
    if takes_all && let IpAddr::V4(ip) = path.local.ip() {
        mover.ask(Request::Arp, &ip.octets(), 0).map_err(|why| unavailable(what, why, "use --engine spin"))?;
    }
    let flow = (path.local, path.mac, path.next_hop);
    let program = || link::named(&iface).ok().flatten()?.xdp_program;
    let xdp = if takes_all { program().map(|id| (iface.clone(), id)) } else { None };
    let kept = Kept { reserved: Some(path.reserved), xdp };
    finish(&endpoint, &port, mover, flow, mtu, kept)
}

/// Refuses to take every packet of an interface that the host is reached by, or that has another's program.
pub(crate) fn may_take_all(
    what: &str,
    link: &Link,
    reached_by: &dyn Fn(&str) -> Option<String>,
) -> Result<(), EngineError> {
    let iface = &link.name;
    if let Some(why) = reached_by(iface) {
        return Err(unavailable(what, why, "use net_af_packet, or --engine af-xdp, which takes one flow alone"));
    }
    if link.xdp != "none" {
        let why = format!("{iface} has an XDP program, which would lose its packets");
        return Err(unavailable(what, why, format!("see ip link show {iface}; nothing was changed")));
    }
    Ok(())
}

fn without_interface(
    endpoint: &Endpoint,
    port: &Port,
    asked: &DpdkPort,
    what: &str,
) -> Result<Box<dyn Engine>, EngineError> {
    let Some((address, length)) = asked.address else {
        let why = format!("the kernel has no address for port {}", port.name);
        return Err(unavailable(what, why, "give it one with --dpdk-address ADDRESS/LENGTH"));
    };
    let IpAddr::V4(remote) = endpoint.remote.ip() else {
        return Err(unavailable(what, "a port without an interface speaks IPv4 only", "give the target as IPv4"));
    };
    let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
    // A ring gives back what was sent: its far end is itself.
    let is_itself = remote == address && port.kind != PortKind::Ring;
    if u32::from(remote) & mask != u32::from(address) & mask || is_itself {
        let why = format!("{remote} is not another host of {address}/{length}");
        return Err(unavailable(what, why, "this port reaches its own subnet alone; give it another --dpdk-address"));
    }
    let mut mover = Mover::start(port, what)?;
    let mac = mover.mac;
    mover.ask(Request::Arp, &address.octets(), 0).map_err(|why| unavailable(what, why, "use another port"))?;
    let next_hop = if port.kind == PortKind::Ring { mac } else { resolve(&mut mover, (mac, address), remote, port)? };
    // Any free port will do: nothing else has this address.
    #[allow(clippy::cast_possible_truncation)] // below 2^14
    let any = FIRST_PORT + (now() % 16_384) as u16;
    let source = if endpoint.source_port > 0 { endpoint.source_port } else { any };
    let flow = (SocketAddr::new(address.into(), source), mac, next_hop);
    finish(endpoint, port, mover, flow, MTU, Kept { reserved: None, xdp: None })
}

/// An error of the path's finding, as this engine's.
fn ours(error: EngineError) -> EngineError {
    match error {
        EngineError::Unavailable { what, why, next, .. } => {
            EngineError::Unavailable { engine: NAME, what, why: why.replace("AF_XDP carries", "DPDK carries"), next }
        }
        other => other,
    }
}

/// Asks who has an address.
fn resolve(
    mover: &mut Mover,
    (mac, address): ([u8; 6], Ipv4Addr),
    remote: Ipv4Addr,
    port: &Port,
) -> Result<[u8; 6], EngineError> {
    const HEAD: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    let mut ask = [[0xff; 6], mac].concat();
    ask.extend(HEAD);
    ask.extend(mac);
    ask.extend(address.octets());
    ask.extend([0; 6]);
    ask.extend(remote.octets());
    ask.resize(60, 0);
    // The reply: ARP, operation 2, from that address.
    let mut pattern = [0; 32];
    let mut mask = [0; 32];
    pattern[12..22].copy_from_slice(&HEAD);
    pattern[21] = 2;
    pattern[28..32].copy_from_slice(&remote.octets());
    mask[12..22].fill(0xff);
    mask[28..32].fill(0xff);
    let failed = |why: String| EngineError::Unreachable {
        what: format!("resolve {remote} through port {}", port.name),
        why,
        next: "check the cable, the address and the far end".to_owned(),
    };
    mover.ask(Request::Pattern, &[pattern, mask].concat(), 0).map_err(failed)?;
    for _ in 0..ARP_TRIES {
        let (_, got) = mover.ask(Request::Exchange(ARP_WAIT_NS), &ask, ARP_WAIT_NS).map_err(failed)?;
        if let Some(found) = got.and_then(|(_, frame)| frame.get(22..28)?.try_into().ok()) {
            return Ok(found);
        }
    }
    Err(failed("no neighbour answered".to_owned()))
}

/// What lives as long as the engine.
struct Kept {
    /// Holds the local port where the kernel has the address.
    reserved: Option<UdpSocket>,
    /// Where the child has attached an XDP program, and the kernel's number of it.
    xdp: Option<(String, u32)>,
}

fn finish(
    endpoint: &Endpoint,
    port: &Port,
    mut mover: Mover,
    (local, mac, next_hop): (SocketAddr, [u8; 6], [u8; 6]),
    mtu: usize,
    kept: Kept,
) -> Result<Box<dyn Engine>, EngineError> {
    let what = format!("open {}", endpoint.remote);
    let dscp = endpoint.dscp.unwrap_or(0) & 0x3f;
    let flow = FlowHeaders::new(local, endpoint.remote, mac, next_hop, dscp)
        .ok_or_else(|| unavailable(&what, "local and remote address are of two families", "give both of one family"))?;
    let room = (mtu + ETH_LEN).min(FRAME);
    if endpoint.max_message + flow.len() > room {
        let why = format!("a message of {} bytes does not fit into a frame of {room}", endpoint.max_message);
        return Err(unavailable(&what, why, "use a smaller --size: this engine does not fragment"));
    }
    let (pattern, mask) = flow.pattern();
    mover
        .ask(Request::Pattern, &[pattern, mask].concat(), 0)
        .map_err(|why| unavailable(&what, why, "use --engine spin"))?;
    let caps = Caps {
        max_message: room - flow.len(),
        spins: true,
        words: format!("DPDK {} on {}", mover.driver, port.name),
        costs: costs(port),
    };
    Ok(Box::new(Dpdk {
        mover,
        flow,
        caps,
        frame: vec![0; FRAME],
        target: endpoint.remote.to_string(),
        where_refused: endpoint.where_refused,
        local_port: local.port(),
        kept,
        discarded: 0,
    }))
}

fn costs(port: &Port) -> String {
    let lost = match port.kind {
        PortKind::AfPacket => "the kernel still builds a socket buffer for every packet, and sees it too",
        PortKind::AfXdp => {
            "a partial bypass of the whole first queue: firewall, routing and sockets are lost for all of it"
        }
        PortKind::Tap | PortKind::Ring => "a virtual port: no NIC is reached by it",
        PortKind::Pci => {
            "a full bypass: the interface, its firewall, routing, sockets and tcpdump are gone while DPDK has it"
        }
    };
    format!("a whole core while it waits, and a second program; {lost}; needs root")
}

/// The engine.
struct Dpdk {
    mover: Mover,
    flow: FlowHeaders,
    caps: Caps,
    frame: Vec<u8>,
    target: String,
    where_refused: &'static str,
    local_port: u16,
    kept: Kept,
    discarded: u64,
}

impl Dpdk {
    fn failed(&self, why: String) -> EngineError {
        EngineError::Unreachable {
            what: format!("exchange with {} by {}", self.target, self.caps.words),
            why,
            next: "start the command again; where it stays so, use --engine spin".to_owned(),
        }
    }

    fn built(&mut self, message: &[u8]) -> Result<usize, EngineError> {
        self.flow.write(message, &mut self.frame).ok_or_else(|| {
            self.failed(format!("a message of {} bytes exceeds {}", message.len(), self.caps.max_message))
        })
    }

    /// The answer inside a frame that fits the pattern, copied into `buf`.
    fn message(&mut self, frame: Option<(u64, usize)>, buf: &mut [u8]) -> Option<Got> {
        let (at, len) = frame?;
        let message = self.flow.payload(&self.frame[..len])?;
        let Some(to) = buf.get_mut(..message.len()) else {
            self.discarded += 1;
            return None;
        };
        to.copy_from_slice(message);
        Some(Got { len: message.len(), at, kernel_rx: None, hardware_rx: None })
    }

    /// The kernel has a copy of each answer where it has the interface, and reports a far end that refuses.
    fn drain(&self) -> Result<(), EngineError> {
        let Some(reserved) = &self.kept.reserved else { return Ok(()) };
        let mut byte = [0];
        loop {
            match reserved.recv(&mut byte) {
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => {
                    return Err(EngineError::Unreachable {
                        what: format!("receive from {}", self.target),
                        why: e.to_string(),
                        next: self.where_refused.to_owned(),
                    });
                }
            }
        }
    }

    /// One request whose answer may hold a frame, which is copied away.
    fn ask(&mut self, request: Request, len: usize, wait: u64) -> Result<(Ns, Option<(u64, usize)>), EngineError> {
        let asked = self.mover.ask(request, &self.frame[..len], wait);
        match asked {
            Ok((sent, got)) => {
                let got = got.map(|(at, frame)| {
                    self.frame[..frame.len()].copy_from_slice(frame);
                    (at, frame.len())
                });
                Ok((sent, got))
            }
            Err(why) => Err(self.failed(why)),
        }
    }
}

impl Engine for Dpdk {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn works_alone(&self) -> bool {
        false
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let len = self.built(message)?;
        self.ask(Request::Send, len, 0).map(|(sent, _)| sent)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        loop {
            let (_, got) = self.ask(Request::Receive(until), 0, until.saturating_sub(now()))?;
            self.drain()?;
            let came = got.is_some();
            // A damaged one is a loss, as on a kernel socket.
            match self.message(got, buf) {
                None if came && now() < until => {}
                other => return Ok(other),
            }
        }
    }

    fn exchange(&mut self, message: &[u8], buf: &mut [u8], wait: u64) -> Result<Exchange, EngineError> {
        let len = self.built(message)?;
        let (sent, got) = self.ask(Request::Exchange(wait), len, wait)?;
        let refused = self.drain();
        let came = got.is_some();
        let until = sent.saturating_add(wait);
        Ok(Exchange {
            sent,
            got: match self.message(got, buf) {
                Some(got) => Ok(Some(got)),
                None if came && now() < until => self.recv(buf, until),
                None => refused.map(|()| None),
            },
        })
    }

    fn discarded(&self) -> u64 {
        self.discarded
    }

    fn flow(&self) -> lowlat_transport::Flow {
        lowlat_transport::Flow { source_port: Some(self.local_port), ..lowlat_transport::Flow::default() }
    }
}

impl Drop for Dpdk {
    fn drop(&mut self) {
        let ended = self.mover.end();
        // A child that was killed could not take its program off.
        if ended.is_none()
            && let Some((iface, program)) = &self.kept.xdp
        {
            let _ = link::detach_xdp(iface, *program);
        }
    }
}

// A pattern holds all headers of a flow.
const _: () = assert!(MAX_HEADER <= 64);
