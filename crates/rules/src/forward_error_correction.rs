//! Error correction on a link that may do without.

use lowlat_model::Severity;

use crate::look::{aims, finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A link of at most 50 Gbit/s that uses forward error correction.
    /// ## Why it matters
    /// The receiver passes a frame on only after it has checked the whole block around it: some hundred nanoseconds on
    /// each hop with Reed-Solomon, less with BASE-R. At 25 Gbit/s over a short copper cable, a link often works without.
    /// ## Threshold
    /// The driver reports `rs`, `llrs` or `baser` as the mode in use. Of the links of 100 Gbit/s and more most need it; they
    /// are left out. The finding is `info`, and given only where a goal was given or a path measured.
    /// ## Remedy
    /// See `nic.fec`: both ends have to agree, the link goes down for the change, and the error counters of both ends have
    /// to stay at zero afterwards.
    pub ForwardErrorCorrection = "forward-error-correction";
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: FEC_GET (ETHTOOL_A_FEC_ACTIVE)",
        "not confirmed: the delays and which links need it; IEEE 802.3 (clauses 74, 91, 108) was not opened",
    ];
}

/// Above, most links do not work without, Mbit/s.
const NEEDED_ABOVE: u32 = 50_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    if !aims(input) {
        return;
    }
    for (name, iface) in on_path(input.facts) {
        if iface.kind.is_some() || iface.wireless.value() == Some(&true) {
            continue;
        }
        // Slower links have none, and their drivers do not report it.
        let Some(speed) = iface.speed_mbps.value().filter(|s| **s >= 25_000 && **s <= NEEDED_ABOVE) else { continue };
        let Some(fec) = seen.need_of(input.facts, format!("{name} forward error correction"), &iface.fec) else {
            continue;
        };
        if !["rs", "llrs", "baser"].contains(&fec.as_str()) {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("{name} waits for whole blocks: forward error correction is on"),
            vec![format!("{name} fec: {fec} at {speed} Mbit/s")],
            "see nic.fec: over a short cable both ends may do without; watch the error counters afterwards",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{rule, rule_for};

    fn link(speed: u32, fec: &str) -> Facts {
        let mut facts = healthy();
        iface(&mut facts).speed_mbps = Reading::Value(speed);
        iface(&mut facts).fec = Reading::Value(fec.into());
        facts
    }

    #[test]
    fn where_a_link_may_do_without() {
        let found = rule_for(NAME, &link(25_000, "rs"), 50_000).findings.remove(0);
        assert_eq!((found.evidence, found.severity), (vec!["eth0 fec: rs at 25000 Mbit/s".to_owned()], Severity::Info));
        for (speed, fec) in [(25_000, "off"), (100_000, "rs"), (10_000, "rs")] {
            assert_eq!(rule_for(NAME, &link(speed, fec), 50_000), Seen::default(), "{speed} {fec}");
        }
        assert_eq!(rule(NAME, &link(25_000, "rs")), Seen::default(), "nobody asked for latency");
    }

    #[test]
    fn blind_where_it_is_not_reported() {
        let mut facts = link(25_000, "rs");
        iface(&mut facts).fec = Reading::Denied("x".into());
        let seen = rule_for(NAME, &facts, 50_000);
        assert_eq!((seen.findings.len(), seen.not_seen[0].why.as_str()), (0, "denied: x"));
    }
}
