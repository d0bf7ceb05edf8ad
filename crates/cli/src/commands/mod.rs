//! One file per command.

pub mod apply;
pub mod bind;
pub mod bypass;
pub mod check;
pub mod compare;
pub mod demo;
pub mod explain;
pub mod facts;
pub mod guard;
pub mod measure;
pub mod noise;
pub mod optimize;
pub mod plan;
pub mod report;
pub mod schema;
pub mod serve;
pub mod shape;
pub mod trace;
pub mod watch;

use lowlat_collect::Whose;
use lowlat_model::{Application, Capability, Facts, Goal, GoalQuantile, Reading};
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys, query};

use crate::args::{ApplicationArgs, GoalArgs};
use crate::ask;
use lowlat_live::Failure;

/// Reads a stored document and checks that it is the one that is meant.
fn stored<T: serde::de::DeserializeOwned>(path: &std::path::Path, name: &str) -> Result<T, Failure> {
    let next = "give a file written by lowlat";
    let bytes = lowlat_sys::store::read(path).map_err(|e| Failure::because(e, next))?;
    lowlat_model::stored::read(&bytes, name)
        .map_err(|why| Failure::new(format!("read {}: {why}; {next}", path.display())))
}

/// Stores a run where `lowlat report last` finds it. A place that cannot be written is reported and is no failure: the figures
/// are printed anyway.
fn keep<T: serde::Serialize>(document: &T, started_unix_ns: u64) {
    let kept = Store::locate().and_then(|store| {
        store.ensure_writable()?;
        store.save_stage(&store.new_run_id(started_unix_ns), "run", document)
    });
    if let Err(why) = kept {
        crate::output::progress(&format!("not kept for `lowlat report last`: {why}"));
    }
}

/// The median's goal, ns: the only one that the rules know. Others are said to have no part.
fn median_goal(command: &str, goals: &GoalArgs) -> Result<Option<u64>, Failure> {
    let (median, others): (Vec<Goal>, _) = goals.all()?.into_iter().partition(|g| g.quantile == GoalQuantile::P50);
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        let others = others.join(", ");
        crate::output::progress(&format!("{command}: the rules use the goal of the median only, not {others}"));
    }
    Ok(median.first().map(|g| g.goal_ns))
}

/// Stored facts, or those of a captured tree, or those of the live host; with the path over an interface, to a target,
/// or both.
fn facts_from(
    file: Option<&std::path::Path>,
    root: Option<&std::path::Path>,
    iface: Option<&str>,
    target: Option<&str>,
    window_ns: Option<u64>,
    whose: Option<Whose>,
) -> Result<Facts, Failure> {
    if let Some(file) = file {
        let facts = stored_facts(file, iface)?;
        return whose.map_or(Ok(()), |whose| recorded(&facts, whose, file)).map(|()| facts);
    }
    // The port plays no part in the route.
    let target = target.map(|t| lowlat_live::path::resolve(t, 0)).transpose()?.map(lowlat_collect::Towards::from);
    let gather = |sys: &dyn Sys| -> Result<Facts, Failure> {
        if let (Some(iface), Some(target)) = (iface, target) {
            lowlat_collect::path::leads_over(sys, iface, target).map_err(|e| Failure::new(e.to_string()))?;
        }
        match whose {
            None => Ok(lowlat_collect::gather_path(sys, iface, target, window_ns)),
            Some(whose) => Ok(lowlat_collect::gather_application(sys, iface, target, window_ns, whose)?),
        }
    };
    let facts = if let Some(root) = root {
        gather(&lowlat_sys::Captured::open(root)?)?
    } else {
        let live = Live::new();
        if let Some(iface) = iface {
            lowlat_live::optimize::interface_known(iface, &live)?;
        }
        gather(&live)?
    };
    match iface {
        Some(iface) if !facts.interfaces.contains_key(iface) => Err(Failure::new(format!(
            "look at interface {iface:?}: no such interface; choose one of {}",
            names(&facts)
        ))),
        _ => Ok(facts),
    }
}

