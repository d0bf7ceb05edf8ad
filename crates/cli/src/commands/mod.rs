//! One file per command.

pub mod apply;
pub mod around;
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
use lowlat_model::{Capability, Goal, GoalQuantile, Reading};
use lowlat_sys::store::Store;
use lowlat_sys::{Live, query};

use crate::args::{ApplicationArgs, GoalArgs};
use crate::ask;
use lowlat_live::Failure;
use lowlat_live::given::{facts_from, stored};

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

/// The application that was named, if one was.
fn whose(args: ApplicationArgs) -> Option<Whose> {
    match (args.pid, args.port) {
        (None, None) => None,
        (Some(pid), None) => Some(Whose::Pid(pid)),
        (None, Some(port)) => Some(Whose::Port(port)),
        (Some(pid), Some(port)) => Some(Whose::Both(pid, port)),
    }
}

/// The questions of `lowlat` without a command, with the interfaces of this host, those with a carrier first.
pub fn interview() -> Result<Vec<String>, Failure> {
    let live = Live::new();
    let shown = lowlat_live::given::choices(&live)?;
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
