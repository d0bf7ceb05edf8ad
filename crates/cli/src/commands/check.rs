//! `lowlat check`: facts to findings, read-only, as far as this user may see.

use lowlat_model::finding::CheckDocument;
use lowlat_model::units::parse_duration_ns;
use lowlat_model::{Schema, Severity};

use crate::args::CheckArgs;
use crate::output;
use lowlat_live::{Failure, Outcome};

/// Runs the command. Exit 1 when something serious was found.
pub fn run(args: &CheckArgs, json: bool) -> Outcome {
    let window = match args.window.as_str() {
        "none" => None,
        text => Some(parse_duration_ns(text).map_err(|e| Failure::new(format!("take rates over {e}, or none")))?),
    };
    let goal_ns = super::median_goal("check", &args.goal)?;
    let (file, root) = (args.facts.as_deref(), args.root.as_deref());
    let whose = super::whose(args.application);
    let mut facts = super::facts_from(file, root, args.iface.as_deref(), args.target.as_deref(), window, whose)?;
    let seen = lowlat_live::optimize::find(&facts, None, goal_ns);
    let document = CheckDocument {
        schema: Schema::current("check"),
        iface: facts.iface.clone(),
        findings: seen.findings,
        not_seen: seen.not_seen,
        elsewhere: seen.elsewhere,
        path: facts.path.iter().map(|l| l.name.clone()).collect(),
        application: facts.application.take(),
    };
    if json {
        output::json(&document)?;
    } else {
        output::report(&lowlat_report::check(&document, output::width()));
    }
    Ok(u8::from(document.findings.iter().any(|f| f.severity >= Severity::Warning)))
}
