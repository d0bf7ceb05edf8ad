//! Acknowledgements that are waited for.

use lowlat_model::Severity;
use lowlat_model::op::Target;
use lowlat_model::units::us;

use crate::look::{address_of, finding, route_to, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A measured TCP path whose tail is as long as the delay of a delayed acknowledgement, on a host that sent some.
    /// ## Why it matters
    /// A sender with Nagle's algorithm holds the rest of its message until the first part is acknowledged. The receiver
    /// waits 40 ms for data that can carry the acknowledgement. Together they make round trips of 40 ms, for no other
    /// reason.
    /// ## Threshold
    /// P99 of the measured TCP path is 35 to 60 ms above its P50, P50 is below 10 ms, and `DelayedACKs` grew in the
    /// counter window. The kernel's shortest delay is 40 ms (TCP_DELACK_MIN). A path with such a median is merely long,
    /// and a longer tail comes from the retransmission timer of a lost packet. A path without a TCP measurement is not
    /// judged.
    /// ## Remedy
    /// Set TCP_NODELAY at the sender (socket.nodelay), and write each message with one call. Where the sender cannot be
    /// changed, set quickack on the route (route.quickack), or TCP_QUICKACK after each read.
    pub DelayedAcknowledgements = "delayed-acknowledgements";
    sources [
        "include/net/tcp.h in linux 6.12: TCP_DELACK_MIN (HZ/25)",
        "heuristic: 35 to 60 ms around those 40 ms, and 10 ms, below which a path is near enough that they stand out",
        "net/ipv4/tcp_timer.c in linux 6.12: tcp_delack_timer_handler (DelayedACKs)",
        "Documentation/networking/snmp_counter.rst in linux 6.12: TcpExtDelayedACKs",
    ];
}

/// How far P99 is above P50 where an acknowledgement was waited for, ns.
const TAIL_NS: std::ops::RangeInclusive<u64> = 35_000_000..=60_000_000;
/// Longest median of a path on which that stands out, ns.
const NEAR_NS: u64 = 10_000_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(baseline) = input.baseline.filter(|b| b.proto == "tcp") else { return };
    let Some((p50, p99)) = baseline.rtt.p50_ns.zip(baseline.rtt.p99_ns) else { return };
    if p50 >= NEAR_NS || !TAIL_NS.contains(&p99.saturating_sub(p50)) {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    let mut evidence = seen.grown(window, "netstat", &["TcpExt.DelayedACKs"], "/proc/net/netstat");
    if evidence.is_empty() {
        return;
    }
    evidence.push(format!("measured: P50 {} µs, P99 {} µs over tcp", us(p50), us(p99)));
    let route = address_of(&baseline.target).and_then(|to| route_to(input.facts, to));
    let wanted = route.filter(|r| r.metrics.get("quickack") != Some(&1)).map(|r| {
        evidence.push(format!("the route there is {} over {}, without quickack", r.prefix, r.iface));
        set("route.quickack", Target::Route(r.iface.clone(), r.prefix.clone()), "on")
    });
    let found = finding(
        NAME,
        Severity::Warning,
        "round trips are as long as a delayed acknowledgement".to_owned(),
        evidence,
        "set TCP_NODELAY at the sender and write whole messages; else quickack on the route or TCP_QUICKACK",
    );
    seen.found(with(found, wanted));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::tests::baseline;

    #[test]
    fn only_with_a_tail_of_that_length() {
        let mut facts = healthy();
        grow(&mut facts, "netstat", "TcpExt.DelayedACKs", 30);
        let mut measured = baseline(None);
        measured.proto = "tcp".into();
        measured.rtt.p50_ns = Some(50_000);
        measured.rtt.p99_ns = Some(1_000_000);
        let see = |facts: &lowlat_model::Facts, measured: &lowlat_model::Measurement| {
            let mut seen = Seen::default();
            look(&Input { facts, baseline: Some(measured), goal_ns: None }, &mut seen);
            seen
        };
        assert_eq!(see(&facts, &measured), Seen::default());
        for (p50, p99) in [(36_000_000, 42_000_000), (50_000, 210_000_000)] {
            (measured.rtt.p50_ns, measured.rtt.p99_ns) = (Some(p50), Some(p99));
            assert_eq!(see(&facts, &measured), Seen::default(), "a long path, and a retransmission timer");
        }
        (measured.rtt.p50_ns, measured.rtt.p99_ns) = (Some(50_000), Some(41_000_000));
        assert_eq!(
            see(&facts, &measured).findings[0].evidence,
            [
                "TcpExt.DelayedACKs grew by 30 in 1000 ms (/proc/net/netstat)",
                "measured: P50 50.0 µs, P99 41000 µs over tcp",
                "the route there is 192.0.2.0/24 over eth0, without quickack",
            ]
        );
        let settings = see(&facts, &measured).findings.remove(0).remedy.settings;
        assert_eq!(settings[0].target.to_string(), "eth0/route-192.0.2.0/24");
        deny_group(&mut facts, "netstat");
        let blind = see(&facts, &measured);
        assert!(blind.findings.is_empty() && blind.not_seen[0].why.starts_with("denied: "), "{blind:?}");
    }
}
