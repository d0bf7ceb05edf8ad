//! A first-in-first-out queue that fills up.

use lowlat_model::facts::{Facts, Qdisc};
use lowlat_model::op::Target;
use lowlat_model::{Severity, Window};

use crate::look::{finding, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A plain FIFO (`pfifo`, `bfifo`, `pfifo_fast`, or the hidden one inside a `tbf` without a child) that drops
    /// packets, or in which a new packet waits longer than 100 µs.
    /// ## Why it matters
    /// In a FIFO every packet waits for all bytes before it (`pfifo_fast` has three bands by SO_PRIORITY or TOS, each
    /// of them a FIFO; packets that set neither use the middle one). One bulk transfer fills the FIFO to its limit, and
    /// each small packet then waits for the whole queue: 100 frames at 200 Mbit/s are 6 ms. A fair queue lets a sparse
    /// flow go first.
    /// ## Threshold
    /// Any drop in the counter window, or a backlog that takes more than 100 µs at the rate of the shaper above it or,
    /// without a shaper, at the speed of the link. Where neither rate is known, only drops count. Drops from before the
    /// window say nothing about the present.
    /// ## Remedy
    /// Replace it with `fq_codel`, which schedules flows fairly and keeps each flow's queue short. `fq` does the same
    /// for a host's own paced TCP. A queue of the kernel's own `mq` cannot be replaced on its own (that `mq` has no
    /// handle), so there one `fq_codel` becomes the root, and all transmit queues share it; to keep one for each queue,
    /// set `net.core.default_qdisc` and then `mq` at the root. Where the kernel has neither discipline, use a FIFO of a
    /// few frames, or allow each local connection less data in the queue (`tcp_limit_output_bytes`). Or limit the bulk
    /// transfer.
    pub PlainFifoBacklog = "plain-fifo-backlog";
    sources [
        "RFC 8290 (section 1)",
        "RFC 7567 (section 4)",
        "net/sched/sch_generic.c in linux 6.12: sch_default_prio2band (pfifo_fast)",
        "net/sched/sch_tbf.c in linux 6.12: tbf_change (a tbf without a child gets a hidden bfifo)",
        "net/sched/sch_api.c in linux 6.12: tc_modify_qdisc (a parent with handle 0: is not found), qdisc_lookup",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_small_queue_check",
        "heuristic: 100 µs in the queue, this project's target for a tuned kernel path",
    ];
    follows ["shaper-below-line-rate", "link-below-capability"];
}

/// Frames of the second choice, for kernels without fq_codel: eight are enough for a burst of probes, and at 200 Mbit/s
/// they hold 0.5 ms of bulk traffic instead of the 6 ms of a hundred.
const SHORT_FIFO: u32 = 8;
/// Bytes of each local TCP connection below its socket, for the same kernels: two full frames and their bookkeeping
/// (`tcp_small_queue_check` always lets two packets through, net/ipv4/tcp_output.c).
const TCP_BELOW_SOCKET: u32 = 4_096;
/// Longest wait in the queue that is not a fault, ns.
const SOJOURN_NS: u64 = 100_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(qdiscs) = seen.need("queue disciplines", &input.facts.qdiscs) else { return };
    for q in qdiscs {
        let Some(place) = fifo_at(q, qdiscs) else { continue };
        let evidence = evidence(input.facts, q, qdiscs);
        if evidence.is_empty() {
            continue;
        }
        let found = finding(
            NAME,
            Severity::Warning,
            format!("packets queue behind bulk traffic in a plain FIFO on {}", q.iface),
            evidence,
            "a fair queue (fq_codel) lets small flows pass the bulk transfer; where that is not possible, limit the bulk transfer",
        );
        let place = Target::Qdisc(q.iface.clone(), place);
        let settings = [
            set("qdisc.kind", place.clone(), "fq_codel"),
            set("qdisc.kind", place, format!("pfifo limit {SHORT_FIFO}")),
            set("sysctl.net.ipv4.tcp_limit_output_bytes", Target::Host, TCP_BELOW_SOCKET),
        ];
        seen.found(with(found, settings));
    }
}

/// Where the FIFO stands, if this is one.
fn fifo_at(q: &Qdisc, all: &[Qdisc]) -> Option<String> {
    match q.kind.as_str() {
        // A class of the kernel's own mq: its parent has no handle by which it could be found.
        "pfifo" | "bfifo" | "pfifo_fast" | "pfifo_head_drop" if of_the_kernels_mq(&q.parent) => Some("root".to_owned()),
        "pfifo" | "bfifo" | "pfifo_fast" | "pfifo_head_drop" => Some(q.parent.clone()),
        // The hidden one has no entry in the dump; it is at the only class of the tbf.
        "tbf" if !all.iter().any(|child| child.iface == q.iface && is_child(child, q)) => {
            Some(format!("{}1", q.handle))
        }
        _ => None,
    }
}

/// `0:1`, as the kernel numbers the classes of an `mq` that it made on its own.
fn of_the_kernels_mq(parent: &str) -> bool {
    parent.starts_with("0:") || parent.starts_with(':')
}

