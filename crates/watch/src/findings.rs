//! What is wrong with live traffic, each claim with what shows it. A connection that is idle, and one that is well, has none.
//!
//! | finding | claimed where | threshold |
//! |---|---|---|
//! | `socket-drops` | a UDP socket, or a listening one, dropped | one packet: the application never gets it |
//! | `reader-behind` | data waits, and none was taken out | three readings in a row, 100 ms: six frames at 60 a second |
//! | `retransmits` | segments were sent again | three, and 0.01 % of those sent, as the rule of that name |
//! | `peer-window` | the far end took no more | half of the time, or three readings with its window at 0 |
//! | `send-buffer` | the send buffer was the limit | half of the time; worth knowing, since bulk data is meant to fill it |
//!
//! A connection's own drops are no finding: TCP counts a duplicate that it throws away as one (net/ipv4/tcp_input.c,
//! `tcp_drop_reason`).

use lowlat_model::Severity;
use lowlat_model::watch::{DroppedPackets, WatchDocument, WatchFinding, WatchedSocket};

/// Readings in one row.
const ROW: u32 = 3;
/// The least that such a row takes, ns.
const ROW_NS: u64 = 100_000_000;
/// Retransmissions, and their share of the segments sent.
const LEAST_AGAIN: u64 = 3;
const AGAIN_RATIO: f64 = 1e-4;
/// Share of the time in which something was the limit.
const LIMITED: f64 = 0.5;

/// All findings of a document whose changes are computed, most serious first.
pub fn findings(document: &WatchDocument) -> Vec<WatchFinding> {
    let of = |s: &WatchedSocket| {
        let all = [drops(s, &document.dropped), behind(s, document.interval_ns), again(s), window(s), buffer(s)];
        all.into_iter().flatten().collect::<Vec<_>>()
    };
    let mut all: Vec<WatchFinding> = document.sockets.iter().flat_map(of).collect();
    all.sort_by_key(|f| std::cmp::Reverse(f.severity));
    all
}

/// `udp 192.0.2.1:5000`, `tcp 192.0.2.1:40000 to 192.0.2.9:443`.
fn name(s: &WatchedSocket) -> String {
    let connected = !s.remote.is_empty() && !s.remote.ends_with(":0");
    if connected {
        format!("{} {} to {}", s.protocol, s.local, s.remote)
    } else {
        format!("{} {}", s.protocol, s.local)
    }
}

/// `feed[812]`.
fn process(s: &WatchedSocket) -> Option<String> {
    s.owners.first().map(|o| format!("{}[{}]", o.command, o.pid))
}

fn who(s: &WatchedSocket) -> String {
    process(s).unwrap_or_else(|| "a process that is not visible".to_owned())
}

fn finding(s: &WatchedSocket, what: &str, severity: Severity, title: String) -> WatchFinding {
    let (finding, process) = (what.to_owned(), process(s));
    WatchFinding { finding, severity, title, evidence: Vec::new(), advice: String::new(), process }
}

fn drops(s: &WatchedSocket, dropped: &[DroppedPackets]) -> Option<WatchFinding> {
    let n = s.change.drops.filter(|n| *n > 0)?;
    if s.state == "listen" {
        let title = format!("{} dropped {n} connection requests or packets; {} accepts too late", name(s), who(s));
        let evidence =
            format!("{} connections waited at most, {} may wait", s.unread.max.unwrap_or(0), s.last.unacknowledged);
        let advice = "accept faster, or give listen() a larger backlog and raise net.core.somaxconn".to_owned();
        let found = finding(s, "socket-drops", Severity::Warning, title);
        return Some(WatchFinding { evidence: vec![evidence], advice, ..found });
    }
    if s.protocol != "udp" {
        return None;
    }
    let mut evidence = vec![format!("{n} datagrams dropped at the socket in {}", seconds(s.change.over_ns))];
    if let Some(buffer) = s.last.receive_buffer {
        evidence.push(format!("receive buffer {buffer} bytes, at most {} in use", s.unread.max.unwrap_or(0)));
    }
    let port = s.local.rsplit(':').next().and_then(|p| p.parse::<u16>().ok());
    evidence.extend(dropped.iter().filter(|d| d.port.is_some() && d.port == port).map(|d| {
        let place = d.place.as_ref().map_or_else(String::new, |p| format!(" in {p}"));
        format!("{} packets: {}{place}", d.packets, d.reason)
    }));
    let title = format!("{} lost {n} datagrams that had arrived; its reader is {}", name(s), reader(s));
    let advice = if s.owner_state.as_deref() == Some("stopped") {
        "continue the process (SIGCONT), or find who stopped it".to_owned()
    } else {
        "make the reader keep up, and set SO_RCVBUF in the program to hold the longest burst".to_owned()
    };
    Some(WatchFinding { evidence, advice, ..finding(s, "socket-drops", Severity::Critical, title) })
}

/// The reader and what it does.
fn reader(s: &WatchedSocket) -> String {
    match &s.owner_state {
        Some(state) => format!("{}, {state}", who(s)),
        None => who(s),
    }
}

