//! `lowlat plan`: Plan the changes that the findings call for; changes nothing.

use lowlat_apply::export::ExportFormat;
use lowlat_model::tune::Scope;
use lowlat_model::{Facts, Plan};
use lowlat_sys::Live;
use lowlat_sys::store::{Output, StoreError};

use crate::args::{ExportArg, PlanArgs};
use crate::output;
use lowlat_live::{Failure, Outcome, by_hand};

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
    let asked = by_hand::settings("plan --set", &args.set)?;
    let plan = if asked.is_empty() {
        let (file, target) = (args.facts.as_deref(), args.target.as_deref());
        let facts = super::facts_from(file, None, args.iface.as_deref(), target, None, None)?;
        planned(&facts, goal_ns, args.allow_disruptive, live)
    } else {
        by_hand::plan(&asked, &live, args.allow_disruptive)?
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
