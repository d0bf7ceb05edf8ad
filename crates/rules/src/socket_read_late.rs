//! Data that has arrived and that nobody reads.

use lowlat_model::Severity;

use crate::look::{few, finding, socket};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A socket of the application in which received data waits at both ends of the window.
    /// ## Why it matters
    /// What waits in the receive queue is late by the time that the program takes to come to it. No setting of the kernel
    /// or the NIC shortens that.
    /// ## Threshold
    /// At both readings more than one eighth of the receive buffer waits (a heuristic: a short burst between two reads
    /// is not there twice). For TCP the data counts, for UDP the memory that it takes. Of a listening socket, at both
    /// readings more than half of the most connections that may wait.
    /// ## Remedy
    /// Drain the socket on each wake-up, until EAGAIN; do the work in another thread; look for what blocks the reader
    /// (thread-waits-for-cpu, process-page-faults, a lock).
    pub SocketReadLate = "socket-read-late";
    sources [
        "man 7 sock_diag (idiag_rqueue)",
        "net/ipv4/tcp_diag.c in linux 6.12: tcp_diag_get_info (idiag_rqueue, idiag_wqueue)",
        "net/ipv4/udp_diag.c in linux 6.12: udp_diag_get_info (idiag_rqueue)",
        "heuristic: one eighth of the buffer, twice",
    ];
    follows ["thread-waits-for-cpu", "process-page-faults"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let mut evidence = Vec::new();
    for s in &application.sockets {
        let [first, last] = s.queues.as_slice() else {
            seen.missing("growth of the application's queues", "absent: they were read once, without a window");
            continue;
        };
        let waiting = first.receive.min(last.receive);
        if s.state == "listen" {
            if last.send > 0 && waiting > last.send / 2 {
                evidence.push(format!("{}: {} connections wait, at most {} may", socket(s), last.receive, last.send));
            }
            continue;
        }
        let Some(room) = seen.need(format!("receive buffer of {}", socket(s)), &s.receive_buffer) else { continue };
        if waiting > room / 8 {
            evidence.push(format!("{}: {} and later {} bytes wait to be read", socket(s), first.receive, last.receive));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "received data waits for the application to read it".to_owned(),
        few(evidence),
        "read until EAGAIN on each wake-up and do the work elsewhere; find what blocks the reading thread",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_model::application::Queues;
    use lowlat_testkit::application::of;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn waiting_at_both_ends_of_the_window() {
        let mut facts = healthy();
        let queues = |a, b| vec![Queues { receive: a, send: 0 }, Queues { receive: b, send: 0 }];
        of(&mut facts).sockets[1].queues = queues(26_625, 90_000);
        only(NAME, &facts, &["feed[812] fd 8: udp 0.0.0.0:6000: 26625 and later 90000 bytes wait to be read"], &[]);
        of(&mut facts).sockets[1].queues = queues(0, 90_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "a burst");
        let tcp = &mut of(&mut facts).sockets[0];
        tcp.state = "listen".into();
        tcp.queues = vec![Queues { receive: 65, send: 128 }; 2];
        assert!(rule(NAME, &facts).findings[0].evidence[0].ends_with("65 connections wait, at most 128 may"));
    }

    #[test]
    fn blind_without_a_window_or_a_size() {
        let mut facts = healthy();
        of(&mut facts).sockets[1].queues.truncate(1);
        blind(NAME, &facts, "growth of the application's queues", "absent");
        let mut facts = healthy();
        of(&mut facts).sockets[1].receive_buffer = Reading::Unsupported("x".into());
        blind(NAME, &facts, "receive buffer of", "unsupported");
    }
}