fn behind(s: &WatchedSocket, interval_ns: u64) -> Option<WatchFinding> {
    let row = s.unread_to_the_end;
    let lasted = u64::from(row.saturating_sub(1)).saturating_mul(interval_ns);
    if row < ROW || lasted < ROW_NS || s.closed || s.state == "listen" {
        return None;
    }
    let stopped = s.owner_state.as_deref() == Some("stopped");
    let title = if stopped {
        format!("{}: its reader {} is stopped, and data waits", name(s), who(s))
    } else {
        format!("{}: data waits, and its reader takes none: {}", name(s), reader(s))
    };
    let mut evidence =
        vec![format!("{} bytes wait; nothing was read for {} or longer", s.last.unread, seconds(lasted))];
    if s.readings_own_window_zero > 0 {
        evidence.push(format!(
            "{} of {} readings with its window at 0: the sender has to wait",
            s.readings_own_window_zero, s.readings
        ));
    }
    let advice = if stopped {
        "continue the process (SIGCONT), or find who stopped it"
    } else {
        "see what the reader does instead: `lowlat check --pid` names the system call that it is in"
    };
    let found = finding(s, "reader-behind", Severity::Warning, title);
    Some(WatchFinding { evidence, advice: advice.to_owned(), ..found })
}

fn again(s: &WatchedSocket) -> Option<WatchFinding> {
    let n = s.change.retransmits.filter(|n| *n >= LEAST_AGAIN)?;
    let ratio = s.change.retransmit_ratio.filter(|r| *r > AGAIN_RATIO)?;
    let title = format!("{}: {n} segments were sent again ({:.2} % of those sent)", name(s), ratio * 100.0);
    let mut evidence = vec![format!(
        "{n} retransmissions among {} segments in {}",
        s.change.sent_segments.unwrap_or(0),
        seconds(s.change.over_ns)
    )];
    if let Some(timeouts) = s.change.timeouts.filter(|t| *t > 0) {
        evidence.push(format!("{timeouts} of them after the retransmission timer, which waits 200 ms and more"));
    }
    let advice =
        "find where packets are lost: the counters of queues and rings here (`lowlat check`), the switch, the far end";
    let found = finding(s, "retransmits", Severity::Warning, title);
    Some(WatchFinding { evidence, advice: advice.to_owned(), ..found })
}

fn window(s: &WatchedSocket) -> Option<WatchFinding> {
    let share = s.change.window_limited_ratio.filter(|r| *r >= LIMITED);
    if s.closed || share.is_none() && s.readings_peer_window_zero < ROW {
        return None;
    }
    let title = format!("{}: the far end takes no more data: its reader is behind", name(s));
    let mut evidence: Vec<String> =
        share.map(|r| format!("{:.0} % of the time its window was the limit", r * 100.0)).into_iter().collect();
    if s.readings_peer_window_zero > 0 {
        evidence.push(format!("its window was 0 at {} of {} readings", s.readings_peer_window_zero, s.readings));
    }
    evidence.push(format!("{} bytes wait here to be sent", s.last.unacknowledged));
    let advice =
        "look at the far end's reader, and at its SO_RCVBUF and net.ipv4.tcp_rmem; the network is not the limit";
    let found = finding(s, "peer-window", Severity::Warning, title);
    Some(WatchFinding { evidence, advice: advice.to_owned(), ..found })
}

fn buffer(s: &WatchedSocket) -> Option<WatchFinding> {
    let share = s.change.buffer_limited_ratio.filter(|r| *r >= LIMITED)?;
    let title = format!("{}: the send buffer was the limit {:.0} % of the time", name(s), share * 100.0);
    let evidence = vec![format!("{} bytes not sent at most", s.unsent.max.unwrap_or(0))];
    let advice = "a larger SO_SNDBUF or net.ipv4.tcp_wmem fills the path; for messages, where each waits behind those before it, \
                  write less at once";
    let found = finding(s, "send-buffer", Severity::Info, title);
    Some(WatchFinding { evidence, advice: advice.to_owned(), ..found })
}

