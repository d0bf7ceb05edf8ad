//! What to do next: unmended faults, the way to the goal, and what was left open. Most useful first.

use lowlat_model::document::{ChecklistItem, EngineResult};
use lowlat_model::{Finding, Severity};

use crate::Input;
use crate::words::{percent, time};

/// Every next step. Empty only when the goal is met and nothing is open.
pub(crate) fn all(input: &Input<'_>, checklist: &[ChecklistItem]) -> Vec<String> {
    let mut steps = Vec::new();
    steps.extend(drops(input));
    steps.extend(dry_run(input));
    steps.extend(unmended(input));
    steps.extend(to_the_goal(input));
    steps.extend(persist(input));
    steps.extend(load(input));
    steps.extend(longer(input));
    steps.extend(open_items(checklist));
    steps
}

fn drops(input: &Input<'_>) -> Option<String> {
    let m = input.present()?;
    let ratio = m.loss_ratio.filter(|r| *r > 0.0)?;
    Some(format!("find where {} of the probes are lost: `lowlat check` names the counters that grow", percent(ratio)))
}

fn dry_run(input: &Input<'_>) -> Option<String> {
    let settings = input.findings.iter().any(|f| !f.remedy.settings.is_empty());
    (input.dry_run && settings)
        .then(|| "run it without --dry-run: each step of the plan is tried and proved".to_owned())
}

/// Faults of weight for which no step was kept. In a dry run every fault is one; the line above covers them.
fn unmended(input: &Input<'_>) -> Vec<String> {
    let open = |f: &&Finding| {
        let mendable = !f.remedy.settings.is_empty();
        let mended = f.remedy.settings.iter().any(|s| input.kept().any(|k| k.knob == s.knob && k.target == s.target));
        f.severity >= Severity::Warning && !mended && !(input.dry_run && mendable)
    };
    input.findings.iter().filter(open).map(|f| format!("{}: {}", f.rule, f.remedy.advice)).collect()
}

/// What lies between the result and the goal: an engine that reaches it on this path, else the fastest one.
fn to_the_goal(input: &Input<'_>) -> Option<String> {
    let goal = input.goal_ns?;
    let now = input.present()?.rtt.p50_ns?;
    if now <= goal || input.dry_run {
        return None;
    }
    let engine_p50 = |e: &EngineResult| e.measurement.as_ref().and_then(|m| m.rtt.p50_ns);
    let mut faster: Vec<(u64, &EngineResult)> =
        input.engines.iter().filter_map(|e| Some((engine_p50(e)?, e))).filter(|(p50, _)| *p50 < now).collect();
    faster.sort_by_key(|(p50, _)| *p50);
    let missed = format!("the goal of {} is missed (median {})", time(Some(goal)), time(Some(now)));
    Some(match faster.first() {
        Some((p50, e)) => {
            let reach = if *p50 <= goal { "reaches it" } else { "comes closest" };
            // The first clause is the cost; the rest stands beside the engine in the report.
            let cost = e.costs.split(';').next().unwrap_or_default();
            let costs = if cost.is_empty() { String::new() } else { format!("; it costs {cost}") };
            format!("{missed}: {} {reach} on this path with {}{costs}", e.engine, time(Some(*p50)))
        }
        None if input.engines.iter().all(|e| e.measurement.is_none()) => {
            format!("{missed}: measure what bypass would gain on this path (--engines)")
        }
        None => {
            format!("{missed}, and no engine measured here is faster: look at the far end, the wire and the hardware")
        }
    })
}

fn persist(input: &Input<'_>) -> Option<String> {
    (input.kept().next().is_some() && !input.persisted)
        .then(|| "make what was kept survive a reboot: `lowlat persist`".to_owned())
}

fn load(input: &Input<'_>) -> Option<String> {
    (!input.dry_run && input.loaded.is_none())
        .then(|| "measure again under load: `lowlat optimize --load 4`".to_owned())
}

fn longer(input: &Input<'_>) -> Option<String> {
    let short = input.present().is_some_and(|m| m.rtt.p999_ns.is_none() && m.lost == 0);
    short.then(|| "measure longer: P99.9 needs 10000 probes (--duration)".to_owned())
}

/// Unmet items that no line above speaks of.
fn open_items(checklist: &[ChecklistItem]) -> Vec<String> {
    let spoken_of = ["settings persisted", "no drops", "latency down", "baseline documented"];
    checklist
        .iter()
        .filter(|i| i.met == Some(false) && !spoken_of.iter().any(|s| i.item.starts_with(s)))
        .map(|i| format!("not met: {} ({})", i.item, i.evidence))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::sample;
    use lowlat_testkit::run;

    fn next(run: &sample::Run) -> Vec<String> {
        crate::assess(&run.input()).next_steps
    }

    #[test]
    fn a_fault_whose_step_was_put_back_stays_open() {
        let run = sample::Run::good();
        assert_eq!(next(&run), ["rps-remote-cpu: mend rps-remote-cpu"]);
    }

    #[test]
    fn the_way_to_a_missed_goal_names_a_measured_engine() {
        let mut run = sample::Run::good();
        run.goal_ns = Some(60_000);
        run.engines = run::document().engines;
        let steps = next(&run);
        assert!(
            steps.iter().any(|s| s
                == "the goal of 60.0 µs is missed (median 80.0 µs): spin reaches it on this path with 52.0 µs; it costs a whole core"),
            "{steps:#?}"
        );
        run.goal_ns = Some(20_000);
        assert!(next(&run).iter().any(|s| s.contains("spin comes closest")));
        run.engines.retain(|e| e.engine == "block");
        assert!(next(&run).iter().any(|s| s.contains("no engine measured here is faster")));
        run.engines.clear();
        assert!(next(&run).iter().any(|s| s.contains("--engines")));
        run.goal_ns = Some(80_000);
        assert!(!next(&run).iter().any(|s| s.contains("goal")));
    }

    #[test]
    fn what_was_left_out_is_asked_for() {
        let mut run = sample::Run::good();
        run.persisted = false;
        run.loaded = None;
        run.result.as_mut().unwrap().rtt.p999_ns = None;
        run.result.as_mut().unwrap().jitter_ratio = Some(3.0);
        let steps = next(&run);
        for words in ["lowlat persist", "--load", "measure longer", "not met: P99/P50 below 2 (3.00)"] {
            assert!(steps.iter().any(|s| s.contains(words)), "{words}: {steps:#?}");
        }
    }

    #[test]
    fn a_dry_run_points_at_the_real_one() {
        let mut run = sample::Run::good();
        run.dry_run = true;
        run.steps.clear();
        run.result = None;
        assert_eq!(next(&run), ["run it without --dry-run: each step of the plan is tried and proved"]);
    }
}
