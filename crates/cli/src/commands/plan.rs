//! `lowlat plan`: the steps that the findings lead to; changes nothing.

use lowlat_model::finding::Setting;
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
    let plan = match args.set.as_slice() {
        [knob, target, value] => one(knob, target, value, live, args.allow_disruptive)?,
        _ => planned(&super::facts_from(args.facts.as_deref(), None, args.iface.as_deref(), None)?, args, live),
    };
    if let Some(out) = out {
        let text = serde_json::to_vec_pretty(&plan)
            .map_err(|e| Failure::new(format!("write the plan: {e}; report this as a bug")))?;
        out.write(&text).map_err(unwritable)?;
    }
    if json {
        output::json(&plan)?;
    } else {
        output::text(&lowlat_report::plan(&plan));
    }
    Ok(0)
}

fn unwritable(e: StoreError) -> Failure {
    Failure::because(e, "name a file that can be written with --out")
}

fn planned(facts: &Facts, args: &PlanArgs, live: Live) -> Plan {
    let (findings, _) = crate::optimize::find(facts, None, args.goal);
    crate::optimize::make_plan(&findings, facts, &live, args.allow_disruptive, true)
}

fn one(knob: &str, target: &str, value: &str, live: Live, allow_disruptive: bool) -> Result<Plan, Failure> {
    if lowlat_knobs::find(knob).is_none() {
        return Err(Failure::new(format!("plan {knob:?}: there is no knob of that name; `lowlat explain` lists them")));
    }
    let target = target.parse().map_err(|e| Failure::new(format!("plan {knob}: {e}")))?;
    let setting = Setting { knob: knob.to_owned(), target, value: value.to_owned(), joint: None };
    let step = lowlat_knobs::resolve(&live, &setting, "asked for by hand").map_err(|l| {
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
        allow_host_wide: true,
        allow_reboot: true,
        management_ifaces,
    };
    let plan = lowlat_plan::order(vec![step], Vec::new(), &options);
    // What was asked for by name and is refused is no empty plan.
    match plan.left_out.first() {
        Some(l) => Err(Failure::new(format!("plan {} on {}: {}", l.knob, l.target, l.why))),
        None => Ok(plan),
    }
}
