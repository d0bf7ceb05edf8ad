//! A traffic shaper slow enough to hold every packet.

use lowlat_model::facts::Qdisc;
use lowlat_model::op::Target;
use lowlat_model::{Severity, Window};

use crate::look::{finding, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A token bucket (`tbf`, or `cake` with a rate) with a rate so low that one small packet takes longer than 100 µs
    /// to pass; or a shaper with classes (`htb`, `hfsc`) in which packets wait.
    /// ## Why it matters
    /// A shaper releases a packet when it has the tokens for it. A full bucket passes a burst at once, so a lone small
    /// packet on an idle line is hardly delayed. Once the bucket is empty, each frame of 106 bytes waits 424 µs at
    /// 2 Mbit/s. Shapers this slow are left over from tests, or from lines that were replaced long ago.
    /// ## Threshold
    /// 106 bytes (a 64 byte UDP payload with its Ethernet, IPv4 and UDP headers) at the shaper's rate take more than
    /// 100 µs, that is, the rate is below 8.48 Mbit/s. The 100 µs are this project's target for a tuned kernel path; a
    /// faster shaper may be there for a reason and is not reported. A slower one is critical where it held packets back
    /// (`overlimits` grew in the counter window, or packets are queued), and a warning where it did not. The rates of
    /// `htb` and `hfsc` belong to their classes and are not read: these shapers are found where `overlimits` grew in
    /// the window, that is, where packets had to wait for their class, and are then a warning without a setting. A
    /// `police` action drops packets instead of delaying them; it is not read.
    /// ## Remedy
    /// Remove the shaper, or set it to the rate of the line. Where the line itself is that slow, the shaper is right
    /// and the line is the fault.
    pub ShaperBelowLineRate = "shaper-below-line-rate";
    sources [
        "man 8 tc-tbf (ALGORITHM)",
        "net/sched/sch_tbf.c in linux 6.12: tbf_dequeue",
        "net/sched/sch_htb.c in linux 6.12: htb_dump (overlimits), htb_change_class_mode (counts what may not send)",
        "net/sched/sch_hfsc.c in linux 6.12: hfsc_dequeue (qdisc_qstats_overlimit)",
        "heuristic: 100 µs for one 106 byte frame, this project's target for a tuned kernel path (106 B x 8 bit / 2 Mbit/s = 424 µs)",
    ];
}

/// A small probe on the wire, as a shaper counts it (`qdisc_pkt_len` of an Ethernet frame without its checksum).
const FRAME_BYTES: u64 = 64 + 8 + 20 + 14;
const LIMIT_NS: u64 = 100_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(qdiscs) = seen.need("queue disciplines", &input.facts.qdiscs) else { return };
    for q in qdiscs.iter().filter(|q| q.kind == "tbf" || q.kind == "cake") {
        let Some(rate) = q.options.get("rate_bps").copied().filter(|r| *r > 0) else { continue };
        let each_ns = FRAME_BYTES * 8 * 1_000_000_000 / rate;
        if each_ns <= LIMIT_NS {
            continue;
        }
        let found = finding(
            NAME,
            if met(input, q) { Severity::Critical } else { Severity::Warning },
            format!("a shaper on {} is too slow", q.iface),
            vec![format!(
                "{} on {} {}: rate {} kbit/s, so a {FRAME_BYTES} byte frame takes {} µs",
                q.kind,
                q.iface,
                q.parent,
                rate / 1_000,
                each_ns / 1_000
            )],
            "remove the shaper, or set its rate to that of the line, and look for the script that puts it there at boot",
        );
        seen.found(with(found, [set("qdisc.kind", Target::Qdisc(q.iface.clone(), q.parent.clone()), "default")]));
    }
    with_classes(input, qdiscs, seen);
}

/// Shapers whose rates are their classes'.
fn with_classes(input: &Input<'_>, qdiscs: &[Qdisc], seen: &mut Seen) {
    for q in qdiscs.iter().filter(|q| q.kind == "htb" || q.kind == "hfsc") {
        let Some(window) = seen.window(input) else { return };
        let group = format!("qdisc/{}/{}", q.iface, q.parent);
        let Some(over) = seen.growth(window, &group, "overlimits").filter(|by| *by > 0) else { continue };
        let mut evidence = vec![format!(
            "{} on {} {}: packets waited for their class {over} times {}",
            q.kind,
            q.iface,
            q.parent,
            within(window)
        )];
        if q.backlog_bytes > 0 {
            evidence.push(format!("it holds {} bytes in {} packets", q.backlog_bytes, q.qlen));
        }
        seen.found(finding(
            NAME,
            Severity::Warning,
            format!("a shaper on {} holds packets back", q.iface),
            evidence,
            "compare the rates of its classes (tc class show) with the line; give the flow a class of its own with enough rate",
        ));
    }
}

/// Whether packets had to wait for tokens; without a window, they may have.
fn met(input: &Input<'_>, q: &Qdisc) -> bool {
    let grown = |w: &Window| w.delta(&format!("qdisc/{}/{}", q.iface, q.parent), "overlimits");
    let over = input.facts.window.as_ref().map_or(q.overlimits > 0, |w| grown(w).is_none_or(|by| by > 0));
    over || q.backlog_bytes > 0
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy, qdisc};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn shaped(rate_bps: u64) -> lowlat_model::Facts {
        let mut facts = healthy();
        let mut tbf = qdisc("eth0", "tbf", "root", "1:");
        tbf.options.insert("rate_bps".into(), rate_bps);
        facts.qdiscs = Reading::Value(vec![tbf]);
        facts
    }

    #[test]
    fn two_megabits() {
        let facts = shaped(2_000_000);
        only(NAME, &facts, &["tbf on eth0 root: rate 2000 kbit/s, so a 106 byte frame takes 424 µs"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "default");
    }

    #[test]
    fn a_shaper_with_classes_in_which_packets_wait() {
        let mut facts = healthy();
        facts.qdiscs = Reading::Value(vec![qdisc("eth0", "htb", "root", "1:")]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "one that nothing waits in may be there with reason");
        grow(&mut facts, "qdisc/eth0/root", "overlimits", 40);
        only(NAME, &facts, &["htb on eth0 root: packets waited for their class 40 times in 1000 ms"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings, [], "what is right its owner knows");
    }

    #[test]
    fn a_line_of_200_megabits_is_left_alone() {
        assert_eq!(rule(NAME, &shaped(200_000_000)), Seen::default());
        assert_eq!(rule(NAME, &shaped(8_480_000)), Seen::default());
        assert_eq!(rule(NAME, &shaped(8_300_000)).findings.len(), 1);
    }

    #[test]
    fn blind_without_the_dump() {
        let mut facts = healthy();
        facts.qdiscs = Reading::Unsupported("no traffic control in this kernel".into());
        blind(NAME, &facts, "queue disciplines", "unsupported");
    }
}
