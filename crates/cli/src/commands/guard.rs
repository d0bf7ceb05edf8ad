//! The guard of `apply --confirm-within`, and what earlier ones left.

use lowlat_apply::{Attended, Orders, Watch};
use lowlat_model::Plan;
use lowlat_sys::store::Store;
use lowlat_sys::{Live, Sys, query};

use crate::args::{PathArgs, ProtoArg};
use crate::output;
use lowlat_live::{Failure, Outcome, path::ProbePath, probe};

/// The path counts as cut when no ping was answered for this long.
const LOST_AFTER_NS: u64 = 2_000_000_000;
/// The same where a step resets the link: 1000BASE-T takes some seconds to negotiate it anew.
const LOST_AFTER_RESET_NS: u64 = 10_000_000_000;
/// Five pings are tried, each this long, before the target counts as silent once.
const PING_NS: u64 = 80_000_000;

/// What to watch while a plan is applied; refused where it does not answer now, since its silence would tell nothing.
pub fn watch(target: &str, plan: &Plan, sys: &dyn Sys) -> Result<Watch, Failure> {
    let target = if target.is_empty() { gateway(sys)? } else { target.to_owned() };
    if !answers(&target) {
        return Err(Failure::new(format!(
            "apply: {target}, the watch target, answers no ping; give another with --watch"
        )));
    }
    let resets = plan.steps.iter().any(|s| s.resets_link);
    Ok(Watch { target, lost_after_ns: if resets { LOST_AFTER_RESET_NS } else { LOST_AFTER_NS } })
}

/// The default route's next hop.
fn gateway(sys: &dyn Sys) -> Result<String, Failure> {
    let routes = query::routes(sys).into_value().unwrap_or_default();
    let links = query::links(sys).into_value().unwrap_or_default();
    let route = routes.iter().find(|r| r.destination == "default" && r.gateway.is_some());
    let Some((gateway, oif)) = route.and_then(|r| Some((r.gateway.clone()?, r.oif))) else {
        return Err(Failure::new("apply: there is no default gateway to watch; give one with --watch TARGET"));
    };
    let link = links.iter().find(|l| Some(l.index) == oif);
    // A link-local address is on every link.
    Ok(match link {
        Some(link) if gateway.starts_with("fe80:") => format!("{gateway}%{}", link.name),
        _ => gateway,
    })
}

/// Whether a target answers a ping.
fn answers(target: &str) -> bool {
    let args = PathArgs {
        proto: ProtoArg::Icmp,
        peer: "icmp".to_owned(),
        size: 64,
        cpu: None,
        timeout: PING_NS,
        dscp: None,
        priority: None,
        key_file: None,
        busy_poll: None,
        dpdk_port: None,
        dpdk_address: None,
    };
    // Not `block`, whose waits a signal ends: the guard takes none.
    ProbePath::new(target, &args.ask(), None).and_then(|path| probe::reach(&path, "epoll")).is_ok()
}

/// Hidden: the guard.
pub fn run(orders: &Orders) -> Outcome {
    let target = orders.watch.as_ref().map(|w| w.target.clone());
    let mut answers = || target.as_deref().is_none_or(answers);
    let report = lowlat_apply::rollback_unless_confirmed(&Store::locate()?, &Live::new(), orders, &mut answers)?;
    if report != lowlat_apply::RollbackReport::default() {
        output::progress(&report.words());
    }
    Ok(0)
}

/// Takes the place of guards that were killed, and says so; every command begins with it. For `confirm`, that a
/// transaction went back is the answer.
pub fn attend(confirm: bool) -> Result<(), Failure> {
    if !lowlat_live::privilege::may_change() {
        return Ok(());
    }
    // What is wrong with a journal, the command that needs it says.
    let Ok(attended) =
        Store::locate().map_err(Failure::from).and_then(|store| Ok(lowlat_apply::attend(&store, &Live::new())?))
    else {
        return Ok(());
    };
    for one in attended {
        match one {
            Attended::WentBack { transaction, report } => {
                let words = went_back(&transaction, &report);
                if confirm {
                    return Err(Failure::new(format!("confirm: {words}; too late, apply again")));
                }
                output::progress(&format!("lowlat: {words}"));
            }
            Attended::Rearmed { transaction, left_ns, failed } => {
                let left_s = left_ns.div_ceil(1_000_000_000);
                let gone = format!("lowlat: the guard of transaction {transaction} is gone");
                output::progress(&match failed {
                    None => format!("{gone}; another one waits for the {left_s} s that are left"),
                    Some(e) => format!("{gone}, and no other can be started: {e}; run `lowlat rollback` or confirm"),
                });
            }
        }
    }
    Ok(())
}

fn went_back(transaction: &str, report: &Result<lowlat_apply::RollbackReport, lowlat_apply::ApplyError>) -> String {
    let late = format!("transaction {transaction} was not confirmed in time and its guard is gone");
    match report {
        Ok(r) if r.complete() && r.unwritten.is_none() => format!("{late}; its settings are now restored"),
        Ok(r) => format!("{late}; {} settings were not restored, see `lowlat status`", r.failed.len()),
        Err(e) => format!("{late}; restoring failed: {e}"),
    }
}
