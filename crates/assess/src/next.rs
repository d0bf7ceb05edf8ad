//! What to do next, most useful first, each with a command. Nothing that was refused or shown useless comes again.

use lowlat_model::document::{ChecklistItem, EngineResult, StepResult, item as id};
use lowlat_model::{Finding, GoalResult};

use crate::Input;
use crate::cause::{self, LOSS};
use crate::steps::{self, Standing};
use crate::words::{percent, time};

/// One next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    /// What to do, with its command.
    pub(crate) text: String,
    /// The command alone.
    command: String,
    /// What it is for; empty where the command says it.
    what_for: String,
}

impl Next {
    /// A step whose text is the purpose and then the command.
    fn new(what_for: impl Into<String>, command: impl Into<String>) -> Self {
        let (what_for, command) = (what_for.into(), command.into());
        Self { text: format!("{what_for}: `{command}`"), command, what_for }
    }

    /// `` `lowlat persist` (make what was kept survive a reboot) ``.
    pub(crate) fn command_line(&self) -> String {
        format!("`{}` ({})", self.command, self.what_for)
    }
}

/// Every next step, each once. Empty only when the goals are met and nothing is open.
pub(crate) fn all(input: &Input<'_>, checklist: &[ChecklistItem]) -> Vec<Next> {
    let mut all = Vec::new();
    all.extend(drops(input));
    all.extend(dry_run(input));
    all.extend(findings(input));
    all.extend(modes(input));
    all.extend(to_the_goals(input));
    all.extend(persist(input));
    all.extend(load(input));
    all.extend(longer(input));
    all.extend(open_items(input, checklist));
    let mut once: Vec<Next> = Vec::new();
    for next in all {
        if !once.iter().any(|n| n.text == next.text) {
            once.push(next);
        }
    }
    once
}

/// `lowlat optimize --iface eth0 --target 192.0.2.2:11200` with what is missing.
fn optimize(input: &Input<'_>, flags: &str) -> String {
    let iface = input.facts.iface.as_deref().map(|i| format!(" --iface {i}")).unwrap_or_default();
    let target = input.present().map(|m| format!(" --target {}", m.target)).unwrap_or_default();
    let flags = if flags.is_empty() { String::new() } else { format!(" {flags}") };
    let judge = input.judge.map_or_else(String::new, |j| {
        let higher = if j.higher_is_better { " --higher-is-better" } else { "" };
        format!(" --judge '{}'{higher}", j.command.replace('\'', "'\\''"))
    });
    format!("lowlat optimize{iface}{target}{judge}{flags}")
}

fn check(input: &Input<'_>) -> String {
    input.facts.iface.as_deref().map_or_else(|| "lowlat check".to_owned(), |i| format!("lowlat check --iface {i}"))
}

fn drops(input: &Input<'_>) -> Option<Next> {
    let m = input.present()?;
    let ratio = m.loss_ratio.filter(|r| *r > 0.0)?;
    let first = if ratio > LOSS { "find first" } else { "find" };
    Some(Next::new(
        format!("{first} where {} of the probes are lost, by the counters that grow", percent(ratio)),
        check(input),
    ))
}

fn dry_run(input: &Input<'_>) -> Option<Next> {
    let settings = input.findings.iter().any(|f| !f.remedy.settings.is_empty());
    (input.dry_run && settings)
        .then(|| Next::new("run without --dry-run to try each step of the plan with proof", optimize(input, "")))
}

/// Serious findings that nothing fixed, by what is left to do about each. In a dry run the line above covers those
/// that a setting may fix.
fn findings(input: &Input<'_>) -> Vec<Next> {
    let by_setting = |f: &Finding| !f.remedy.settings.is_empty();
    let all = steps::open(input).into_iter().filter(|(f, _)| !(input.dry_run && by_setting(f)));
    all.filter_map(|(f, standing)| for_finding(f, &standing)).collect()
}

fn for_finding(f: &Finding, standing: &Standing<'_>) -> Option<Next> {
    let explain = format!("lowlat explain {}", f.rule);
    let by = |s: &StepResult| format!("{} on {}", s.knob, s.target);
    match standing {
        Standing::Fixed(_) | Standing::Useless(_) => None,
        Standing::Open => Some(Next::new(format!("{}: {}", f.rule, f.remedy.advice), explain)),
        Standing::Left(left) => {
            let left: Vec<String> = left.iter().map(|s| format!("{} on {} = {}", s.knob, s.target, s.value)).collect();
            Some(Next::new(
                format!("{}: what was tried did not help; not tried yet: {}", f.rule, left.join(", ")),
                explain,
            ))
        }
        Standing::Reset(s) => Some(Next::new(
            format!("{}: {} resets the link here; set it while no traffic depends on it", f.rule, by(s)),
            explain,
        )),
        Standing::Refused(s) => {
            let why = s.why.as_deref().map(|w| format!(" ({w})")).unwrap_or_default();
            Some(Next::new(format!("{}: {} was refused{why}; see what else fixes it", f.rule, by(s)), explain))
        }
    }
}

