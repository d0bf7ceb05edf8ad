//! What the cores share may run slowly.

use lowlat_model::op::Target;

use crate::look::{chosen, finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An Intel package whose shared parts (cache, mesh, memory controllers) may lower their frequency.
    /// ## Why it matters
    /// A nearly idle package lowers it, whatever the cores do. Each cache miss, and each packet that the device writes
    /// into the cache, then takes longer, even for a core that spins at full speed.
    /// ## Threshold
    /// The floor (`min_freq_khz`) is below the ceiling (`max_freq_khz`). Without a goal and without a measured path the
    /// finding is `info` only: some hosts save power on purpose. Other processors have no such files.
    /// ## Remedy
    /// Raise the floor to the ceiling (cpu.uncore-frequency). It takes power that the cores lack for their turbo, so let
    /// the A/B test decide.
    pub UncoreFrequencyDrops = "uncore-frequency-drops";
    sources [
        "Documentation/admin-guide/pm/intel_uncore_frequency_scaling.rst in linux 6.12: Sysfs Interface",
        "Documentation/admin-guide/pm/intel_uncore_frequency_scaling.rst in linux 6.12: Efficiency vs. Latency Tradeoff",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let packages = match &input.facts.cpus.uncore {
        // Only some of Intel's processors have the files, and only with the module.
        lowlat_model::Reading::Absent(_) => return,
        other => match seen.need("frequency of what the cores share", other) {
            Some(packages) => packages,
            None => return,
        },
    };
    let below = packages.iter().filter(|(_, l)| l.floor_khz < l.ceiling_khz);
    let Some(ceiling) = packages.values().map(|l| l.ceiling_khz).min() else { return };
    let evidence: Vec<String> = below
        .map(|(name, l)| format!("{name} may run at {} to {} MHz", l.floor_khz / 1_000, l.ceiling_khz / 1_000))
        .collect();
    if !evidence.is_empty() {
        let found = finding(
            NAME,
            chosen(input),
            "the cache and mesh that the cores share may run slowly".to_owned(),
            evidence,
            "raise the floor of the shared parts to their ceiling (cpu.uncore-frequency), and let the A/B test decide",
        );
        // All packages take one value: the highest that each of them has.
        seen.found(with(found, [set("cpu.uncore-frequency", Target::Host, ceiling)]));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_floor_below_the_ceiling() {
        let mut facts = healthy();
        let Reading::Value(packages) = &mut facts.cpus.uncore else { panic!() };
        packages.get_mut("package_00_die_00").unwrap().floor_khz = 800_000;
        only(NAME, &facts, &["package_00_die_00 may run at 800 to 2400 MHz"], &[]);
        let setting = rule(NAME, &facts).findings.remove(0).remedy.settings.remove(0);
        assert_eq!((setting.knob.as_str(), setting.value.as_str()), ("cpu.uncore-frequency", "2400000"));
        facts.cpus.uncore = Reading::Absent("x".into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "another processor");
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = healthy();
        facts.cpus.uncore = Reading::Denied("x".into());
        blind(NAME, &facts, "frequency of what the cores share", "denied");
    }
}
