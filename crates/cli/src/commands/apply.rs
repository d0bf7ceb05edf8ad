//! `apply`, `confirm`, `rollback`, `status`, `persist`: the steps of tuning one by one, each on the journal.

use lowlat_apply::{Kept, Session, StepError};
use lowlat_model::answer::{ConfirmDocument, PersistDocument};
use lowlat_model::{Plan, Schema};
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::args::{ApplyArgs, RollbackArgs};
use crate::{output, signals};
use lowlat_live::{Failure, Outcome};

/// `apply`: each step of the plan, a step whole or not at all. Exit 1 where the host refused some, 2 where it refused all:
/// then nothing is changed. What breaks in the middle takes everything back.
pub fn run(args: &ApplyArgs, json: bool) -> Outcome {
    let plan: Plan = super::stored(&args.plan, "plan")?;
    lowlat_live::privilege::need_change("apply", "or look at it with `lowlat plan --diff`")?;
    let store = Store::locate()?;
    lowlat_live::optimize::free_to_change(&store)?;
    let live = Live::new();
    lowlat_apply::check_plan(&live, &plan)
        .map_err(|why| Failure::new(format!("apply {}: {why}; make the plan again", args.plan.display())))?;
    let watch = args.watch.as_deref().map(|target| super::guard::watch(target, &plan, &live)).transpose()?;
    let mut session = Session::begin(&store, &live)?;
    if let Some(ns) = args.confirm_within {
        session.watch(ns.div_ceil(1_000_000_000).max(1), watch)?;
    }
    let (mut applied, mut refused) = (0, None);
    for step in &plan.steps {
        if signals::stopped() {
            return Err(back_out(session, live, "apply: interrupted by a signal"));
        }
        // Steps for one place are alternatives; nothing is judged here, so the first stands for all.
        if session.already_at(step) {
            output::progress(&format!("{} on {}: left out, another step has set this place", step.knob, step.target));
            continue;
        }
        match session.apply(&live, step) {
            Ok(handle) => {
                applied += 1;
                let now = handle.read_back_words();
                output::progress(&format!("{} on {}: {} -> {now}", step.knob, step.target, step.from));
            }
            Err(StepError::Refused { why }) => {
                let words = format!("{} on {}: refused: {why}", step.knob, step.target);
                // The only step's refusal is the failure itself, and stands in its line.
                if plan.steps.len() > 1 {
                    output::progress(&words);
                }
                refused.get_or_insert(words);
            }
            Err(fatal) => {
                return Err(back_out(session, live, &format!("apply {} on {}: {fatal}", step.knob, step.target)));
            }
        }
    }
    if args.confirm_within.is_some() && applied > 0 && !session.guarded() {
        return Err(back_out(session, live, "apply: its guard was killed"));
    }
    session.leave_open()?;
    if let (0, Some(words)) = (applied, &refused) {
        return Err(Failure::new(format!("apply {words}; nothing is changed; see `lowlat explain` for what it takes")));
    }
    status(json)?;
    Ok(u8::from(refused.is_some()))
}

fn back_out(mut session: Session, live: Live, why: &str) -> Failure {
    match session.rollback(&live) {
        Ok(r) if r.complete() => Failure::new(format!("{why}; everything that was applied was put back")),
        Ok(_) => Failure::new(format!("{why}; not everything could be put back; run `lowlat rollback`")),
        Err(e) => Failure::new(format!("{why}; putting back failed too: {e}; run `lowlat rollback`")),
    }
}

/// `confirm`.
pub fn confirm(json: bool) -> Outcome {
    lowlat_live::privilege::need_change("confirm", "as `apply` was")?;
    let n = lowlat_apply::confirm(&Store::locate()?)?;
    if n == 0 {
        return Err(Failure::new("confirm: nothing waits for it; `lowlat status` shows what is applied"));
    }
    if json {
        output::json(&ConfirmDocument { schema: Schema::current("confirm"), confirmed: n })?;
        return Ok(0);
    }
    output::text("confirmed: the settings stay; `lowlat rollback` still puts them back");
    Ok(0)
}

/// `rollback`: from the journal on disk alone.
pub fn rollback(args: &RollbackArgs, json: bool) -> Outcome {
    lowlat_live::privilege::need_change("rollback", "as the change was")?;
    let live = Live::new();
    let store = Store::locate()?;
    let report = lowlat_apply::rollback_from_disk(&store, &live, args.force)?;
    if json {
        output::json(&report.document())?;
    } else if !store.is_there() {
        output::text(&nothing_ever(&store));
    } else {
        output::text(&report.words());
    }
    Ok(u8::from(!report.complete() || report.unwritten.is_some()))
}

/// `status`.
pub fn status(json: bool) -> Outcome {
    let store = Store::locate()?;
    let document = lowlat_apply::status(&store, &Live::new())?;
    if json {
        output::json(&document)?;
    } else if !store.is_there() {
        output::text(&nothing_ever(&store));
    } else {
        output::report(&lowlat_report::status(&document, output::width()));
    }
    Ok(0)
}

/// Where there is no state directory; another user's, or one that LOWLAT_STATE named then, is not looked at.
fn nothing_ever(store: &Store) -> String {
    format!("No state directory at {}: nothing was ever applied by this user.", store.dir().display())
}

/// `persist`.
pub fn persist(json: bool) -> Outcome {
    lowlat_live::privilege::need_change("persist", "as `apply` was")?;
    let live = Live::new();
    let kept = lowlat_apply::persist(&Store::locate()?, &live)?;
    if json {
        let Kept { wrote, remarks } = kept;
        output::json(&PersistDocument { schema: Schema::current("persist"), wrote, remarks })?;
        return Ok(0);
    }
    if kept.is_empty() {
        output::text("nothing is applied, so there is nothing to persist");
    }
    for line in kept.remarks {
        output::text(&line);
    }
    for file in kept.wrote {
        output::text(&format!("wrote {file}"));
    }
    Ok(0)
}

/// Hidden: keeps `/dev/cpu_dma_latency` open until it is ended.
pub fn hold(us: u32, pipe: Option<&std::path::Path>) -> Outcome {
    lowlat_apply::hold_dma_latency(us, pipe).map_err(Failure::new)?;
    Ok(0)
}