fn modes(input: &Input<'_>) -> Option<Next> {
    let m = input.modes?;
    let words = format!(
        "keep the path in its fast mode (P50 {} against {}; {}) by pinning application and interrupts",
        time(Some(m.fast_ns)),
        time(Some(m.slow_ns)),
        cause::differs(m)
    );
    Some(Next::new(words, "lowlat explain irq.affinity"))
}

/// What lies between the path and each missed goal.
fn to_the_goals(input: &Input<'_>) -> Vec<Next> {
    if input.dry_run {
        return Vec::new();
    }
    input.goals.iter().filter(|g| g.met == Some(false)).map(|g| to_goal(input, g)).collect()
}

/// An engine that reaches the goal on this path, else the fastest one, else where to look.
fn to_goal(input: &Input<'_>, goal: &GoalResult) -> Next {
    let of = |e: &EngineResult| e.measurement.as_ref().and_then(|m| goal.quantile.of(&m.rtt));
    let faster = input
        .engines
        .iter()
        .filter_map(|e| Some((of(e)?, e)))
        .filter(|(at, _)| goal.measured_ns.is_none_or(|now| *at < now))
        .min_by_key(|(at, _)| *at);
    let missed =
        format!("{} misses its goal of {} ({})", goal.quantile, time(Some(goal.goal_ns)), time(goal.measured_ns));
    match faster {
        Some((at, e)) => {
            let reach = if at <= goal.goal_ns { "reaches it" } else { "comes closest" };
            // The first clause is the cost; the rest is in the report, at the engine.
            let cost = e.costs.split(';').next().unwrap_or_default();
            let costs = if cost.is_empty() { String::new() } else { format!("; it costs {cost}") };
            Next::new(
                format!("{missed}: {} {reach} on this path with {}{costs}", e.engine, time(Some(at))),
                format!("lowlat explain {}", e.engine),
            )
        }
        None if input.engines.iter().all(|e| e.measurement.is_none()) => Next::new(
            format!("{missed}: measure what other engines would gain on this path"),
            optimize(input, "--engines block,spin,io-uring,af-xdp"),
        ),
        None => Next::new(
            format!("{missed}, and no engine measured here is faster: see in which stage the time goes"),
            input
                .present()
                .map_or_else(|| "lowlat measure".to_owned(), |m| format!("lowlat measure {} --stamps", m.target)),
        ),
    }
}

fn persist(input: &Input<'_>) -> Option<Next> {
    (!steps::kept(input).is_empty() && !input.persisted && !input.will_be_rolled_back)
        .then(|| Next::new("make what was kept survive a reboot", "lowlat persist"))
}

fn load(input: &Input<'_>) -> Option<Next> {
    (!input.dry_run && input.loaded.is_none() && input.judge.is_none())
        .then(|| Next::new("measure under load too", optimize(input, "--load 4")))
}

fn longer(input: &Input<'_>) -> Option<Next> {
    let short = input.present().is_some_and(|m| m.rtt.p999_ns.is_none() && m.lost == 0);
    (short && !input.dry_run)
        .then(|| Next::new("measure longer, since P99.9 needs 10000 probes", optimize(input, "--duration 20s")))
}

/// Unmet items that no line above speaks of, and that no step has tried to fix.
fn open_items(input: &Input<'_>, checklist: &[ChecklistItem]) -> Vec<Next> {
    let tried = |prefix: &str| input.steps.iter().any(|s| s.knob.starts_with(prefix));
    let unmet = checklist.iter().filter(|i| i.met == Some(false));
    let action = |i: &ChecklistItem| {
        let seen = &i.evidence;
        Some(match i.id.as_str() {
            id::JITTER => Next::new(
                format!("P99 is {seen} times the median; see what the host itself adds to the tail"),
                "lowlat noise",
            ),
            id::OWN_CORES if !tried("irq.") => Next::new(
                format!("give the application a core on which no interrupt fires ({seen})"),
                "lowlat explain irq.affinity",
            ),
            id::OFFLOADS if !tried("nic.coalesce.") && !tried("nic.feature.") => {
                Next::new(format!("set the NIC not to delay packets ({seen})"), "lowlat explain nic.coalesce.rx-usecs")
            }
            id::STAMPS => {
                let target = input.present().map_or_else(String::new, |m| format!(" {}", m.target));
                Next::new(
                    format!("see why no hardware timestamp arrived ({seen})"),
                    format!("lowlat measure{target} --stamps"),
                )
            }
            id::GOVERNOR if !tried("cpu.governor") => {
                Next::new(format!("run the CPUs at full speed ({seen})"), "lowlat explain cpu.governor")
            }
            id::ONE_NODE => Next::new(
                format!("run the application on the NIC's node ({seen})"),
                "lowlat explain irq-off-node-or-app-cpu",
            ),
            // The others are spoken of above: baseline, latency and drops by the goal and the loss, persisting by its
            // step.
            _ => return None,
        })
    };
    unmet.filter_map(action).collect()
}

