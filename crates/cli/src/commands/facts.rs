//! `lowlat facts`: Print the host's configuration and state as one JSON document.

use lowlat_model::Facts;
use lowlat_rules::{Input, check_all};
use lowlat_sys::{Captured, Live, Recorder};

use crate::args::FactsArgs;
use crate::output;
use lowlat_live::{Failure, Outcome};

/// Runs the command.
pub fn run(args: &FactsArgs) -> Outcome {
    let Some(dir) = &args.capture else {
        let (root, iface, target) = (args.root.as_deref(), args.iface.as_deref(), args.target.as_deref());
        let facts = super::facts_from(None, root, iface, target, args.window, super::whose(args.application))?;
        output::json(&facts)?;
        return Ok(0);
    };
    let recorder = Recorder::new(Live::new());
    if let Some(iface) = &args.iface {
        lowlat_live::optimize::interface_known(iface, &recorder)?;
    }
    let facts = lowlat_collect::gather(&recorder, args.iface.as_deref(), args.window);
    recorder.write(dir, true)?;
    // A capture is worth nothing if it does not open again and say the same.
    let again = lowlat_collect::gather(&Captured::open(dir)?, args.iface.as_deref(), args.window);
    if let Some(what) = differs(&facts, &again) {
        return Err(Failure::new(format!(
            "capture to {}: it reads back with {what}; report this as a bug",
            dir.display()
        )));
    }
    output::progress(
        "masked: addresses, UUIDs, host, domain and user names, wireless networks, serial numbers, machine ids, unknown \
         boot parameters and processes; unchanged: names of interfaces and chains, ports, versions, figures",
    );
    output::json(&again)?;
    Ok(0)
}

/// What a capture says differently than the host did: the interfaces, or what is found.
fn differs(facts: &Facts, again: &Facts) -> Option<String> {
    let (had, has) = (facts.interfaces.len(), again.interfaces.len());
    if had != has {
        return Some(format!("{has} interfaces instead of {had}"));
    }
    let found = |facts: &Facts| -> Vec<String> {
        let seen = check_all(&Input { facts, baseline: None, goal_ns: None });
        seen.findings.iter().map(|f| format!("{} ({:?})", f.rule, f.severity)).collect()
    };
    let (had, has) = (found(facts), found(again));
    (had != has).then(|| format!("the findings {has:?} instead of {had:?}"))
}
