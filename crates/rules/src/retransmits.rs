//! TCP segments sent again.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// TCP segments that had to be sent more than once.
    /// ## Why it matters
    /// A lost segment costs at least a round trip, and a retransmission timeout (200 ms and more by default) when
    /// nothing follows it. No latency setting makes up for loss on the path.
    /// ## Threshold
    /// More than 0.01 % of the segments sent in the counter window, and at least three segments: above that, fix loss
    /// before latency. Tail loss probes and repeated SYNs are not counted: they are sent before anything is known to be
    /// lost, or because nobody answers.
    /// ## Remedy
    /// Find where packets are lost: look at the other findings, the switch's counters and the far end. Then tune.
    pub Retransmits = "retransmits";
    sources [
        "RFC 6298 (section 2.4)",
        "RFC 1213 (tcpOutSegs, tcpRetransSegs)",
        "include/net/tcp.h in linux 6.12: TCP_RTO_MIN (HZ/5, 200 ms)",
        "net/ipv4/tcp_output.c in linux 6.12: __tcp_retransmit_skb",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_send_loss_probe (LINUX_MIB_TCPLOSSPROBES)",
        "heuristic: three segments, and 0.01 %, the loss above which this project fixes drops before latency",
    ];
    follows [
        "link-errors",
        "link-goes-down",
        "transmit-timeouts",
        "pci-express-errors",
        "instance-allowance-exceeded",
        "nic-ring-drops",
        "softnet-drops",
        "netem-on-path",
        "shaper-below-line-rate",
        "plain-fifo-backlog",
        "tcp-receive-pruned",
        "tcp-backlog-drops",
        "connection-tracking-full",
    ];
}

const RATIO: f64 = 1e-4;
/// Fewer segments are chance.
const LEAST: u64 = 3;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let again = seen.growth(window, "snmp", "Tcp.RetransSegs");
    let sent = seen.growth(window, "snmp", "Tcp.OutSegs");
    let (Some(again), Some(sent)) = (again, sent) else { return };
    let probes = ["TcpExt.TCPLossProbes", "TcpExt.TCPSynRetrans"].map(|key| window.delta("netstat", key).unwrap_or(0));
    let again = again.saturating_sub(probes.iter().sum());
    if again < LEAST {
        return;
    }
    // OutSegs does not count retransmitted segments (RFC 1213, tcpOutSegs), so the ratio is of all that went out.
    let ratio = again as f64 / (sent + again).max(1) as f64;
    if ratio <= RATIO {
        return;
    }
    let evidence = vec![format!(
        "Tcp.RetransSegs grew by {again} and Tcp.OutSegs by {sent} {}: {:.3} % (/proc/net/snmp)",
        within(window),
        ratio * 100.0
    )];
    seen.found(finding(
        NAME,
        Severity::Warning,
        "TCP segments are lost and retransmitted".to_owned(),
        evidence,
        "find where packets are lost (queues and rings here, the switch, the far end) before tuning for latency",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_single_segment_and_a_tail_loss_probe_are_not_a_loss() {
        let mut facts = healthy();
        grow(&mut facts, "snmp", "Tcp.RetransSegs", 2);
        assert_eq!(rule(NAME, &facts).findings, [], "chance");
        grow(&mut facts, "snmp", "Tcp.RetransSegs", 100);
        grow(&mut facts, "netstat", "TcpExt.TCPLossProbes", 60);
        grow(&mut facts, "netstat", "TcpExt.TCPSynRetrans", 42);
        assert_eq!(rule(NAME, &facts).findings, [], "probes");
        grow(&mut facts, "snmp", "Tcp.RetransSegs", 100);
        assert_eq!(rule(NAME, &facts).findings.len(), 1);
    }

    #[test]
    fn above_a_hundredth_of_a_percent() {
        let mut facts = healthy();
        grow(&mut facts, "snmp", "Tcp.RetransSegs", 1);
        assert_eq!(rule(NAME, &facts), Seen::default(), "1 of 10001 is below");
        grow(&mut facts, "snmp", "Tcp.RetransSegs", 49);
        let evidence = "Tcp.RetransSegs grew by 50 and Tcp.OutSegs by 10000 in 1000 ms: 0.498 % (/proc/net/snmp)";
        only(NAME, &facts, &[evidence], &[]);
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "snmp");
        blind(NAME, &facts, "Tcp.RetransSegs", "denied");
    }
}
