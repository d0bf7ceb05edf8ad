//! Processors that are too hot.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Processors that were slowed down because their core or package became too hot.
    /// ## Why it matters
    /// A throttled processor runs at a fraction of its speed until it has cooled down, and everything on it becomes
    /// slower. It shows in the tail first, and returns whenever the load does.
    /// ## Threshold
    /// Any growth of a `thermal_throttle` counter in the counter window. Only Intel processors on bare metal have them;
    /// without them the rule finds nothing.
    /// ## Remedy
    /// Check cooling, airflow and the firmware's power limits, or keep fewer cores of the package busy. A fixed lower
    /// clock (cpu.max-frequency) slows the CPU evenly instead of in jumps.
    pub ThermalThrottling = "thermal-throttling";
    sources [
        "drivers/thermal/intel/therm_throt.c in linux 6.12: core_throttle_count, package_throttle_count",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let groups: Vec<String> = window.after.groups_under("thermal/").map(str::to_owned).collect();
    let mut evidence = Vec::new();
    for group in groups {
        if !seen.counted(window, &group) {
            continue;
        }
        for key in ["core_throttle_count", "package_throttle_count"] {
            if let Some(by) = window.delta(&group, key).filter(|by| *by > 0) {
                evidence.push(format!("{group} {key} grew by {by} {}", within(window)));
            }
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "CPUs are throttled because they are too hot".to_owned(),
        evidence,
        "check cooling and the firmware's power limits; a fixed lower clock throttles evenly instead of in jumps",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_package_that_is_too_hot() {
        let mut facts = healthy();
        grow(&mut facts, "thermal/cpu2", "package_throttle_count", 7);
        only(NAME, &facts, &["thermal/cpu2 package_throttle_count grew by 7 in 1000 ms"], &[]);
    }

    #[test]
    fn a_processor_without_the_counters_is_not_a_fact_missed_and_a_denied_one_is() {
        let mut facts = healthy();
        facts.window.as_mut().unwrap().after.groups.retain(|group, _| !group.starts_with("thermal/"));
        assert_eq!(rule(NAME, &facts), Seen::default());
        deny_group(&mut facts, "thermal/cpu2");
        blind(NAME, &facts, "thermal/cpu2", "denied");
    }
}
