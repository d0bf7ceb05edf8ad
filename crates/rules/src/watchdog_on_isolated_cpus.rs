//! The lockup watchdog on CPUs that should be quiet.

use lowlat_model::cpus::parse_list;
use lowlat_model::op::Target;
use lowlat_model::{Reading, Severity};

use crate::look::{cpus, finding, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Isolated CPUs on which the kernel's lockup watchdog runs.
    /// ## Why it matters
    /// Every 4 s by default a timer fires there and a kernel thread of the highest priority takes the CPU for some
    /// microseconds; the program there is stopped meanwhile. The kernel leaves out CPUs of `nohz_full`, but not those
    /// of `isolcpus` or of a cpuset partition alone.
    /// ## Threshold
    /// `kernel.watchdog` is on and `kernel.watchdog_cpumask` contains an isolated CPU. The finding is `info` only: the
    /// interruption is rare and short, and affects P99.99 at most.
    /// ## Remedy
    /// Set `kernel.watchdog_cpumask` to the CPUs that are not isolated (sysctl.kernel.watchdog_cpumask). The kernel
    /// then no longer reports a program that hangs it on an isolated CPU.
    pub WatchdogOnIsolatedCpus = "watchdog-on-isolated-cpus";
    sources [
        "Documentation/admin-guide/sysctl/kernel.rst in linux 6.12: watchdog, watchdog_cpumask, watchdog_thresh",
        "kernel/watchdog.c in linux 6.12: set_sample_period, watchdog_timer_fn, lockup_detector_init (housekeeping)",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let isolated = seen.quiet("isolated CPUs", &input.facts.cpus.isolated);
    if isolated.is_empty() {
        return;
    }
    let mut read = |key: &str| match input.facts.sysctls.get(key) {
        // A kernel without the watchdog has no such setting.
        None | Some(Reading::Absent(_)) => None,
        Some(reading) => seen.need(format!("sysctl {key}"), reading).cloned(),
    };
    let on = read("kernel.watchdog").is_some_and(|text| text.trim() != "0");
    let Some(mask) = read("kernel.watchdog_cpumask").filter(|_| on) else { return };
    let Ok(watched) = parse_list(mask.trim()) else {
        seen.missing("sysctl kernel.watchdog_cpumask", format!("garbled: {mask:?} is not a list of CPUs"));
        return;
    };
    let both: Vec<u32> = isolated.iter().copied().filter(|cpu| watched.contains(cpu)).collect();
    if both.is_empty() {
        return;
    }
    let rest: Vec<u32> = watched.into_iter().filter(|cpu| !isolated.contains(cpu)).collect();
    let found = finding(
        NAME,
        Severity::Info,
        "the lockup watchdog runs on isolated CPUs".to_owned(),
        vec![format!("kernel.watchdog_cpumask = {}", mask.trim()), format!("isolated: {}", cpus(&both))],
        "leave the isolated CPUs out of kernel.watchdog_cpumask",
    );
    let wanted = (!rest.is_empty()).then(|| set("sysctl.kernel.watchdog_cpumask", Target::Host, cpus(&rest)));
    seen.found(with(found, wanted));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, rule};

    fn isolated() -> lowlat_model::Facts {
        let mut facts = healthy();
        facts.cpus.isolated = Reading::Value(vec![3]);
        for (key, value) in [("kernel.watchdog", "1"), ("kernel.watchdog_cpumask", "0-3")] {
            facts.sysctls.insert(key.into(), Reading::Value(value.into()));
        }
        facts
    }

    #[test]
    fn the_watchdog_of_an_isolated_cpu() {
        let mut facts = isolated();
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.evidence, ["kernel.watchdog_cpumask = 0-3", "isolated: 3"]);
        assert_eq!((found.severity, found.remedy.settings[0].value.as_str()), (Severity::Info, "0-2"));
        facts.sysctls.insert("kernel.watchdog_cpumask".into(), Reading::Value("0-2".into()));
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn a_watchdog_that_is_off_is_quiet() {
        let mut facts = isolated();
        facts.sysctls.insert("kernel.watchdog".into(), Reading::Value("0".into()));
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_it_may_not_be_read() {
        let mut facts = isolated();
        facts.sysctls.insert("kernel.watchdog_cpumask".into(), Reading::Denied("x".into()));
        blind(NAME, &facts, "kernel.watchdog_cpumask", "denied");
    }
}
