//! `lowlat watch`: live traffic.

use lowlat_model::trace::TraceDirection;
use lowlat_model::watch::{
    ArrivalShape, DroppedPackets, TriggerReport, WatchCost, WatchDocument, WatchFinding, WatchedSocket, WatchedStages,
};

use super::severity;
use crate::figures::{line, percent, seconds, time};
use crate::page::{Block, Section, Table, text_at};

/// Sockets that are listed; the document holds all.
const SHOWN: usize = 15;

/// The document as text.
pub(crate) fn watch(d: &WatchDocument, width: usize) -> String {
    text_at(&sections(d), width).trim_start().to_owned()
}

/// The document laid out.
pub(crate) fn sections(d: &WatchDocument) -> Vec<Section> {
    let mut out = vec![Section::new("Live traffic", vec![Block::Words(about(d))])];
    if let Some(trigger) = &d.trigger {
        out.push(Section::new("Trigger", waited(trigger)));
        if d.sockets.is_empty() {
            return out;
        }
    }
    if d.findings.is_empty() {
        out.push(Section::new("Findings", vec![Block::Words("Nothing wrong was seen.".to_owned())]));
    } else {
        out.push(Section::new("Findings", vec![Block::List(d.findings.iter().map(finding).collect())]));
    }
    let of = |protocol: &str| d.sockets.iter().filter(|s| s.protocol == protocol).collect::<Vec<_>>();
    connections(&of("tcp"), &mut out);
    datagrams(&of("udp"), &d.arrivals, &mut out);
    if !d.stages.stages.is_empty() {
        out.push(Section::new("Stages of its messages", stages(&d.stages)));
    }
    if !d.dropped.is_empty() {
        let words = "Of the whole host; a packet for a watched UDP port names it.".to_owned();
        let rows = d.dropped.iter().map(dropped).collect();
        let table = Table::block(&["packets", "reason", "place", "port", "process"], rows);
        out.push(Section::new("Packets that the kernel dropped meanwhile", vec![Block::Words(words), table]));
    }
    out.push(Section::new("What watching cost", vec![Block::Words(cost(&d.cost))]));
    if d.sockets_left_out > 0 {
        let words = format!("{} sockets more than there is room for are in no figure.", d.sockets_left_out);
        out.push(Section::new("Left out", vec![Block::Words(words)]));
    }
    if !d.not_seen.is_empty() {
        out.push(Section::new("Could not be seen", vec![super::not_seen(&d.not_seen)]));
    }
    out
}

fn about(d: &WatchDocument) -> String {
    if d.sockets.is_empty() && d.trigger.is_some() {
        return "One stall that crossed a trigger.".to_owned();
    }
    let asked = [
        d.asked.pid.map(|p| format!("process {p}")),
        d.asked.port.map(|p| format!("port {p}")),
        d.asked.peer.as_ref().map(|p| format!("peer {}", line(p))),
    ];
    let asked: Vec<String> = asked.into_iter().flatten().collect();
    let ended = d.ended.as_ref().map_or_else(String::new, |why| format!(" It ended early: {}.", line(why)));
    let interrupted = if d.interrupted { " A signal ended it." } else { "" };
    format!(
        "{}: {} sockets, read {} times in {}, without a probe.{ended}{interrupted}",
        asked.join(", "),
        d.sockets.len(),
        d.readings,
        seconds(d.duration_ns)
    )
}

/// What a trigger caught.
fn waited(t: &TriggerReport) -> Vec<Block> {
    let reach = t.ring_ns.map_or_else(String::new, |ns| format!("; the ring reached back {} or more", seconds(ns)));
    let mut blocks = vec![Block::Words(format!("{}: crossed {} times{reach}.", line(&t.asked), t.crossings))];
    let rows = t.stalls.iter().take(SHOWN).map(|s| {
        vec![
            seconds(s.at_ns),
            line(&s.kind),
            time(Some(s.length_ns).filter(|ns| *ns > 0)),
            s.port.map_or_else(|| "n/a".to_owned(), |p| p.to_string()),
            line(&s.blame),
        ]
    });
    if !t.stalls.is_empty() {
        blocks.push(Table::block(&["at", "what", "length", "port", "blame"], rows.collect()));
    }
    for stall in t.stalls.iter().filter(|s| !s.events.is_empty()) {
        let all = stall.counters.iter().chain(&stall.events).map(|e| line(e)).collect();
        blocks.push(Block::Code(all));
    }
    blocks
}

