//! Messages that wait in the kernel behind others.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, number, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// TCP connections with much data that was written but not yet sent.
    /// ## Why it matters
    /// TCP sends data in the order in which it was written: a new message waits for all of it, and the program can no
    /// longer drop or reorder what has become stale.
    /// ## Threshold
    /// More than 128 KiB unsent on one connection at the moment of reading (a heuristic: that is 1 ms at 1 Gbit/s). For
    /// a bulk transfer that is normal; a connection that carries messages should not have it.
    /// ## Remedy
    /// Keep the data in the program: set TCP_NOTSENT_LOWAT on that socket, or sysctl.net.ipv4.tcp_notsent_lowat for
    /// all. Use separate connections for messages and bulk traffic.
    pub UnsentDataQueued = "unsent-data-queued";
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_notsent_lowat",
        "include/uapi/linux/tcp.h in linux 6.12: struct tcp_info, tcpi_notsent_bytes",
        "heuristic: 128 KiB, 1 ms at 1 Gbit/s",
    ];
    follows ["shaper-below-line-rate", "plain-fifo-backlog", "retransmits"];
}

const UNSENT: u64 = 128 << 10;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(sockets) = seen.need("tcp sockets", &input.facts.sockets) else { return };
    let mut full: Vec<_> = sockets.iter().filter(|s| s.notsent_bytes > UNSENT).collect();
    if full.is_empty() {
        return;
    }
    full.sort_by_key(|s| std::cmp::Reverse(s.notsent_bytes));
    let evidence = full
        .iter()
        .take(5)
        .map(|s| format!("{} to {}: {} bytes written and not sent", s.local, s.remote, s.notsent_bytes))
        .collect();
    let bound = number(seen, input.facts, "net.ipv4.tcp_notsent_lowat").filter(|bound| *bound > UNSENT);
    let found = finding(
        NAME,
        Severity::Info,
        "written data waits in the kernel ahead of urgent data".to_owned(),
        evidence,
        "bound what is written ahead (TCP_NOTSENT_LOWAT, or net.ipv4.tcp_notsent_lowat for all), and keep bulk on connections of its own",
    );
    seen.found(with(found, bound.map(|_| set("sysctl.net.ipv4.tcp_notsent_lowat", Target::Host, UNSENT))));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_model::facts::TcpSocket;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_connection_that_is_full() {
        let mut facts = healthy();
        let socket = TcpSocket {
            local: "192.0.2.1:5".into(),
            remote: "192.0.2.2:7".into(),
            state: "established".into(),
            srtt_ns: 0,
            rttvar_ns: 0,
            min_rtt_ns: 0,
            retransmits: 0,
            cwnd: 10,
            notsent_bytes: 131_072,
            congestion: "cubic".into(),
            timeouts: None,
        };
        facts.sockets = Reading::Value(vec![socket.clone()].into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.sockets = Reading::Value(vec![TcpSocket { notsent_bytes: 200_000, ..socket }].into());
        only(NAME, &facts, &["192.0.2.1:5 to 192.0.2.2:7: 200000 bytes written and not sent"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "131072");
        facts.sockets = Reading::Denied("x".into());
        blind(NAME, &facts, "tcp sockets", "denied");
    }
}
