//! Processors that are at work and slower than others.

use lowlat_model::{Severity, Window};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// CPUs that are busy and run at a lower share of their highest frequency than other busy ones.
    /// ## Why it matters
    /// The same work takes longer on them, and its duration changes with whatever lowers the frequency: heat, a power
    /// limit, a governor, a limit set by hand. Idle CPUs say nothing: their last frequency may be any.
    /// ## Threshold
    /// At least two CPUs that were busy for 90 % of the counter window. One is reported where the frequency that the
    /// kernel gave for it right before was more than 10 % below that of the fastest one, each as a share of what the CPU can
    /// run at (a heuristic; the shares make cores of different kinds comparable). On x86 the kernel derives it from what
    /// the processor counts; elsewhere it is mostly what was last asked for, which the CPU may not reach.
    /// ## Remedy
    /// Look at the other findings about heat, limits and governors first. Otherwise the firmware's power limits and the
    /// number of busy cores bound the frequency: `turbostat` shows which.
    pub BusyCpusDifferInFrequency = "busy-cpus-differ-in-frequency";
    sources [
        "Documentation/admin-guide/pm/cpufreq.rst in linux 6.12: scaling_cur_freq, cpuinfo_max_freq",
        "drivers/cpufreq/cpufreq.c in linux 6.12: show_scaling_cur_freq (arch_freq_get_on_cpu)",
        "Documentation/filesystems/proc.rst in linux 6.12: Miscellaneous kernel statistics in /proc/stat",
        "heuristic: 90 % busy, 10 % apart",
    ];
    follows ["thermal-throttling", "frequency-capped", "governor-not-performance"];
}

/// Shares in thousandths.
const BUSY: u64 = 900;
const APART: u64 = 900;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    let busy: Vec<u32> =
        input.facts.cpus.power.keys().copied().filter(|cpu| at_work(window, *cpu).is_some_and(|b| b >= BUSY)).collect();
    if busy.len() < 2 {
        return;
    }
    let mut shares = Vec::new();
    for cpu in busy {
        let power = &input.facts.cpus.power[&cpu];
        let Some(now) = seen.need(format!("cpu{cpu} frequency"), &power.cur_khz) else { continue };
        let Some(most) = seen.need(format!("cpu{cpu} highest frequency"), &power.hardware_max_khz) else { continue };
        shares.extend((now * 1_000).checked_div(*most).map(|share| (cpu, *now, *most, share)));
    }
    let Some(best) = shares.iter().map(|(.., share)| *share).max() else { return };
    let slow = shares.iter().filter(|(.., share)| share * 1_000 < best * APART);
    let line = |(cpu, now, most, _): &(u32, u64, u64, u64)| {
        format!(
            "CPU {cpu} is busy at {} of {} MHz; the fastest busy CPU runs at {} % of its highest",
            now / 1_000,
            most / 1_000,
            best / 10
        )
    };
    let evidence: Vec<String> = slow.map(line).collect();
    if !evidence.is_empty() {
        seen.found(finding(
            NAME,
            Severity::Warning,
            "busy CPUs run slower than others".to_owned(),
            evidence,
            "look for heat, power limits and frequency limits; `turbostat` shows which one acts",
        ));
    }
}

/// The share of the window in which a CPU worked, in thousandths.
fn at_work(window: &Window, cpu: u32) -> Option<u64> {
    let group = format!("cpu/{cpu}");
    let of = |key: &str| window.delta(&group, key);
    let rest = of("idle")? + of("iowait")?;
    let work: u64 = ["user", "nice", "system", "irq", "softirq", "steal"].iter().filter_map(|k| of(k)).sum();
    (work * 1_000).checked_div(work + rest)
}

#[cfg(test)]
mod tests {
    use lowlat_model::{Facts, Reading};
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn busy(facts: &mut Facts, cpus: &[u32]) {
        for cpu in cpus {
            grow(facts, &format!("cpu/{cpu}"), "idle", 0);
            grow(facts, &format!("cpu/{cpu}"), "user", 1_000);
        }
    }

    #[test]
    fn one_of_two_is_slower() {
        let mut facts = healthy();
        facts.cpus.power.get_mut(&1).unwrap().cur_khz = Reading::Value(2_000_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "nothing is said of idle CPUs");
        busy(&mut facts, &[1]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "one alone is compared with none");
        busy(&mut facts, &[0]);
        only(
            NAME,
            &facts,
            &["CPU 1 is busy at 2000 of 3000 MHz; the fastest busy CPU runs at 100 % of its highest"],
            &[],
        );
    }

    #[test]
    fn cores_of_another_kind_are_not_slower() {
        let mut facts = healthy();
        busy(&mut facts, &[0, 1]);
        let small = facts.cpus.power.get_mut(&1).unwrap();
        (small.cur_khz, small.hardware_max_khz) = (Reading::Value(2_000_000), Reading::Value(2_000_000));
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_the_host_keeps_it() {
        let mut facts = healthy();
        busy(&mut facts, &[0, 1]);
        facts.cpus.power.get_mut(&1).unwrap().cur_khz = Reading::Absent("x".into());
        blind(NAME, &facts, "cpu1 frequency", "absent");
    }
}
