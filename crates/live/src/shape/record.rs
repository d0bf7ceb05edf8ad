//! Recording a shape: from the file of a capture, or from the datagrams or segments that a live socket gets.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use lowlat_model::{FlowShape, Reading, Schema};
use lowlat_shape::capture::CaptureReader;
use lowlat_shape::{FlowEnd, FlowKey, Flows, shaped};
use lowlat_sys::{LiveSocket, Sys, Tap, Tapped, TrafficDoor};

use crate::{Failure, signals};

/// The file is read in pieces of this length.
const PIECE: usize = 256 << 10;
/// Between two looks at the datagrams that came, ns: what comes meanwhile has to fit the kernel's room for them.
const LOOK_NS: u64 = 50_000_000;

/// A live socket.
#[derive(Debug, Clone, Copy)]
pub struct SocketAsk {
    /// Its local port.
    pub port: Option<u16>,
    /// The process that has it.
    pub pid: Option<u32>,
    /// For how long it is looked at, ns.
    pub duration_ns: u64,
    /// A gap of at least this begins a burst, ns.
    pub burst_gap_ns: u64,
}

/// The shape of the flow of a capture that has the most packets, with a port of those from or to it.
pub fn of_capture(file: &Path, port: Option<u16>, burst_gap_ns: u64) -> Result<FlowShape, Failure> {
    const NEXT: &str = "give a file that tcpdump -w or Wireshark wrote";
    let mut from = lowlat_sys::store::open_regular(file).map_err(|e| Failure::because(e, NEXT))?;
    let wrong = |why: String| Failure::new(format!("read the capture {}: {why}; {NEXT}", file.display()));
    let (mut reader, mut flows) = (CaptureReader::default(), Flows::default());
    let mut notes = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        if signals::stopped() {
            return Err(Failure::new("record a shape: interrupted by a signal; run it again"));
        }
        let length = from.read(&mut piece).map_err(|e| wrong(e.to_string()))?;
        if length == 0 {
            if reader.finish().map_err(wrong)? {
                notes.push("the capture is cut short within a packet".to_owned());
            }
            break;
        }
        reader.push(&piece[..length], &mut |packet| _ = flows.take_captured(packet, port)).map_err(wrong)?;
        if !flows.has_room() {
            notes.push("the capture is longer than what was read of it".to_owned());
            break;
        }
    }
    let what = || {
        let of = port.map_or_else(String::new, |p| format!(" from or to port {p}"));
        format!(
            "record a shape from {}: of its {} records none is UDP or TCP with something in it{of}",
            file.display(),
            reader.records()
        )
    };
    finish(flows, ("capture", burst_gap_ns, notes), &|| {
        let next =
            if port.is_some() { "leave out --port, or give another" } else { "capture with the packets of the flow" };
        format!("{}; {next}", what())
    })
}

/// The shape of what live sockets get: of UDP sockets the datagrams of the sender that sends most of them; where there is none, of TCP
/// connections the segments with data of the busiest.
pub fn of_socket(ask: &SocketAsk, sys: &dyn Sys) -> Result<FlowShape, Failure> {
    let (tapped, ports) = ports(ask, sys)?;
    let all: Vec<u16> = ports.iter().copied().take(Tap::MOST_PORTS).collect();
    let tap = match Tap::open(tapped, ask.pid, &all) {
        Reading::Value(tap) => tap,
        other => return Err(cannot(ask, &other)),
    };
    let (mut flows, mut overruns, mut notes) = (Flows::default(), 0, Vec::new());
    let began = sys.now_ns();
    loop {
        let left = ask.duration_ns.saturating_sub(sys.now_ns().saturating_sub(began));
        sys.wait(left.min(LOOK_NS));
        let take = &mut |d: lowlat_sys::TappedDatagram| {
            // The head has no need for the address that it was sent to: the port is this host's.
            let to = FlowEnd { address: [0; 16], v6: d.from.is_ipv6(), port: d.port };
            let tcp = tapped == Tapped::Tcp;
            let from = FlowEnd { port: if tcp { d.from_port } else { 0 }, ..end(d.from) };
            flows.take(FlowKey { tcp, from, to }, d.at_realtime_ns, d.bytes);
        };
        tap.drain(take)
            .map_err(|e| Failure::new(format!("look at the datagrams of {}: {e}; run it again", whose(ask))))?;
        overruns += tap.overruns();
        if left == 0 || signals::stopped() || !flows.has_room() {
            break;
        }
    }
    if signals::stopped() {
        notes.push("interrupted: what came until then".to_owned());
    }
    if overruns > 0 {
        notes.push(format!("{overruns} datagrams found no room in the packet socket: gaps are longer than they were"));
    }
    if tapped == Tapped::Tcp {
        notes.push("segments as they came to this host: what GRO merged is one, with the length of all".to_owned());
    }
    if ports.len() > all.len() {
        notes.push(format!("{} of {} ports are looked at", all.len(), ports.len()));
    }
    finish(flows, ("socket", ask.burst_gap_ns, notes), &|| {
        let what = if tapped == Tapped::Tcp { "segment with data" } else { "datagram" };
        format!(
            "record a shape at {}: no {what} came; start when it gets some, or look longer with --duration",
            whose(ask)
        )
    })
}

