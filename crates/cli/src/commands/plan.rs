//! `lowlat plan`: Plan the changes that the findings call for; changes nothing.

use lowlat_apply::export::ExportFormat;
use lowlat_model::finding::Setting;
use lowlat_model::tune::Scope;
use lowlat_model::{Facts, Plan, PlannedStep, Risk};
use lowlat_sys::store::{Output, StoreError};
use lowlat_sys::{Live, Sys};

use crate::args::{ExportArg, PlanArgs};
use crate::output;
use lowlat_live::{Failure, Outcome};

/// Runs the command.
pub fn run(args: &PlanArgs, json: bool) -> Outcome {
    if args.export.is_some() && json {
        return Err(Failure::new(
            "plan with --export and --json: an export is not a JSON document; leave out one of them",
        ));
    }
    let live = Live::new();
    let out = args.out.as_deref().map(Output::prove).transpose().map_err(unwritable)?;
    let goal_ns = super::median_goal("plan", &args.goal)?;
    let asked = settings("plan --set", &args.set)?;
    let plan = if asked.is_empty() {
        let (file, target) = (args.facts.as_deref(), args.target.as_deref());
        let facts = super::facts_from(file, None, args.iface.as_deref(), target, None)?;
        planned(&facts, goal_ns, args.allow_disruptive, live)
    } else {
        by_hand(&asked, &live, args.allow_disruptive)?
    };
    // Facts of another host say nothing of the programs of this one.
    if args.facts.is_none() {
        for line in lowlat_apply::others(&plan, &live) {
            output::progress(&line);
        }
    }
    if let Some(format) = args.export {
        return export(&plan, format, out);
    }
    if let Some(out) = out {
        let text = serde_json::to_vec_pretty(&plan)
            .map_err(|e| Failure::new(format!("write the plan: {e}; report this as a bug")))?;
        out.write(&text).map_err(unwritable)?;
    }
    if json {
        output::json(&plan)?;
    } else {
        output::report(&lowlat_report::plan(&plan, output::width()));
    }
    Ok(0)
}

/// Prints the plan for hosts without lowlat, or writes it; what it cannot hold is named on standard error.
fn export(plan: &Plan, format: ExportArg, out: Option<Output>) -> Outcome {
    let format = match format {
        ExportArg::Sh => ExportFormat::Sh,
        ExportArg::Ansible => ExportFormat::Ansible,
        ExportArg::Tuned => ExportFormat::Tuned,
    };
    let exported = lowlat_apply::export::export(plan, format);
    for line in &exported.left_out {
        output::progress(&format!("not exported: {line}"));
    }
    if exported.steps == 0 {
        let why = if plan.steps.is_empty() { "it has no steps" } else { "it has none that this format can hold" };
        return Err(Failure::new(format!("export the plan: {why}; see `lowlat plan`")));
    }
    match out {
        Some(out) => out.write(exported.text.as_bytes()).map_err(unwritable)?,
        None => output::page(&exported.text),
    }
    Ok(0)
}

fn unwritable(e: StoreError) -> Failure {
    Failure::because(e, "give a writable file with --out")
}

fn planned(facts: &Facts, goal_ns: Option<u64>, allow_disruptive: bool, live: Live) -> Plan {
    let findings = lowlat_live::optimize::find(facts, None, goal_ns).findings;
    let options = lowlat_live::optimize::plan_options(facts, allow_disruptive, Scope::Host);
    lowlat_live::optimize::make_plan(&findings, &[], facts, &live, &options)
}

/// The settings that a flag of three words names, which may be given several times.
pub fn settings(flag: &str, words: &[String]) -> Result<Vec<Setting>, Failure> {
    let one = |[knob, target, value]: &[String; 3]| {
        // A target may begin with a hyphen, as an interface's name may; three words of which one is a flag are two.
        if let Some(other) = [knob, target, value].into_iter().find(|w| w.starts_with("--")) {
            return Err(Failure::new(format!(
                "{flag} {knob}: {other:?} is a flag; give three words: KNOB TARGET VALUE"
            )));
        }
        if lowlat_knobs::find(knob).is_none() {
            return Err(Failure::new(format!("{flag} {knob:?}: no such knob; `lowlat explain` lists them")));
        }
        let target = target.parse().map_err(|e| Failure::new(format!("{flag} {knob}: {e}")))?;
        Ok(Setting { knob: knob.clone(), target, value: value.clone(), joint: None })
    };
    let (triples, rest) = words.as_chunks::<3>();
    if let Some(word) = rest.first() {
        return Err(Failure::new(format!("{flag} {word}: give three words: KNOB TARGET VALUE")));
    }
    triples.iter().map(one).collect()
}

