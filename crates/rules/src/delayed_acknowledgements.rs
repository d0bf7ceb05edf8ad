//! Acknowledgements that are waited for.

use lowlat_model::Severity;
use lowlat_model::op::Target;
use lowlat_model::units::us;

use crate::look::{address_of, finding, route_to, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A measured TCP path whose tail is as long as a delayed acknowledgement, on a host that sent some.
    /// ## Why it matters
    /// A sender with Nagle's algorithm does not send the rest of its message before the first part is acknowledged; the
    /// receiver waits 40 ms for something to send the acknowledgement with. The two together make round trips of 40 ms
    /// out of nothing.
    /// ## Threshold
    /// P99 of the measured TCP path is 35 ms or more, and `DelayedACKs` grew in the counter window. The kernel's
    /// shortest delay is 40 ms (TCP_DELACK_MIN). A path without a TCP measurement is not judged.
    /// ## Remedy
    /// TCP_NODELAY at the sender (socket.nodelay), and whole messages in one write. Where the sender cannot be changed:
    /// quickack on the route (route.quickack), or TCP_QUICKACK after each read.
    pub DelayedAcknowledgements = "delayed-acknowledgements";
    sources [
        "include/net/tcp.h in linux 6.12: TCP_DELACK_MIN (HZ/25)",
        "net/ipv4/tcp_timer.c in linux 6.12: tcp_delack_timer_handler (DelayedACKs)",
        "Documentation/networking/snmp_counter.rst in linux 6.12: TcpExtDelayedACKs",
    ];
}

const TAIL_NS: u64 = 35_000_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(baseline) = input.baseline.filter(|b| b.proto == "tcp") else { return };
    let Some(p99) = baseline.rtt.p99_ns.filter(|p99| *p99 >= TAIL_NS) else { return };
    let Some(window) = seen.window(input) else { return };
    let mut evidence = seen.grown(window, "netstat", &["TcpExt.DelayedACKs"], "/proc/net/netstat");
    if evidence.is_empty() {
        return;
    }
    evidence.push(format!("measured: P99 {} µs over tcp", us(p99)));
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
        measured.rtt.p99_ns = Some(1_000_000);
        let see = |facts: &lowlat_model::Facts, measured: &lowlat_model::Measurement| {
            let mut seen = Seen::default();
            look(&Input { facts, baseline: Some(measured), goal_ns: None }, &mut seen);
            seen
        };
        assert_eq!(see(&facts, &measured), Seen::default());
        measured.rtt.p99_ns = Some(41_000_000);
        assert_eq!(
            see(&facts, &measured).findings[0].evidence,
            [
                "TcpExt.DelayedACKs grew by 30 in 1000 ms (/proc/net/netstat)",
                "measured: P99 41000 µs over tcp",
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
