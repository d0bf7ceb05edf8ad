//! Parts of TCP that a tuning list switched off.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Selective acknowledgements, window scaling or timestamps that are switched off in TCP.
    /// ## Why it matters
    /// All three are on by default. Without selective acknowledgements a sender finds one lost segment per round trip,
    /// and waits for its timer where the last one is lost. Without window scaling it sends at most 64 KiB per round
    /// trip. Without timestamps it gets no round-trip sample while it retransmits. They cost a few instructions, and 12
    /// bytes of each segment.
    /// ## Threshold
    /// `net.ipv4.tcp_sack`, `tcp_window_scaling` or `tcp_timestamps` is 0. It is a warning for the first two and `info`
    /// for timestamps: a host may have them off for a reason, and loses least without them.
    /// ## Remedy
    /// Set it to 1, the kernel's default, and remove the line from the file that sets it to 0. New connections then use
    /// it.
    pub TcpFeaturesOff = "tcp-features-off";
    sources [
        "net/ipv4/tcp_ipv4.c in linux 6.12: tcp_sk_init (all three are 1)",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_syn_options",
        "RFC 2018 (section 3)",
        "RFC 7323 (sections 2, 3)",
    ];
}

/// Key, what it is, and whether its lack costs latency.
const FEATURES: [(&str, &str, bool); 3] = [
    ("net.ipv4.tcp_sack", "selective acknowledgements", true),
    ("net.ipv4.tcp_window_scaling", "window scaling", true),
    ("net.ipv4.tcp_timestamps", "timestamps", false),
];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let mut off = Vec::new();
    for feature in FEATURES {
        let Some(reading) = input.facts.sysctls.get(feature.0) else { continue };
        if seen.need(format!("sysctl {}", feature.0), reading).is_some_and(|text| text.trim() == "0") {
            off.push(feature);
        }
    }
    if off.is_empty() {
        return;
    }
    let names: Vec<&str> = off.iter().map(|(_, name, _)| *name).collect();
    let found = finding(
        NAME,
        if off.iter().any(|(_, _, costs)| *costs) { Severity::Warning } else { Severity::Info },
        format!("tcp runs without {}", names.join(", ")),
        off.iter().map(|(key, ..)| format!("{key} = 0")).collect(),
        "set it to 1, the kernel's default, and remove the line that switches it off",
    );
    seen.found(with(found, off.iter().map(|(key, ..)| set(&format!("sysctl.{key}"), Target::Host, 1))));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn without(keys: &[&str]) -> lowlat_model::Facts {
        let mut facts = healthy();
        for key in keys {
            facts.sysctls.insert((*key).into(), Reading::Value("0".into()));
        }
        facts
    }

    #[test]
    fn what_a_list_switched_off() {
        let facts = without(&["net.ipv4.tcp_sack", "net.ipv4.tcp_timestamps"]);
        only(NAME, &facts, &["net.ipv4.tcp_sack = 0", "net.ipv4.tcp_timestamps = 0"], &[]);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.severity, Severity::Warning);
        let asked: Vec<_> = found.remedy.settings.iter().map(|s| (s.knob.as_str(), s.value.as_str())).collect();
        assert_eq!(asked, [("sysctl.net.ipv4.tcp_sack", "1"), ("sysctl.net.ipv4.tcp_timestamps", "1")]);
        assert_eq!(rule(NAME, &without(&["net.ipv4.tcp_timestamps"])).findings[0].severity, Severity::Info);
    }

    #[test]
    fn two_is_a_kind_of_timestamps() {
        let mut facts = healthy();
        facts.sysctls.insert("net.ipv4.tcp_timestamps".into(), Reading::Value("2".into()));
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.sysctls.insert("net.ipv4.tcp_sack".into(), Reading::Denied("x".into()));
        blind(NAME, &facts, "sysctl net.ipv4.tcp_sack", "denied");
    }
}