fn finding(f: &WatchFinding) -> String {
    let evidence: Vec<String> = f.evidence.iter().map(|e| line(e)).collect();
    format!(
        "[{}] {}: {} (seen: {}); {}",
        severity(f.severity),
        line(&f.finding),
        line(&f.title),
        evidence.join("; "),
        line(&f.advice)
    )
}

fn process(owners: &[lowlat_model::application::Owner]) -> String {
    owners.first().map_or_else(|| "n/a".to_owned(), |o| format!("{}[{}]", line(&o.command), o.pid))
}

fn count(n: Option<u64>) -> String {
    n.map_or_else(|| "n/a".to_owned(), |n| n.to_string())
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "n/a".to_owned(), |r| format!("{} %", percent(r)))
}

/// Bytes a second as `12.5 MB/s`.
fn rate(bytes: Option<u64>) -> String {
    match bytes {
        None => "n/a".to_owned(),
        Some(b) if b >= 1_000_000 => format!("{:.1} MB/s", b as f64 / 1e6),
        Some(b) => format!("{:.1} kB/s", b as f64 / 1e3),
    }
}

fn connections(all: &[&WatchedSocket], out: &mut Vec<Section>) {
    if all.is_empty() {
        return;
    }
    let trips = all.iter().take(SHOWN).map(|s| {
        let tcp = s.last.tcp.unwrap_or_default();
        vec![
            name(s),
            process(&s.owners),
            time(s.rtt.mean.or(tcp.rtt_ns)),
            time(tcp.rtt_variance_ns),
            time(tcp.min_rtt_ns),
            count(s.change.retransmits),
            rate(tcp.delivery_rate_bytes),
        ]
    });
    let columns = ["connection", "process", "round trip", "deviation", "least", "sent again", "delivered"];
    let mut blocks = vec![Table::block(&columns, trips.collect())];
    let limits = all.iter().take(SHOWN).map(|s| {
        vec![
            name(s),
            share(s.change.busy_ratio),
            share(s.change.window_limited_ratio),
            share(s.change.buffer_limited_ratio),
            count(s.unread.max),
            count(s.unsent.max),
            count(s.last.backlog),
        ]
    });
    let columns =
        ["connection", "busy", "by far window", "by send buffer", "unread at most", "unsent at most", "backlog"];
    blocks.push(Table::block(&columns, limits.collect()));
    blocks.extend(more(all.len()));
    out.push(Section::new("TCP", blocks));
}

fn more(all: usize) -> Option<Block> {
    (all > SHOWN).then(|| Block::Words(format!("{} more sockets: see --json", all - SHOWN)))
}

fn name(s: &WatchedSocket) -> String {
    let remote = if s.remote.ends_with(":0") { s.state.clone() } else { s.remote.clone() };
    let closed = if s.closed { ", closed" } else { "" };
    format!("{} {}{closed}", line(&s.local), line(&remote))
}

fn datagrams(all: &[&WatchedSocket], arrivals: &[ArrivalShape], out: &mut Vec<Section>) {
    if all.is_empty() {
        return;
    }
    let rows = all.iter().take(SHOWN).map(|s| {
        vec![
            name(s),
            process(&s.owners),
            count(s.unread.max),
            count(s.last.receive_buffer),
            count(s.change.drops),
            count(s.last.backlog),
        ]
    });
    let columns = ["socket", "process", "unread at most", "buffer", "dropped", "backlog"];
    let mut blocks = vec![Table::block(&columns, rows.collect())];
    blocks.extend(more(all.len()));
    let shapes = arrivals.iter().take(SHOWN).map(|a| {
        vec![
            a.port.to_string(),
            a.datagrams.to_string(),
            count(a.largest_bytes),
            time(a.gaps.p50_ns),
            time(a.gaps.p99_ns),
            time(a.gaps.max_ns),
            a.longest_burst.to_string(),
            share(a.in_bursts_ratio),
        ]
    });
    let columns = ["port", "came", "largest", "gap P50", "P99", "max", "longest burst", "in bursts"];
    if !arrivals.is_empty() {
        blocks.push(Table::block(&columns, shapes.collect()));
    }
    out.push(Section::new("UDP", blocks));
}

