//! Wake-ups against a goal: what the host alone may take of it.

use lowlat_model::noise::{CpuNoise, NoiseDocument};
use lowlat_model::{Distribution, Goal, GoalResult, Reading};
use lowlat_sys::{Sys, query};

/// Judges the goals and says what to do where one was missed.
pub fn judge(sys: &dyn Sys, document: &mut NoiseDocument, goals: &[Goal]) {
    document.goals = goals.iter().map(|goal| worst(*goal, &document.cpus)).collect();
    let late = goals.iter().map(|goal| (*goal, too_late(*goal, &document.cpus))).find(|(_, cpus)| !cpus.is_empty());
    if let Some((goal, cpus)) = late {
        let version = query::uname(sys).into_value().map(|u| u.version).unwrap_or_default();
        let text = match sys.read("/etc/os-release") {
            Reading::Absent(_) => sys.read("/usr/lib/os-release"),
            other => other,
        };
        let distribution = text.into_value().and_then(|text| Distribution::parse(&text));
        document.advice = advice(goal, &cpus, &version, distribution.as_ref());
    }
}

/// The goal on the CPU that is furthest from it. One on which it cannot be judged leaves it open, unless another misses it.
fn worst(goal: Goal, cpus: &[CpuNoise]) -> GoalResult {
    let order = |result: &GoalResult| match result.met {
        Some(false) => (2, result.measured_ns.unwrap_or(u64::MAX)),
        None => (1, 0),
        Some(true) => (0, result.measured_ns.unwrap_or(0)),
    };
    let all = cpus.iter().map(|cpu| GoalResult::judge(goal, Some(&cpu.wakeup)));
    all.max_by_key(order).unwrap_or_else(|| GoalResult::judge(goal, None))
}

/// The CPUs on which it was missed.
fn too_late(goal: Goal, cpus: &[CpuNoise]) -> Vec<&CpuNoise> {
    cpus.iter().filter(|cpu| GoalResult::judge(goal, Some(&cpu.wakeup)).met == Some(false)).collect()
}

/// What helps, from the cheapest on. `version` is `uname -v`.
fn advice(goal: Goal, late: &[&CpuNoise], version: &str, distribution: Option<&Distribution>) -> Vec<String> {
    let cpus: Vec<u32> = late.iter().map(|c| c.cpu).collect();
    let cpus = lowlat_model::cpus::print_list(&cpus);
    let mut lines = vec![format!(
        "a program that sleeps on CPU {cpus} is woken too late for {goal}, whatever the network does: let it spin or \
         busy-poll (`lowlat explain busy-poll`), or use another CPU"
    )];
    if late.iter().any(|c| c.wakeup_policy.as_deref().is_some_and(|p| p.starts_with("SCHED_OTHER"))) {
        lines.push("measured at ordinary priority: run it as root for that of a real-time thread".to_owned());
    }
    lines.push(format!("see who is in the way: `lowlat noise --trace --cpus {cpus}`"));
    if version.contains("PREEMPT_RT") {
        lines.push(
            "the kernel is a real-time one already: look at idle states (`lowlat explain cpu.dma-latency`) and at the \
             firmware (system management interrupts)"
                .to_owned(),
        );
    } else {
        let how = distribution.and_then(Distribution::real_time_kernel);
        let how = how.map_or_else(|| "one built with CONFIG_PREEMPT_RT".to_owned(), str::to_owned);
        lines.push(format!("a real-time kernel bounds it (`lowlat explain boot.preempt-rt`): {how}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use lowlat_model::Quantiles;

    use super::*;

    fn cpu(cpu: u32, late_ns: u64, samples: usize) -> CpuNoise {
        CpuNoise {
            cpu,
            wakeup: Quantiles::of(&mut vec![late_ns; samples]),
            wakeup_policy: Some("SCHED_FIFO 80".into()),
            interruption: Quantiles::default(),
            gaps_seen: 0,
            stolen_ratio: 0.0,
            gaps: vec![],
            counted: std::collections::BTreeMap::new(),
            traced: None,
        }
    }

    #[test]
    fn the_slowest_cpu_judges() {
        let goal = |text: &str| text.parse::<Goal>().unwrap();
        let cpus = [cpu(0, 5_000, 1_000), cpu(1, 80_000, 1_000), cpu(2, 90_000, 5)];
        let of = |text: &str| {
            let result = worst(goal(text), &cpus);
            (result.met, result.measured_ns)
        };
        assert_eq!(of("p99=50us"), (Some(false), Some(80_000)));
        assert_eq!(of("p99=100us"), (None, None), "one CPU has too few samples");
        assert_eq!(worst(goal("p99=100us"), &cpus[..2]).met, Some(true));
        assert_eq!(worst(goal("p99=100us"), &[]).met, None);
        let late: Vec<u32> = too_late(goal("p99=50us"), &cpus).iter().map(|c| c.cpu).collect();
        assert_eq!(late, [1]);
    }

    #[test]
    fn the_advice_is_that_of_the_distribution_and_the_kernel() {
        let slow = cpu(3, 80_000, 1_000);
        let goal: Goal = "p99=50us".parse().unwrap();
        let rhel = Distribution::parse("ID=rhel\n");
        let lines = advice(goal, &[&slow], "#1 SMP PREEMPT_DYNAMIC", rhel.as_ref());
        assert!(lines[0].starts_with("a program that sleeps on CPU 3 is woken too late for p99"), "{lines:?}");
        assert!(lines.iter().any(|l| l.contains("dnf install kernel-rt")), "{lines:?}");
        let lines = advice(goal, &[&slow], "#1 SMP PREEMPT_RT Debian", rhel.as_ref());
        assert!(lines.iter().any(|l| l.contains("already")) && !lines.iter().any(|l| l.contains("dnf")), "{lines:?}");
        let lines = advice(goal, &[&slow], "", None);
        assert!(lines.iter().any(|l| l.contains("CONFIG_PREEMPT_RT")), "{lines:?}");
    }
}
