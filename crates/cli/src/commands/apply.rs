//! `apply`, `confirm`, `rollback`, `status`, `persist`: the steps of tuning one by one, each on the journal.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_apply::{Kept, Session, StepError};
use lowlat_model::answer::{ConfirmDocument, PersistDocument};
use lowlat_model::{Plan, Schema};
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use crate::args::{ApplyArgs, PersistArgs, RollbackArgs};
use crate::{output, signals};
use lowlat_live::{Failure, Outcome};

/// `apply`: each step of the plan, a step whole or not at all. Exit 1 where the host refused some, 2 where it refused
/// all: then nothing is changed. What breaks in the middle takes everything back.
pub fn run(args: &ApplyArgs, json: bool) -> Outcome {
    let plan: Plan = super::stored(&args.plan, "plan")?;
    lowlat_live::privilege::need("apply", &lowlat_apply::lacking(&plan), "or look at it with `lowlat plan --diff`")?;
    let store = Store::locate()?;
    lowlat_live::optimize::free_to_change(&store)?;
    let live = Live::new();
    lowlat_apply::check_plan(&live, &plan)
        .map_err(|why| Failure::new(format!("apply {}: {why}; make the plan again", args.plan.display())))?;
    let watch = args.watch.as_deref().map(|target| lowlat_live::watched::watch(target, &plan, &live)).transpose()?;
    carry_out(&plan, live, &store, (args.confirm_within, watch), json)
}

