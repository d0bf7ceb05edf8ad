//! `lowlat plan`: the steps that the findings lead to; changes nothing.

use lowlat_model::finding::Setting;
use lowlat_model::tune::Scope;
use lowlat_model::{Facts, Plan, Risk};
use lowlat_sys::Live;
use lowlat_sys::store::{Output, StoreError};

use crate::args::PlanArgs;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Runs the command.
pub fn run(args: &PlanArgs, json: bool) -> Outcome {
    let live = Live::new();
    let out = args.out.as_deref().map(Output::prove).transpose().map_err(unwritable)?;
    let goal_ns = super::median_goal("plan", &args.goal)?;
    let plan = if let [setting] = settings("plan --set", &args.set)?.as_slice() {
        one(setting, live, args.allow_disruptive)?
    } else {
        let (file, target) = (args.facts.as_deref(), args.target.as_deref());
        let facts = super::facts_from(file, None, args.iface.as_deref(), target, None)?;
        planned(&facts, goal_ns, args.allow_disruptive, live)
    };
    if let Some(out) = out {
        let text = serde_json::to_vec_pretty(&plan)
            .map_err(|e| Failure::new(format!("write the plan: {e}; report this as a bug")))?;
        out.write(&text).map_err(unwritable)?;
    }
    if json {
        output::json(&plan)?;
    } else {
        output::text(&lowlat_report::plan(&plan, output::width()));
    }
    Ok(0)
}

fn unwritable(e: StoreError) -> Failure {
    Failure::because(e, "name a file that can be written with --out")
}

fn planned(facts: &Facts, goal_ns: Option<u64>, allow_disruptive: bool, live: Live) -> Plan {
    let findings = crate::optimize::find(facts, None, goal_ns).findings;
    let options = crate::optimize::plan_options(facts, allow_disruptive, Scope::Host);
    crate::optimize::make_plan(&findings, &[], facts, &live, &options)
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
            return Err(Failure::new(format!(
                "{flag} {knob:?}: there is no knob of that name; `lowlat explain` lists them"
            )));
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

fn one(setting: &Setting, live: Live, allow_disruptive: bool) -> Result<Plan, Failure> {
    let step = lowlat_knobs::resolve(&live, setting, "asked for by hand").map_err(|l| {
        Failure::new(format!("plan {} on {}: {}; see `lowlat explain {}`", l.knob, l.target, l.why, l.knob))
    })?;
    // To name a step is to ask for what it does, but for cutting off whoever asks.
    let management_ifaces = match step.risk {
        Risk::High => crate::optimize::management_ifaces(&lowlat_probes::gather(&live, None, None)),
        _ => Vec::new(),
    };
    let cuts_off = step.target.iface().is_some_and(|i| management_ifaces.iter().any(|m| m == i));
    let options = lowlat_plan::Options {
        allow_disruptive: allow_disruptive || !cuts_off,
        reach: Scope::Host,
        allow_reboot: true,
        management_ifaces,
        ..lowlat_plan::Options::default()
    };
    let plan = lowlat_plan::order(vec![step], Vec::new(), &options);
    // What was asked for by name and is refused is no empty plan.
    match plan.left_out.first() {
        Some(l) => Err(Failure::new(format!("plan {} on {}: {}", l.knob, l.target, l.why))),
        None => Ok(plan),
    }
}