/// The local ports of the UDP sockets that are asked for, or where there are none of the TCP connections; at least one.
fn ports(ask: &SocketAsk, sys: &dyn Sys) -> Result<(Tapped, BTreeSet<u16>), Failure> {
    let own = match ask.pid {
        None => None,
        Some(pid) => {
            lowlat_collect::is_a_program(sys, pid)?;
            match lowlat_collect::open_sockets(sys, pid) {
                Reading::Value(found) => Some(found.into_iter().map(|(inode, _)| inode).collect::<BTreeSet<u32>>()),
                other => return Err(cannot(ask, &other)),
            }
        }
    };
    let mut door = match TrafficDoor::open(ask.pid, ask.port, None) {
        Reading::Value(door) => door,
        other => return Err(cannot(ask, &other)),
    };
    let found = door.sockets(sys.now_ns(), &mut |inode| own.as_ref().is_none_or(|own| own.contains(&inode)));
    let found = match found {
        Reading::Value(found) => found,
        other => return Err(cannot(ask, &other)),
    };
    let fits = |port: u16| port > 0 && ask.port.is_none_or(|p| p == port);
    let ports: BTreeSet<u16> = found.iter().filter(|s| s.udp).map(|s| s.local.port()).filter(|p| fits(*p)).collect();
    if !ports.is_empty() {
        return Ok((Tapped::Udp, ports));
    }
    // The port may be the server's or the client's; what comes to this end is looked at in either case.
    let connected = found.iter().filter(|s| !s.udp && s.state == "established");
    let of = |s: &&LiveSocket| fits(s.local.port()) || fits(s.remote.port());
    let ports: BTreeSet<u16> = connected.filter(of).map(|s| s.local.port()).collect();
    if ports.is_empty() {
        let why = "neither a UDP socket nor a TCP connection fits";
        let next = "start when the application runs, or find its port with ss -tuan";
        return Err(Failure::new(format!("record a shape at {}: {why}; {next}", whose(ask))));
    }
    Ok((Tapped::Tcp, ports))
}

/// The document of the largest flow.
fn finish(
    flows: Flows,
    (source, burst_gap_ns, mut notes): (&str, u64, Vec<String>),
    none: &dyn Fn() -> String,
) -> Result<FlowShape, Failure> {
    notes.extend(flows.left_out());
    let Some((key, packets, other_flows)) = flows.largest() else { return Err(Failure::new(none())) };
    let flow = format!("{} to {}", shown(key.from), shown(key.to));
    let made = shaped(packets, burst_gap_ns)
        .map_err(|why| Failure::new(format!("record the shape of {flow}: {why}; record longer")))?;
    notes.extend(made.notes);
    Ok(FlowShape {
        schema: Schema::current("shape"),
        source: source.to_owned(),
        proto: if key.tcp { "tcp" } else { "udp" }.to_owned(),
        flow,
        other_flows,
        recorded_ns: made.recorded_ns,
        burst_gap_ns,
        packets: made.packets,
        notes,
    })
}

fn end(address: IpAddr) -> FlowEnd {
    let mut all = [0; 16];
    match address {
        IpAddr::V4(four) => all[..4].copy_from_slice(&four.octets()),
        IpAddr::V6(six) => all = six.octets(),
    }
    FlowEnd { address: all, v6: address.is_ipv6(), port: 0 }
}

/// As text; of a live socket the sender's port and the receiver's address are not known.
fn shown(end: FlowEnd) -> String {
    let [a, b, c, d, ..] = end.address;
    let address: IpAddr = if end.v6 { Ipv6Addr::from(end.address).into() } else { Ipv4Addr::new(a, b, c, d).into() };
    match (address.is_unspecified(), end.port) {
        (true, port) => format!("port {port}"),
        (false, 0) => address.to_string(),
        (false, port) => SocketAddr::new(address, port).to_string(),
    }
}

fn whose(ask: &SocketAsk) -> String {
    let parts = [ask.pid.map(|p| format!("process {p}")), ask.port.map(|p| format!("port {p}"))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn cannot<T>(ask: &SocketAsk, why: &Reading<T>) -> Failure {
    let (kind, why) = why.why_not().unwrap_or_default();
    let next = next(kind, why);
    Failure::new(format!("record a shape at {}: {kind}: {why}{next}", whose(ask)))
}

/// What to do where the sockets or their datagrams cannot be read: more rights help only where some were denied.
fn next(kind: &str, why: &str) -> &'static str {
    match kind {
        // Who named the capability said so already.
        "denied" if why.contains("run as ") => "",
        "denied" => "; run as root",
        "absent" => "; it may have ended: start when the application runs",
        _ => "; capture its packets with tcpdump -w, and give --from-pcap",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rights_are_advised_only_where_they_help() {
        let ask = SocketAsk { port: None, pid: Some(7), duration_ns: 1, burst_gap_ns: 1 };
        let said = |why: Reading<()>| cannot(&ask, &why).to_string();
        let absent = said(Reading::Absent("/proc/7/fd: no such file".into()));
        assert!(absent.contains("process 7: absent: ") && absent.contains("start when"), "{absent}");
        assert!(!absent.contains("root"), "{absent}");
        assert!(said(Reading::Denied("open x".into())).ends_with("denied: open x; run as root"));
        let once = said(Reading::Denied("open x; run as root, or with CAP_NET_RAW".into()));
        assert_eq!(once.matches("run as root").count(), 1, "{once}");
        let old = said(Reading::Unsupported("x".into()));
        assert!(old.contains("unsupported: x; capture") && !old.contains("root"), "{old}");
    }

    #[test]
    fn a_flow_is_named_by_what_is_known_of_it() {
        let four = end("192.0.2.7".parse().unwrap());
        assert_eq!(shown(four), "192.0.2.7");
        assert_eq!(shown(FlowEnd { port: 9, ..four }), "192.0.2.7:9");
        assert_eq!(shown(FlowEnd { port: 9, ..end("fd00::7".parse().unwrap()) }), "[fd00::7]:9");
        assert_eq!(shown(FlowEnd { address: [0; 16], v6: false, port: 9 }), "port 9");
    }
}
