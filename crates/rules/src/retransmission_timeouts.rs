//! Timeouts longer than the path by a thousand times.

use lowlat_model::Severity;
use lowlat_model::facts::TcpSocket;
use lowlat_model::op::Target;
use lowlat_model::units::us;

use crate::look::{address_of, finding, route_to, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// TCP connections that waited for their retransmission timer on a path whose round trips are short.
    /// ## Why it matters
    /// When no later segment reveals a loss, the sender waits for its timer: at least 200 ms by default, on a path that
    /// needs microseconds.
    /// ## Threshold
    /// `TCPTimeouts` grew in the counter window, and an established connection to another host has a minimum round trip
    /// below 5 ms (a heuristic: on a longer path the timer's floor matters little). Where the kernel counts timeouts
    /// per connection (`tcpi_total_rto`, from 6.7 on), that connection must have had one: `TCPTimeouts` also counts
    /// connections that are still being set up, and a peer that does not answer is not a loss.
    /// ## Remedy
    /// First find where packets are lost. Then lower the timer's floor: sysctl.net.ipv4.tcp_rto_min_us where the kernel
    /// has it (6.12 has it, 6.1 does not), route.rto-min everywhere. 50 ms stays above the 40 ms for which a peer may
    /// delay an acknowledgement.
    pub RetransmissionTimeouts = "retransmission-timeouts";
    sources [
        "include/net/tcp.h in linux 6.12: TCP_RTO_MIN (HZ/5), TCP_DELACK_MIN (HZ/25)",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rto_min_us",
        "net/ipv4/tcp_timer.c in linux 6.12: tcp_write_timeout, tcp_retransmit_timer (LINUX_MIB_TCPTIMEOUTS)",
        "include/uapi/linux/tcp.h in linux 6.12: struct tcp_info (tcpi_total_rto)",
        "not confirmed: 6.7 as the first release with tcpi_total_rto",
        "heuristic: 5 ms; on a longer path the floor of the timer matters little",
    ];
    follows [
        "retransmits",
        "link-errors",
        "link-goes-down",
        "transmit-timeouts",
        "nic-ring-drops",
        "softnet-drops",
        "netem-on-path",
        "shaper-below-line-rate",
        "plain-fifo-backlog",
    ];
}

const SHORT_NS: u64 = 5_000_000;
/// Above the 40 ms (TCP_DELACK_MIN) that a peer may wait before it acknowledges.
const FLOOR_US: u64 = 50_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let mut evidence = seen.grown(window, "netstat", &["TcpExt.TCPTimeouts"], "/proc/net/netstat");
    if evidence.is_empty() {
        return;
    }
    let Some(sockets) = seen.need("tcp sockets", &input.facts.sockets) else { return };
    let away = |s: &&TcpSocket| address_of(&s.remote).is_none_or(|to| !to.to_canonical().is_loopback());
    let timed_out = |s: &&TcpSocket| s.timeouts.is_none_or(|n| n > 0);
    let short = sockets
        .iter()
        .filter(|s| s.state == "established" && s.min_rtt_ns > 0 && s.min_rtt_ns < SHORT_NS)
        .filter(away)
        .filter(timed_out);
    let Some(nearest) = short.min_by_key(|s| s.min_rtt_ns) else { return };
    let times = nearest.timeouts.map(|n| format!(", {n} timeouts since it was made")).unwrap_or_default();
    let path = us(nearest.min_rtt_ns);
    evidence.push(format!("{} to {}: least round trip {path} µs{times}", nearest.local, nearest.remote));
    // A kernel without the sysctl has the route's metric.
    let floor = input.facts.sysctl("net.ipv4.tcp_rto_min_us").and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(floor) = floor {
        evidence.push(format!("net.ipv4.tcp_rto_min_us = {floor}"));
    }
    let wanted = match floor {
        Some(floor) => (floor > FLOOR_US).then(|| set("sysctl.net.ipv4.tcp_rto_min_us", Target::Host, FLOOR_US)),
        None => address_of(&nearest.remote).and_then(|to| route_to(input.facts, to)).and_then(|r| {
            let now = r.metrics.get("rto_min").map_or(0, |ms| u64::from(*ms) * 1_000);
            let lower = now == 0 || now > FLOOR_US;
            lower.then(|| set("route.rto-min", Target::Route(r.iface.clone(), r.prefix.clone()), FLOOR_US / 1_000))
        }),
    };
    let found = finding(
        NAME,
        Severity::Warning,
        "TCP waits for retransmission timeouts on a short path".to_owned(),
        evidence,
        "find where packets are lost; then lower the floor of the timeout (net.ipv4.tcp_rto_min_us, or rto_min of the route)",
    );
    seen.found(with(found, wanted));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn socket(min_rtt_ns: u64) -> TcpSocket {
        TcpSocket {
            local: "192.0.2.1:5".into(),
            remote: "192.0.2.2:7".into(),
            state: "established".into(),
            srtt_ns: min_rtt_ns,
            rttvar_ns: 0,
            min_rtt_ns,
            retransmits: 1,
            cwnd: 10,
            notsent_bytes: 0,
            congestion: "cubic".into(),
            timeouts: None,
        }
    }

    #[test]
    fn a_timeout_on_a_short_path() {
        let mut facts = healthy();
        facts.sockets = Reading::Value(vec![socket(80_000_000), socket(50_000)].into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "no timeout");
        grow(&mut facts, "netstat", "TcpExt.TCPTimeouts", 2);
        only(
            NAME,
            &facts,
            &[
                "TcpExt.TCPTimeouts grew by 2 in 1000 ms (/proc/net/netstat)",
                "192.0.2.1:5 to 192.0.2.2:7: least round trip 50.0 µs",
                "net.ipv4.tcp_rto_min_us = 200000",
            ],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "50000");
        facts.sysctls.insert("net.ipv4.tcp_rto_min_us".into(), Reading::Absent("before 6.11".into()));
        let settings = rule(NAME, &facts).findings.remove(0).remedy.settings;
        assert_eq!(
            (settings[0].knob.as_str(), settings[0].target.to_string(), settings[0].value.as_str()),
            ("route.rto-min", "eth0/route-192.0.2.0/24".to_owned(), "50"),
            "the sysctl only where the kernel has it"
        );
        facts.sockets = Reading::Value(vec![socket(80_000_000)].into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "a long path");
    }

    #[test]
    fn a_connection_that_had_no_timeout_is_not_blamed() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.TCPTimeouts", 2);
        let had = |timeouts| TcpSocket { timeouts: Some(timeouts), ..socket(50_000) };
        facts.sockets = Reading::Value(vec![had(0)].into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "a repeated SYN of another connection");
        facts.sockets = Reading::Value(vec![TcpSocket { remote: "[::ffff:127.0.0.1]:7".into(), ..had(3) }].into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "within the host");
        facts.sockets = Reading::Value(vec![had(3)].into());
        let said = "192.0.2.1:5 to 192.0.2.2:7: least round trip 50.0 µs, 3 timeouts since it was made";
        assert_eq!(rule(NAME, &facts).findings[0].evidence[1], said);
    }

    #[test]
    fn blind_without_sockets_or_counters() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.TCPTimeouts", 2);
        facts.sockets = Reading::Denied("x".into());
        blind(NAME, &facts, "tcp sockets", "denied");
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