#[cfg(test)]
mod tests {
    use crate::sample;
    use lowlat_model::op::Target;
    use lowlat_model::tune::Disposition;
    use lowlat_model::{GoalQuantile, Reading, Severity};
    use lowlat_testkit::run;

    fn next(run: &sample::Run) -> Vec<String> {
        crate::assess(&run.input()).next_steps
    }

    #[test]
    fn what_was_shown_useless_is_not_asked_for_again() {
        let run = sample::Run::good();
        assert_eq!(next(&run), Vec::<String>::new(), "the one open finding's setting showed no difference");
    }

    #[test]
    fn what_was_refused_or_reset_the_link_says_what_is_left() {
        let mut run = sample::Run::good();
        let at = run.steps.iter().position(|s| s.knob == "steer.rps").unwrap();
        run.steps[at].disposition = Disposition::Refused;
        run.steps[at].why = Some("operation not supported".into());
        assert_eq!(
            next(&run),
            ["rps-remote-cpu: steer.rps on eth0/rx-0 was refused (operation not supported); see what else fixes \
              it: `lowlat explain rps-remote-cpu`"]
        );
        run.steps[at].disposition = Disposition::Reset;
        assert!(next(&run)[0].contains("resets the link here"), "{:?}", next(&run));
        run.steps.remove(at);
        assert_eq!(next(&run), ["rps-remote-cpu: fix rps-remote-cpu: `lowlat explain rps-remote-cpu`"]);
    }

    #[test]
    fn a_finding_on_two_queues_is_reported_once() {
        let mut run = sample::Run::good();
        run.steps.retain(|s| s.kept);
        for queue in 1..3 {
            let target = Target::RxQueue("eth0".into(), queue);
            run.findings.push(run::finding("rps-remote-cpu", Severity::Warning, "steer.rps", target, "off"));
        }
        assert_eq!(next(&run).len(), 1, "{:?}", next(&run));
    }

    #[test]
    fn a_setting_that_was_not_tried_is_named() {
        let mut run = sample::Run::good();
        let f = run.findings.iter_mut().find(|f| f.rule == "rps-remote-cpu").unwrap();
        let other = Target::RxQueue("eth0".into(), 1);
        f.remedy.settings.push(lowlat_model::finding::Setting { target: other, ..f.remedy.settings[0].clone() });
        assert!(next(&run)[0].contains("not tried yet: steer.rps on eth0/rx-1 = off"), "{:?}", next(&run));
    }

    #[test]
    fn the_way_to_a_missed_goal_names_a_measured_engine() {
        let mut run = sample::Run::good();
        run.goals = vec![sample::goal(60_000, 80_000)];
        run.engines = run::document().engines;
        assert_eq!(
            next(&run),
            [
                "p50 misses its goal of 60.0 µs (80.0 µs): spin reaches it on this path with 52.0 µs; it costs a whole core: \
              `lowlat explain spin`"
            ]
        );
        run.goals = vec![sample::goal(20_000, 80_000)];
        assert!(next(&run).iter().any(|s| s.contains("spin comes closest")));
        run.engines.retain(|e| e.engine == "block");
        assert!(next(&run).iter().any(|s| s.contains("no engine measured here is faster")));
        run.engines.clear();
        assert!(next(&run).iter().any(|s| s.contains("--engines")));
        run.goals[0].quantile = GoalQuantile::P99;
        assert!(next(&run).iter().any(|s| s.starts_with("p99 misses its goal")));
        run.goals = vec![sample::goal(80_000, 80_000)];
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
        for words in [
            "make what was kept survive a reboot: `lowlat persist`",
            "`lowlat optimize --iface eth0 --target 192.0.2.2:11200 --load 4`",
            "measure longer",
            "P99 is 3.00 times the median",
        ] {
            assert!(steps.iter().any(|s| s.contains(words)), "{words}: {steps:#?}");
        }
        run.will_be_rolled_back = true;
        assert!(!next(&run).iter().any(|s| s.contains("persist")), "{:?}", next(&run));
    }

    #[test]
    fn an_unmet_item_whose_knob_was_tried_is_left_alone() {
        let mut run = sample::Run::good();
        if let Reading::Value(c) = &mut run.iface().coalesce {
            c.insert("rx-usecs".into(), 50);
        }
        assert!(next(&run).iter().any(|s| s.contains("not to delay packets")), "{:?}", next(&run));
        let mut refused = run.steps[0].clone();
        (refused.knob, refused.kept) = ("nic.coalesce.rx-usecs".into(), false);
        (refused.comparison, refused.disposition) = (None, Disposition::Refused);
        run.steps.push(refused);
        assert!(!next(&run).iter().any(|s| s.contains("not to delay packets")), "{:?}", next(&run));
    }

    #[test]
    fn a_dry_run_points_at_the_real_one() {
        let mut run = sample::Run::good();
        run.dry_run = true;
        run.steps.clear();
        run.result = None;
        assert_eq!(
            next(&run),
            ["run without --dry-run to try each step of the plan with proof: `lowlat optimize --iface eth0 --target \
              192.0.2.2:11200`"]
        );
    }
}
