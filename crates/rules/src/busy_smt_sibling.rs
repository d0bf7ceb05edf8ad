//! A neighbour on the same core.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A busy hardware thread (SMT sibling) on the core of the application's CPU.
    /// ## Why it matters
    /// The two threads of a core share its execution units and its caches. Work on the sibling slows the application
    /// down at unpredictable moments, which shows in the tail.
    /// ## Threshold
    /// The sibling of the CPU that the prober was pinned to was busy for more than a tenth of the counter window (a
    /// heuristic). Without a pinned prober the rule finds nothing.
    /// ## Remedy
    /// Move the work on the sibling to other CPUs, or isolate the sibling together with the application's CPU (an
    /// isolated partition that holds both). Switching SMT off (cpu.smt) does it for all cores and costs half of the
    /// logical CPUs.
    pub BusySmtSibling = "busy-smt-sibling";
    sources [
        "Documentation/ABI/testing/sysfs-devices-system-cpu in linux 6.12: /sys/devices/system/cpu/smt",
        "Documentation/ABI/stable/sysfs-devices-system-cpu in linux 6.12: thread_siblings_list",
        "heuristic: a tenth of the window",
    ];
}

const BUSY: [&str; 5] = ["user", "nice", "system", "irq", "softirq"];
const IDLE: [&str; 2] = ["idle", "iowait"];
const SHARE: f64 = 0.1;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(app) = input.baseline.and_then(|b| b.cpu) else { return };
    let siblings: Vec<u32> =
        input.facts.cpus.siblings.get(&app).into_iter().flatten().copied().filter(|cpu| *cpu != app).collect();
    if siblings.is_empty() {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    let mut evidence = Vec::new();
    for cpu in siblings {
        let group = format!("cpu/{cpu}");
        if !seen.counted(window, &group) {
            continue;
        }
        let ticks = |keys: &[&str]| keys.iter().map(|key| window.delta(&group, key).unwrap_or(0)).sum::<u64>();
        let (busy, idle) = (ticks(&BUSY), ticks(&IDLE));
        let share = busy as f64 / (busy + idle).max(1) as f64;
        if share > SHARE {
            evidence.push(format!(
                "CPU {cpu} shares its core with CPU {app} and was busy {:.0} % {} (/proc/stat)",
                share * 100.0,
                within(window)
            ));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application shares its core with a busy neighbour".to_owned(),
        evidence,
        "move the tasks of the sibling away, or keep the sibling idle with the application's CPU",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::tests::baseline;

    #[test]
    fn a_neighbour_that_works() {
        let mut facts = healthy();
        facts.cpus.siblings.insert(3, vec![2, 3]);
        grow(&mut facts, "cpu/2", "user", 85);
        grow(&mut facts, "cpu/2", "idle", 15);
        let measured = baseline(Some(3));
        let see = |facts: &lowlat_model::Facts, measured| {
            let mut seen = Seen::default();
            look(&Input { facts, baseline: measured, goal_ns: None }, &mut seen);
            seen
        };
        let found = see(&facts, Some(&measured));
        assert_eq!(
            found.findings[0].evidence,
            ["CPU 2 shares its core with CPU 3 and was busy 50 % in 1000 ms (/proc/stat)"]
        );
        assert_eq!(see(&facts, None), Seen::default(), "no pinned prober, no neighbour");
        deny_group(&mut facts, "cpu/2");
        let blind = see(&facts, Some(&measured));
        assert!(blind.findings.is_empty() && blind.not_seen[0].why.starts_with("denied: "), "{blind:?}");
    }
}
