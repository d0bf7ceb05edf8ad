//! The guard of `apply --confirm-within`, and what earlier ones left.

use lowlat_apply::{Attended, Orders};
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::output;
use lowlat_live::{Failure, Outcome, watched};

/// Hidden: the guard.
pub fn run(orders: &Orders) -> Outcome {
    let target = orders.watch.as_ref().map(|w| w.target.clone());
    let mut answers = || target.as_deref().is_none_or(watched::answers);
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