/// A plan of what was asked for by name, in the plan's own order. One that is refused refuses the whole: what was asked
/// for is never left out in silence.
fn by_hand(settings: &[Setting], sys: &dyn Sys, allow_disruptive: bool) -> Result<Plan, Failure> {
    let mut steps = settings.iter().map(|setting| step(setting, sys)).collect::<Result<Vec<_>, _>>()?;
    for (n, a) in steps.iter().enumerate() {
        if let Some(b) = steps[n + 1..].iter().find(|b| contradict(a, b)) {
            return Err(Failure::new(format!(
                "plan --set: {} on {} to {} and {} on {} to {} are two values for one place; leave out one",
                a.knob, a.target, a.to, b.knob, b.target, b.to
            )));
        }
    }
    if steps.iter().any(|s| s.risk == Risk::High) {
        let management_ifaces = lowlat_live::optimize::management_ifaces(&lowlat_collect::gather(sys, None, None));
        let cuts_off = |s: &PlannedStep| s.ifaces().any(|i| management_ifaces.iter().any(|m| m == i));
        // To name a step is to ask for what it does, but for cutting off whoever asks.
        let (asks, rest): (Vec<_>, Vec<_>) = steps.into_iter().partition(|s| s.risk == Risk::High && cuts_off(s));
        let options = lowlat_plan::PlanOptions { allow_disruptive, management_ifaces, ..anything() };
        steps = complete(lowlat_plan::order(asks, Vec::new(), &options))?.steps;
        steps.extend(rest);
    }
    // What apply would refuse is said now; after what a flag may allow, or the flag would be named too late.
    for step in &steps {
        lowlat_apply::foretold(sys, step)
            .map_err(|why| Failure::new(format!("plan {} on {}: {why}", step.knob, step.target)))?;
    }
    complete(lowlat_plan::order(steps, Vec::new(), &anything()))
}

/// What may be planned that was asked for by name.
fn anything() -> lowlat_plan::PlanOptions {
    lowlat_plan::PlanOptions {
        allow_disruptive: true,
        reach: Scope::Host,
        allow_reboot: true,
        ..lowlat_plan::PlanOptions::default()
    }
}

fn step(setting: &Setting, sys: &dyn Sys) -> Result<PlannedStep, Failure> {
    let (knob, target) = (&setting.knob, &setting.target);
    lowlat_knobs::resolve(sys, setting, "asked for by hand")
        .map_err(|l| Failure::new(format!("plan {knob} on {target}: {}; see `lowlat explain {knob}`", l.why)))
}

/// Whether two steps bring one place to different values: one of them would undo the other.
fn contradict(a: &PlannedStep, b: &PlannedStep) -> bool {
    a.ops.iter().any(|x| b.ops.iter().any(|y| x.locus == y.locus && x.set != y.set))
}

/// What was asked for by name and is refused is no empty plan.
fn complete(plan: Plan) -> Result<Plan, Failure> {
    match plan.left_out.first() {
        Some(l) => Err(Failure::new(format!("plan {} on {}: {}", l.knob, l.target, l.why))),
        None => Ok(plan),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    fn asked(words: &str) -> Result<Plan, String> {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let sys = FakeSys::new()
            .file("/proc/sys/net/ipv4/tcp_autocorking", "1\n")
            .file("/proc/sys/net/ipv4/tcp_notsent_lowat", "4294967295\n")
            .file("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "1\n");
        let settings = settings("plan --set", &words).unwrap();
        by_hand(&settings, &sys, false).map_err(|e| e.to_string())
    }

    #[test]
    fn every_setting_that_is_asked_for_is_planned() {
        let (corking, idle) = ("sysctl.net.ipv4.tcp_autocorking", "sysctl.net.ipv4.tcp_slow_start_after_idle");
        let plan = asked(&format!("{corking} host 0 {idle} host 0")).unwrap();
        let knobs: Vec<&str> = plan.steps.iter().map(|s| s.knob.as_str()).collect();
        assert_eq!(knobs, [corking, idle]);
        assert_eq!(asked(&format!("{corking} host 0")).unwrap().steps.len(), 1);
        assert_eq!(asked(&format!("{corking} host 0 {corking} host 0")).unwrap().steps.len(), 1, "the same twice");
    }

    #[test]
    fn one_that_cannot_be_planned_refuses_the_whole() {
        let (corking, idle) = ("sysctl.net.ipv4.tcp_autocorking", "sysctl.net.ipv4.tcp_slow_start_after_idle");
        let why = asked(&format!("{corking} host 0 {idle} host 1")).unwrap_err();
        assert!(why.contains(idle) && why.contains("already"), "{why}");
        let unsent = "sysctl.net.ipv4.tcp_notsent_lowat";
        let why = asked(&format!("{unsent} host 16384 {unsent} host 131072")).unwrap_err();
        assert!(why.contains("two values for one place"), "{why}");
    }
}