/// The application that was named, if one was.
fn whose(args: ApplicationArgs) -> Option<Whose> {
    match (args.pid, args.port) {
        (None, None) => None,
        (Some(pid), None) => Some(Whose::Pid(pid)),
        (None, Some(port)) => Some(Whose::Port(port)),
        (Some(pid), Some(port)) => Some(Whose::Both(pid, port)),
    }
}

/// Stored facts hold one application or none: refuses those without the one that is asked for.
fn recorded(facts: &Facts, whose: Whose, file: &std::path::Path) -> Result<(), Failure> {
    let asked = |a: &Application| match whose {
        Whose::Pid(pid) => a.asked_port.is_none() && a.asked_pid == Some(pid),
        Whose::Port(port) => a.asked_pid.is_none() && a.asked_port == Some(port),
        Whose::Both(pid, port) => (a.asked_pid, a.asked_port) == (Some(pid), Some(port)),
    };
    if facts.application.as_ref().is_some_and(asked) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "look at the application in {}: it was not recorded with these; record it with lowlat facts, the same --pid and \
         --port, and --window",
        file.display()
    )))
}

/// Facts of a file. With another interface than the file's, the path is what the file says is beneath that one.
fn stored_facts(file: &std::path::Path, iface: Option<&str>) -> Result<Facts, Failure> {
    let mut facts: Facts = stored(file, "facts")?;
    let Some(iface) = iface else { return Ok(facts) };
    if !facts.interfaces.contains_key(iface) {
        return Err(Failure::new(format!(
            "look at interface {iface:?}: {} has no such interface; choose one of {}",
            file.display(),
            names(&facts)
        )));
    }
    if facts.iface.as_deref() != Some(iface) {
        facts.path = facts.beneath(iface);
        facts.path_not_seen.clear();
        facts.target = None;
        facts.iface = Some(iface.to_owned());
    }
    Ok(facts)
}

fn names(facts: &Facts) -> String {
    facts.interfaces.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The questions of `lowlat` without a command, with the interfaces of this host, those with a carrier first.
pub fn interview() -> Result<Vec<String>, Failure> {
    let live = Live::new();
    let Reading::Value(mut links) = query::links(&live) else {
        return Err(Failure::new(
            "list interfaces: the kernel gave no list; name one with `lowlat optimize --iface IF`",
        ));
    };
    links.sort_by_key(|l| (l.name == "lo", !l.up, l.index));
    let shown: Vec<(String, String)> = links
        .iter()
        .map(|l| {
            let driver = match query::driver(&live, &l.name) {
                Reading::Value(d) => format!(
                    "{} {}, firmware {}",
                    d.driver,
                    d.version,
                    if d.firmware.is_empty() { "not reported" } else { &d.firmware }
                ),
                _ if l.name == "lo" => "loopback".to_owned(),
                _ => l.kind.clone().unwrap_or_else(|| "no driver reported".to_owned()),
            };
            // Links without a carrier to watch (loopback, tunnels) stay "unknown" (operstates.rst, "TLV
            // IFLA_OPERSTATE").
            let state = if l.up && l.operstate == "unknown" { "up" } else { &l.operstate };
            (l.name.clone(), format!("{driver}, {state}"))
        })
        .collect();
    if let Reading::Value(uname) = query::uname(&live) {
        crate::output::text(&format!("kernel {} on {}", uname.release, uname.machine));
    }
    let known = ask::HostChoices {
        interfaces: &shown,
        usable: &|name| lowlat_live::optimize::interface(name, &live),
        leads: &|iface, target| {
            // The port plays no part in the route.
            let remote = lowlat_live::path::resolve(target, 0)?;
            Ok(lowlat_collect::path::leads_over(&live, iface, remote.into())?)
        },
        may_change: Capability::NetAdmin.is_in(lowlat_sys::effective_capabilities()),
    };
    ask::questions(&known, &mut std::io::stdin().lock(), &mut std::io::stdout())
}
