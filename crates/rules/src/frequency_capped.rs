//! Processors that may not run as fast as they can.

use std::collections::BTreeMap;

use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{cpus, finding, joint, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Processors whose highest allowed frequency is below what they can run at, and turbo or boost that is switched
    /// off.
    /// ## Why it matters
    /// All work on the path takes longer by the same factor: system calls, the network stack, the program itself. A
    /// power profile, a battery mode or a vendor tool sets such a cap, and the governor does not show it.
    /// ## Threshold
    /// `scaling_max_freq` below `cpuinfo_max_freq` by more than 5 % (a heuristic: drivers round); or `no_turbo` set, or
    /// `cpufreq/boost` cleared. A cap is a warning, unless the minimum frequency equals it: then somebody fixed the
    /// clock, which is `info` only. Turbo switched off is `info` too. Both trade speed for less variation.
    /// ## Remedy
    /// Set the cap to what the processor can do (cpu.max-frequency), and find out what sets it: a power profile
    /// (power-profiles-daemon, TLP, tuned), the firmware, a script.
    pub FrequencyCapped = "frequency-capped";
    sources [
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: cpuinfo_max_freq, scaling_max_freq, The boost File in sysfs",
        "Documentation/admin-guide/pm/intel_pstate.rst in linux 6.12: no_turbo",
        "heuristic: 5 %, since drivers round",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let mut capped: BTreeMap<(u64, u64, bool), Vec<u32>> = BTreeMap::new();
    for (cpu, power) in &input.facts.cpus.power {
        // A machine without frequency control has none of these files.
        let (Some(max), Some(can)) = (power.max_khz.value(), power.hardware_max_khz.value()) else { continue };
        if max.saturating_mul(100) < can.saturating_mul(95) {
            let fixed = power.min_khz.value() == Some(max);
            capped.entry((*max, *can, fixed)).or_default().push(*cpu);
        }
    }
    let boost_off = match &input.facts.cpus.boost {
        Reading::Absent(_) | Reading::Unsupported(_) => false,
        other => seen.need("turbo", other) == Some(&false),
    };
    if capped.is_empty() && !boost_off {
        return;
    }
    let mut evidence: Vec<String> = capped
        .iter()
        .map(|((max, can, fixed), on)| {
            let how = if *fixed { ", its floor too" } else { "" };
            format!("CPU {}: {} MHz at most{how}, can run at {} MHz", cpus(on), max / 1_000, can / 1_000)
        })
        .collect();
    if boost_off {
        evidence.push("turbo is switched off (no_turbo or cpufreq/boost)".to_owned());
    }
    let free: Vec<_> = capped.iter().filter(|((.., fixed), _)| !fixed).collect();
    let severity = if free.is_empty() { Severity::Info } else { Severity::Warning };
    let settings = free
        .iter()
        .flat_map(|((_, can, _), on)| on.iter().map(|cpu| set("cpu.max-frequency", Target::Cpu(*cpu), *can)))
        .collect();
    let found = finding(
        NAME,
        severity,
        "CPUs may not run as fast as they can".to_owned(),
        evidence,
        "raise the cap and find what sets it: a power profile, the vendor's tool, a script",
    );
    seen.found(with(found, joint("frequency caps", settings)));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_cap_and_a_fixed_clock() {
        let mut facts = healthy();
        let power = facts.cpus.power.get_mut(&1).unwrap();
        power.hardware_max_khz = Reading::Value(4_000_000);
        power.min_khz = Reading::Value(800_000);
        only(NAME, &facts, &["CPU 1: 3000 MHz at most, can run at 4000 MHz"], &[]);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!((found.severity, found.remedy.settings[0].value.as_str()), (Severity::Warning, "4000000"));
        facts.cpus.power.get_mut(&1).unwrap().min_khz = Reading::Value(3_000_000);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!((found.severity, found.remedy.settings.len()), (Severity::Info, 0), "somebody fixed the clock");
    }

    #[test]
    fn turbo_that_is_off_and_a_cap_that_is_rounded() {
        let mut facts = healthy();
        facts.cpus.power.get_mut(&1).unwrap().hardware_max_khz = Reading::Value(3_001_000);
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.cpus.boost = Reading::Value(false);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        facts.cpus.boost = Reading::Absent("a virtual machine".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.cpus.boost = Reading::Denied("x".into());
        blind(NAME, &facts, "turbo", "denied");
    }
}