/// `1:1` is a class of `1:`.
fn is_child(child: &Qdisc, parent: &Qdisc) -> bool {
    parent.handle.len() > 1 && child.parent.starts_with(&parent.handle)
}

fn evidence(facts: &Facts, q: &Qdisc, all: &[Qdisc]) -> Vec<String> {
    let name = format!("{} on {} {}", q.kind, q.iface, q.parent);
    let grown = facts.window.as_ref().and_then(|w| growth(w, q));
    let mut evidence = Vec::new();
    if let Some((drops, span)) = grown.filter(|(drops, _)| *drops > 0) {
        evidence.push(format!("{name}: dropped {drops} packets {span}"));
    }
    if let Some(rate) = rate_bps(facts, q, all) {
        let wait_ns = q.backlog_bytes.saturating_mul(8_000_000_000) / rate;
        if wait_ns > SOJOURN_NS {
            evidence.push(format!(
                "{name}: holds {} bytes, which take {} µs at {} Mbit/s",
                q.backlog_bytes,
                wait_ns / 1_000,
                rate / 1_000_000
            ));
        }
    }
    evidence
}

fn growth(window: &Window, q: &Qdisc) -> Option<(u64, String)> {
    Some((window.delta(&format!("qdisc/{}/{}", q.iface, q.parent), "drops")?, within(window)))
}

/// The rate at which the queue empties: its own, that of the shaper above, else the link's.
fn rate_bps(facts: &Facts, q: &Qdisc, all: &[Qdisc]) -> Option<u64> {
    let shaper = all.iter().find(|p| p.iface == q.iface && is_child(q, p)).and_then(|p| p.options.get("rate_bps"));
    let own = q.options.get("rate_bps").or(shaper).copied();
    own.or_else(|| facts.interfaces.get(&q.iface)?.speed_mbps.value().map(|m| u64::from(*m) * 1_000_000))
        .filter(|r| *r > 0)
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy, qdisc};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn drops_in_the_window() {
        let mut facts = healthy();
        facts.qdiscs = Reading::Value(vec![qdisc("eth0", "pfifo_fast", "root", "0:")]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "a fifo that drops nothing is not a fault");
        grow(&mut facts, "qdisc/eth0/root", "drops", 12);
        only(NAME, &facts, &["pfifo_fast on eth0 root: dropped 12 packets in 1000 ms"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].target.to_string(), "eth0/qdisc-root");
    }

    #[test]
    fn a_backlog_under_a_shaper_counts_at_the_shapers_rate() {
        let mut facts = healthy();
        let mut tbf = qdisc("eth0", "tbf", "root", "1:");
        tbf.options.insert("rate_bps".into(), 200_000_000);
        let mut fifo = qdisc("eth0", "pfifo", "1:1", "10:");
        fifo.backlog_bytes = 151_400;
        facts.qdiscs = Reading::Value(vec![tbf, fifo.clone()]);
        only(NAME, &facts, &["pfifo on eth0 1:1: holds 151400 bytes, which take 6056 µs at 200 Mbit/s"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].target.to_string(), "eth0/qdisc-1:1");
        // The same backlog on the bare 10 Gbit/s link takes 121 µs, half of it is not a fault.
        fifo.backlog_bytes /= 2;
        fifo.parent = "root".into();
        facts.qdiscs = Reading::Value(vec![fifo]);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn the_hidden_fifo_of_a_shaper() {
        let mut facts = healthy();
        let mut tbf = qdisc("eth0", "tbf", "root", "1:");
        tbf.options.insert("rate_bps".into(), 100_000_000);
        tbf.backlog_bytes = 12_500;
        facts.qdiscs = Reading::Value(vec![tbf]);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.remedy.settings[0].target.to_string(), "eth0/qdisc-1:1");
        assert_eq!(found.evidence, ["tbf on eth0 root: holds 12500 bytes, which take 1000 µs at 100 Mbit/s"]);
    }

    #[test]
    fn drops_of_long_ago_are_not_a_fault_of_now() {
        let mut facts = healthy();
        let mut fifo = qdisc("eth0", "bfifo", "root", "5:");
        fifo.drops = 3;
        facts.qdiscs = Reading::Value(vec![fifo]);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn a_queue_of_the_kernels_own_mq_is_replaced_at_the_root() {
        let mut facts = healthy();
        let queue = |n: u32| qdisc("eth0", "pfifo_fast", &format!("0:{n}"), "0:");
        facts.qdiscs = Reading::Value(vec![qdisc("eth0", "mq", "root", "0:"), queue(1), queue(2)]);
        grow(&mut facts, "qdisc/eth0/0:2", "drops", 12);
        only(NAME, &facts, &["pfifo_fast on eth0 0:2: dropped 12 packets in 1000 ms"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].target.to_string(), "eth0/qdisc-root");
    }

    #[test]
    fn blind_without_the_dump() {
        let mut facts = healthy();
        facts.qdiscs = Reading::Denied("x".into());
        blind(NAME, &facts, "queue disciplines", "denied");
    }
}
