//! A network emulator left on the path.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A `netem` queue discipline anywhere in the namespace, including on an `ifb` to which received packets are
    /// redirected.
    /// ## Why it matters
    /// netem delays, loses, duplicates or reorders packets on purpose. It is a test tool. One that was left behind adds
    /// its delay to every packet, and no other setting can make up for that.
    /// ## Threshold
    /// One netem is enough. It is critical where it delays packets, limits the rate or loses packets, and a warning
    /// otherwise.
    /// ## Remedy
    /// Remove it: the kernel then puts its default discipline in its place.
    pub NetemOnPath = "netem-on-path";
    sources [
        "man 8 tc-netem (netem OPTIONS)",
        "net/sched/sch_netem.c in linux 6.12: netem_enqueue",
    ];
}

/// Options that hurt every packet, as the facts name them.
const HURTS: [&str; 7] =
    ["delay_us", "jitter_us", "loss_ppm", "rate_bps", "reorder_ppm", "duplicate_ppm", "corrupt_ppm"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(qdiscs) = seen.need("queue disciplines", &input.facts.qdiscs) else { return };
    for q in qdiscs.iter().filter(|q| q.kind == "netem") {
        let ifb = input.facts.interfaces.get(&q.iface).is_some_and(|i| i.kind.as_deref() == Some("ifb"));
        let hurts = q.summary.is_empty() || HURTS.iter().any(|key| q.options.get(*key).is_some_and(|v| *v > 0));
        let mut evidence =
            vec![format!("netem on {} {}: {}", q.iface, q.parent, q.summary).trim_end_matches([':', ' ']).to_owned()];
        if ifb {
            evidence.push(format!("{} is an ifb: received packets redirected to it are delayed there", q.iface));
        }
        let found = finding(
            NAME,
            if hurts { Severity::Critical } else { Severity::Warning },
            format!("a network emulator (netem) delays packets on {}", q.iface),
            evidence,
            "a test left its delay or loss behind; remove the netem discipline, and the script that puts it there at boot",
        );
        seen.found(with(found, [set("qdisc.kind", Target::Qdisc(q.iface.clone(), q.parent.clone()), "default")]));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{healthy, qdisc};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_delay_on_the_root() {
        let mut facts = healthy();
        let mut netem = qdisc("eth0", "netem", "root", "8002:");
        netem.summary = "limit 1000 delay 400us".into();
        netem.options.insert("delay_us".into(), 400);
        facts.qdiscs = Reading::Value(vec![netem]);
        only(NAME, &facts, &["netem on eth0 root: limit 1000 delay 400us"], &[]);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.severity, Severity::Critical);
        assert_eq!(found.remedy.settings[0].target.to_string(), "eth0/qdisc-root");
        assert_eq!(found.remedy.settings[0].value, "default");
    }

    #[test]
    fn on_an_ifb_it_says_what_that_means() {
        let mut facts = healthy();
        let mut ifb = facts.interfaces["eth0"].clone();
        ifb.kind = Some("ifb".into());
        facts.interfaces.insert("ifb0".into(), ifb);
        facts.qdiscs = Reading::Value(vec![qdisc("ifb0", "netem", "root", "2:")]);
        let evidence = rule(NAME, &facts).findings.remove(0).evidence;
        assert_eq!(
            evidence,
            ["netem on ifb0 root", "ifb0 is an ifb: received packets redirected to it are delayed there"]
        );
    }

    #[test]
    fn blind_without_the_dump() {
        let mut facts = healthy();
        facts.qdiscs = Reading::Denied("the qdisc dump needs root".into());
        blind(NAME, &facts, "queue disciplines", "denied");
    }
}