fn seconds(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conclude;
    use lowlat_model::application::Owner;
    use lowlat_model::watch::{SampleSpread, SocketSample, TcpSample};

    fn socket(protocol: &str) -> WatchedSocket {
        let tcp = (protocol == "tcp").then(|| TcpSample {
            busy_ns: Some(0),
            window_limited_ns: Some(0),
            buffer_limited_ns: Some(0),
            timeouts: Some(0),
            ..TcpSample::default()
        });
        let first = SocketSample { drops: Some(4), receive_buffer: Some(4_608), tcp, ..SocketSample::default() };
        WatchedSocket {
            protocol: protocol.into(),
            local: "192.0.2.1:5000".into(),
            remote: if protocol == "tcp" { "192.0.2.9:443" } else { "0.0.0.0:0" }.into(),
            state: if protocol == "tcp" { "established" } else { "close" }.into(),
            owners: vec![Owner { pid: 812, fd: 3, command: "feed".into() }],
            owner_state: Some("sleeping".into()),
            first,
            last: SocketSample { at_ns: 10_000_000_000, ..first },
            readings: 11,
            ..WatchedSocket::default()
        }
    }

    fn found(of: WatchedSocket) -> Vec<WatchFinding> {
        let dropped = DroppedPackets {
            reason: "SOCKET_RCVBUFF".into(),
            place: Some("__udp_queue_rcv_skb+0x6b".into()),
            packets: 9,
            port: Some(5_000),
            owners: vec![],
        };
        let elsewhere = DroppedPackets { reason: "NO_SOCKET".into(), port: None, ..dropped.clone() };
        let mut d = WatchDocument {
            interval_ns: 1_000_000_000,
            sockets: vec![of],
            dropped: vec![elsewhere, dropped],
            ..WatchDocument::default()
        };
        conclude(&mut d);
        d.findings
    }

    /// Changes what TCP knows at the last reading.
    fn with(change: impl FnOnce(&mut TcpSample)) -> WatchedSocket {
        let mut s = socket("tcp");
        let mut tcp = s.last.tcp.unwrap();
        change(&mut tcp);
        s.last.tcp = Some(tcp);
        s
    }

    #[test]
    fn what_is_idle_or_well_has_no_finding() {
        assert_eq!(found(socket("tcp")), []);
        assert_eq!(found(socket("udp")), []);
        // Busy, with data that waits at each reading and is read, and two segments sent again.
        let mut busy = with(|t| {
            (t.sent_segments, t.retransmits, t.busy_ns, t.window_limited_ns) =
                (90_000, 2, Some(9_000_000_000), Some(4));
        });
        (busy.readings_unread, busy.unread_to_the_end) = (11, 1);
        // TCP counts duplicates that it throws away.
        busy.last.drops = Some(70);
        assert_eq!(found(busy), []);
        // Ten of a million are below one in ten thousand.
        assert_eq!(found(with(|t| (t.sent_segments, t.retransmits) = (1_000_000, 10))), []);
        let mut two = socket("udp");
        two.unread_to_the_end = 2;
        assert_eq!(found(two), []);
    }

    #[test]
    fn drops_name_the_process_the_reason_and_the_place() {
        let mut s = socket("udp");
        s.last.drops = Some(13);
        s.unread = SampleSpread { max: Some(4_352), ..SampleSpread::default() };
        let all = found(s.clone());
        assert_eq!((all.len(), all[0].finding.as_str(), all[0].severity), (1, "socket-drops", Severity::Critical));
        assert_eq!(all[0].process.as_deref(), Some("feed[812]"));
        let evidence = all[0].evidence.join("; ");
        assert!(evidence.contains("9 packets: SOCKET_RCVBUFF in __udp_queue_rcv_skb+0x6b"), "{evidence}");
        assert!(evidence.contains("9 datagrams dropped") && !evidence.contains("NO_SOCKET"), "{evidence}");
        // A counter that the kernel does not show claims nothing.
        s.first.drops = None;
        assert_eq!(found(s), []);
        let mut listener = socket("tcp");
        (listener.state, listener.last.drops) = ("listen".into(), Some(9));
        assert_eq!(found(listener)[0].severity, Severity::Warning);
    }

    #[test]
    fn a_reader_that_takes_nothing_is_blamed_and_a_stopped_one_by_that() {
        let mut s = socket("tcp");
        (s.unread_to_the_end, s.last.unread, s.readings_own_window_zero) = (3, 900, 2);
        let all = found(s.clone());
        assert_eq!((all.len(), all[0].finding.as_str()), (1, "reader-behind"));
        assert!(all[0].title.contains("feed[812], sleeping"), "{}", all[0].title);
        s.owner_state = Some("stopped".into());
        let all = found(s.clone());
        assert!(all[0].title.contains("feed[812] is stopped") && all[0].advice.contains("SIGCONT"), "{all:?}");
        s.closed = true;
        assert_eq!(found(s), []);
    }

    #[test]
    fn loss_and_limits_are_told_apart() {
        let lossy = found(with(|t| (t.sent_segments, t.retransmits, t.timeouts) = (1_000, 20, Some(2))));
        assert_eq!((lossy.len(), lossy[0].finding.as_str()), (1, "retransmits"));
        assert!(lossy[0].title.contains("2.00 %") && lossy[0].evidence[1].starts_with("2 of them"), "{lossy:?}");
        let window = found(with(|t| t.window_limited_ns = Some(8_000_000_000)));
        assert_eq!((window.len(), window[0].finding.as_str()), (1, "peer-window"));
        let mut zero = socket("tcp");
        zero.readings_peer_window_zero = 3;
        assert_eq!(found(zero)[0].finding, "peer-window");
        let buffer = found(with(|t| t.buffer_limited_ns = Some(8_000_000_000)));
        assert_eq!((buffer[0].finding.as_str(), buffer[0].severity), ("send-buffer", Severity::Info));
    }
}