/// Applies a plan that is known to be lowlat's own, and shows what is applied. With a time, what is not confirmed by then goes
/// back on its own.
pub(super) fn carry_out(
    plan: &Plan,
    live: Live,
    store: &Store,
    (confirm_within, watch): (Option<u64>, Option<lowlat_apply::Watch>),
    json: bool,
) -> Outcome {
    for line in lowlat_apply::others(plan, &live) {
        output::progress(&line);
    }
    let mut session = Session::begin(store, &live)?;
    if let Some(ns) = confirm_within {
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
                for line in &handle.clamped {
                    output::progress(line);
                }
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
    if confirm_within.is_some() && applied > 0 && !session.guarded() {
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
        Ok(r) if r.complete() => Failure::new(format!("{why}; every applied change was undone")),
        Ok(_) => Failure::new(format!("{why}; not every setting was restored; run `lowlat rollback`")),
        Err(e) => Failure::new(format!("{why}; restoring failed too: {e}; run `lowlat rollback`")),
    }
}

/// `confirm`.
pub fn confirm(json: bool) -> Outcome {
    let n = lowlat_apply::confirm(&Store::locate()?)?;
    if n == 0 {
        // It writes a journal alone, which is its user's own. Who may change nothing has most likely forgotten sudo.
        lowlat_live::privilege::need_change("confirm", "as `apply` was")?;
        return Err(Failure::new("confirm: no change waits for confirmation; `lowlat status` shows what is applied"));
    }
    if json {
        output::json(&ConfirmDocument { schema: Schema::current("confirm"), confirmed: n })?;
        return Ok(0);
    }
    output::text("confirmed: the settings stay; `lowlat rollback` still restores the previous values");
    Ok(0)
}

/// `rollback`: from the journal on disk alone.
pub fn rollback(args: &RollbackArgs, json: bool) -> Outcome {
    let live = Live::new();
    let store = Store::locate()?;
    lowlat_live::privilege::need("rollback", &lowlat_apply::lacking_to_restore(&store)?, "as the change was")?;
    let report = lowlat_apply::rollback_from_disk(&store, &live, args.force)?;
    if report == lowlat_apply::RollbackReport::default() {
        lowlat_live::privilege::need_change("rollback", "as the change was")?;
    }
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
    if store.is_not_the_hosts() {
        output::progress(&format!(
            "this is {} alone; what another user applied to this host is in {}: `sudo lowlat status`",
            store.dir().display(),
            Store::of_host().dir().display()
        ));
    }
    Ok(0)
}

/// Where there is no state directory; another user's, or one that LOWLAT_STATE named then, is not looked at.
fn nothing_ever(store: &Store) -> String {
    format!("No state directory at {}: this user has applied nothing.", store.dir().display())
}

/// `persist`. Exit 1 where something else sets a setting after the files, so that it is not kept.
pub fn persist(args: &PersistArgs, json: bool) -> Outcome {
    if args.print {
        return print_persist(json);
    }
    let (store, live) = (Store::locate()?, Live::new());
    if args.remove {
        return remove_persisted(&store, live, json);
    }
    let kept = lowlat_apply::persist(&store, &live)?;
    if kept.is_empty() {
        can_keep()?;
    }
    let contested = kept.contested;
    if json {
        let Kept { wrote, remarks, contested } = kept;
        output::json(&PersistDocument { wrote, remarks, contested, ..persist_document() })?;
        return Ok(u8::from(contested));
    }
    if kept.is_empty() {
        output::text(NOTHING_TO_PERSIST);
    }
    for line in kept.remarks {
        output::text(&line);
    }
    for file in kept.wrote {
        output::text(&format!("wrote {file}"));
    }
    Ok(u8::from(contested))
}

/// Which capability a file needs, its folder decides. Who may change nothing and has nothing applied has forgotten sudo.
fn can_keep() -> Result<(), Failure> {
    lowlat_live::privilege::need_change("persist", "as `apply` was, or look at the files with --print")
}

const NOTHING_TO_PERSIST: &str = "nothing is applied; nothing to persist";

fn persist_document() -> PersistDocument {
    PersistDocument {
        schema: Schema::current("persist"),
        wrote: Vec::new(),
        removed: Vec::new(),
        files: BTreeMap::new(),
        remarks: Vec::new(),
        contested: false,
    }
}

/// `persist --print`: takes no lock and writes nothing.
fn print_persist(json: bool) -> Outcome {
    let draft = lowlat_apply::draft_persist(&Store::locate()?, &Live::new())?;
    let exit = u8::from(draft.contested);
    if json {
        let files: BTreeMap<String, String> = draft.files.into_iter().map(|(p, t)| (p.to_owned(), t)).collect();
        output::json(&PersistDocument {
            wrote: files.keys().cloned().collect(),
            files,
            remarks: draft.remarks,
            contested: draft.contested,
            ..persist_document()
        })?;
        return Ok(exit);
    }
    if draft.files.is_empty() && draft.remarks.is_empty() {
        output::text(NOTHING_TO_PERSIST);
    }
    for line in draft.remarks {
        output::text(&line);
    }
    for (path, text) in draft.files {
        output::text(&format!("--- {path}\n{text}"));
    }
    Ok(exit)
}

/// `persist --remove`.
fn remove_persisted(store: &Store, live: Live, json: bool) -> Outcome {
    let report = lowlat_apply::remove_persisted(store, &live)?;
    if report.done.is_empty() && report.failed.is_empty() {
        can_keep()?;
    }
    let exit = u8::from(!report.complete() || report.unwritten.is_some());
    // Where files were written several times over, each is named once.
    let files = |items: &[lowlat_apply::RollbackItem]| {
        items.iter().map(|i| lowlat_apply::words(&i.locus)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let (removed, left) = (files(&report.done), files(&report.failed));
    let mut remarks: Vec<String> =
        report.failed.iter().map(|i| format!("{}: {}", lowlat_apply::words(&i.locus), i.outcome.words())).collect();
    if !removed.is_empty() {
        remarks.push("what is set now stays until the next boot".to_owned());
    }
    if json {
        output::json(&PersistDocument { removed, remarks, ..persist_document() })?;
        return Ok(exit);
    }
    if removed.is_empty() && left.is_empty() {
        output::text("no file of `lowlat persist` stands, so there is nothing to remove");
    }
    for file in removed {
        output::text(&format!("removed {file}"));
    }
    for line in remarks {
        output::text(&line);
    }
    Ok(exit)
}

/// Hidden: keeps `/dev/cpu_dma_latency` open until it is ended.
pub fn hold(us: u32, pipe: Option<&std::path::Path>) -> Outcome {
    lowlat_apply::hold_dma_latency(us, pipe).map_err(Failure::new)?;
    Ok(0)
}