/// Where the time of live messages goes.
fn stages(s: &WatchedStages) -> Vec<Block> {
    let unmatched = match s.unmatched {
        0 => String::new(),
        n => format!("; {n} more could not be followed"),
    };
    let lost = if s.overruns > 0 { format!("; {} events found no room", s.overruns) } else { String::new() };
    let pids: Vec<String> = s.pids.iter().map(ToString::to_string).collect();
    let words = format!(
        "Of all messages of process {} in {} windows, {} together: {} received, {} sent{unmatched}{lost}.",
        pids.join(", "),
        s.windows,
        seconds(s.traced_ns),
        s.received,
        s.sent
    );
    let rows = s.stages.iter().map(|s| {
        let way = if s.direction == TraceDirection::Out { "sent" } else { "received" };
        let (name, passed) = (format!("{way}: {}", line(&s.name)), s.passed.to_string());
        vec![name, passed, time(s.time.p50_ns), time(s.time.p99_ns), time(s.time.max_ns)]
    });
    vec![Block::Words(words), Table::block(&["stage", "passed", "P50", "P99", "longest"], rows.collect())]
}

fn dropped(d: &DroppedPackets) -> Vec<String> {
    vec![
        d.packets.to_string(),
        line(&d.reason),
        d.place.as_deref().map_or_else(|| "n/a".to_owned(), line),
        d.port.map_or_else(|| "-".to_owned(), |p| p.to_string()),
        if d.owners.is_empty() { "-".to_owned() } else { process(&d.owners) },
    ]
}

fn cost(c: &WatchCost) -> String {
    let tapped = if c.tapped_packets > 0 {
        format!(
            "; the kernel copied the heads of {} datagrams for their stamps, {} found no room",
            c.tapped_packets, c.tap_overruns
        )
    } else {
        String::new()
    };
    let traced = if c.trace_overruns > 0 {
        format!("; {} events of drops found no room and are in no figure", c.trace_overruns)
    } else {
        String::new()
    };
    format!("{} % of a CPU here{tapped}{traced}.", percent(c.cpu_ratio))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::application::Owner;
    use lowlat_model::watch::{SocketSample, TcpSample, WatchAsked, WatchedStage};

    fn document() -> WatchDocument {
        let tcp = TcpSample { rtt_ns: Some(250_000), ..TcpSample::default() };
        let owner = Owner { pid: 812, fd: 3, command: "fe\u{1b}ed".into() };
        let connection = WatchedSocket {
            protocol: "tcp".into(),
            local: "192.0.2.1:40000".into(),
            remote: "192.0.2.9:443".into(),
            owners: vec![owner.clone()],
            last: SocketSample { tcp: Some(tcp), ..SocketSample::default() },
            ..WatchedSocket::default()
        };
        let socket = WatchedSocket {
            protocol: "udp".into(),
            local: "192.0.2.1:5000".into(),
            remote: "0.0.0.0:0".into(),
            state: "close".into(),
            ..WatchedSocket::default()
        };
        WatchDocument {
            asked: WatchAsked { port: Some(5_000), ..WatchAsked::default() },
            sockets: vec![connection, socket],
            arrivals: vec![ArrivalShape { port: 5_000, datagrams: 7, ..ArrivalShape::default() }],
            dropped: vec![DroppedPackets {
                reason: "SOCKET_RCVBUFF".into(),
                packets: 3,
                port: Some(5_000),
                owners: vec![owner],
                ..DroppedPackets::default()
            }],
            ..WatchDocument::default()
        }
    }

    #[test]
    fn what_is_missing_is_not_zero_and_nothing_wrong_is_said() {
        let text = crate::watch(&document(), 120);
        assert!(text.starts_with("LIVE TRAFFIC:\nport 5000: 2 sockets"), "{text}");
        assert!(text.contains("Nothing wrong was seen.") && text.contains("SOCKET_RCVBUFF"), "{text}");
        let row = text.lines().find(|l| l.contains("192.0.2.9:443") && l.contains("feed[812]")).unwrap();
        assert!(row.contains("250 µs") && row.contains("n/a"), "{row}");
        assert!(!text.contains('\u{1b}'));
        assert!(!text.contains("STAGES OF"), "{text}");
    }

    #[test]
    fn stages_of_messages_say_whose_they_are_and_for_how_long() {
        let time = lowlat_model::Quantiles::of(&mut vec![2_000; 40]);
        let stage = WatchedStage {
            name: "scheduling".into(),
            passed: 31,
            time,
            direction: TraceDirection::Back,
            ..WatchedStage::default()
        };
        let stages = WatchedStages {
            windows: 2,
            traced_ns: 100_000_000,
            pids: vec![812],
            received: 40,
            unmatched: 3,
            stages: vec![stage],
            ..WatchedStages::default()
        };
        let text = crate::watch(&WatchDocument { stages, ..document() }, 80);
        for wanted in [
            "process 812 in 2 windows",
            "40 received, 0 sent; 3 more could not be followed",
            "received: scheduling      31  2.00 µs",
        ] {
            assert!(text.replace("\n  ", " ").contains(wanted), "no {wanted}: {text}");
        }
    }
}
