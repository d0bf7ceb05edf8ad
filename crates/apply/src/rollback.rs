//! The rollback: each write undone in reverse, each one verified.

use std::fmt::Write as _;

use lowlat_model::answer::{PutBack, RollbackDocument};
use lowlat_model::journal::{Beside, JournalEntry};
use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, Reading, Schema, State};
use lowlat_settings::{at, same, together, words};
use lowlat_sys::Sys;

use crate::boot::{holders, in_boot_namespace, locate_again, persisted, set_again};
use crate::device::{self, There, Whereabouts};
use crate::disk::Disk;
use crate::error::ApplyError;
use crate::ledger::{HolderId, StandingWrite};
use crate::log::{Found, Log, read_all};
use crate::namespaces::{Netns, Place};
use crate::writer::HostWriter;

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackOutcome {
    /// The prior state was put back and read again.
    Restored,
    /// The prior state was there already.
    AlreadyPrior,
    /// Neither lowlat's value nor the prior one is there: left alone.
    ChangedByOther {
        /// What is there.
        now: String,
    },
    /// The interface, queue or file is gone, and its setting with it.
    Absent {
        /// The reading's answer.
        why: String,
    },
    /// It was a live setting of an earlier boot, which ended with it.
    GoneWithBoot,
    /// It was a setting of a network namespace that no longer exists.
    GoneWithNamespace,
    /// `--force` was given and its interface cannot be found: it is no longer kept.
    GivenUp {
        /// What is not known.
        why: String,
    },
    /// It belongs to another network namespace: left alone.
    OtherNamespace {
        /// Inode of that namespace.
        netns: u64,
    },
    /// It could not be put back.
    Failed {
        /// Why.
        why: String,
    },
}

impl RollbackOutcome {
    /// Nothing of lowlat's is left there.
    pub fn settled(&self) -> bool {
        !matches!(self, Self::ChangedByOther { .. } | Self::OtherNamespace { .. } | Self::Failed { .. })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::AlreadyPrior => "already_prior",
            Self::ChangedByOther { .. } => "changed_by_other",
            Self::Absent { .. } => "absent",
            Self::GoneWithBoot => "gone_with_boot",
            Self::GoneWithNamespace => "gone_with_namespace",
            Self::GivenUp { .. } => "given_up",
            Self::OtherNamespace { .. } => "other_namespace",
            Self::Failed { .. } => "failed",
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Restored => "restored and verified".to_owned(),
            Self::AlreadyPrior => "already restored".to_owned(),
            Self::ChangedByOther { now } => {
                format!(
                    "another program set it to {now:?} meanwhile; left alone, `lowlat rollback --force` restores it anyway"
                )
            }
            Self::Absent { why } => format!("gone, and its setting with it: {why}"),
            Self::GoneWithBoot => "a live setting of an earlier boot, gone since the reboot".to_owned(),
            Self::GoneWithNamespace => "a setting of a network namespace that no longer exists".to_owned(),
            Self::GivenUp { why } => format!("given up, as --force asks: {why}"),
            Self::OtherNamespace { netns } => {
                format!(
                    "belongs to the network namespace net:[{netns}]; run `lowlat rollback` inside it (`lsns -t net` lists them)"
                )
            }
            Self::Failed { why } => format!("not restored: {why}"),
        }
    }
}

/// One write of a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackItem {
    /// Transaction.
    pub transaction: String,
    /// Knob.
    pub knob: String,
    /// Where, for people.
    pub target: Target,
    /// Exact place, by the present name of its interface.
    pub locus: Locus,
    /// What leads to the network namespace that the interface was moved to; `None` where it is in this one.
    pub netns: Option<String>,
    /// What was put back.
    pub was: String,
    /// What became of it.
    pub outcome: RollbackOutcome,
}

/// What a rollback did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollbackReport {
    /// Settled: restored, already as before, or gone.
    pub done: Vec<RollbackItem>,
    /// Not settled: changed by others, in another namespace, or failed.
    pub failed: Vec<RollbackItem>,
    /// Entries that were cut off in the middle: the writes they announce never began.
    pub torn: Vec<String>,
    /// Why a journal could not be brought to its end; the settings went back anyway.
    pub unwritten: Option<String>,
}

impl RollbackReport {
    /// Everything is as it was before lowlat, or gone.
    pub fn complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// For programs.
    pub fn document(&self) -> RollbackDocument {
        let settings = self.done.iter().chain(&self.failed).map(|item| PutBack {
            transaction: item.transaction.clone(),
            knob: item.knob.clone(),
            target: item.target.clone(),
            locus: item.locus.clone(),
            was: item.was.clone(),
            outcome: item.outcome.name().to_owned(),
            settled: item.outcome.settled(),
            words: item.outcome.words(),
        });
        RollbackDocument {
            schema: Schema::current("rollback"),
            complete: self.complete(),
            settings: settings.collect(),
            torn: self.torn.clone(),
            unwritten: self.unwritten.clone(),
        }
    }

    /// For people, a line each.
    pub fn words(&self) -> String {
        let mut out = String::new();
        for torn in &self.torn {
            let _ = writeln!(out, "journal {torn}: its last entry was cut off; the write it announces never began");
        }
        for item in self.done.iter().chain(&self.failed) {
            let there = item.netns.as_ref().map_or_else(String::new, |n| format!(" in {n}"));
            let _ = writeln!(
                out,
                "{} on {}: {}{there} -> {}: {}",
                item.knob,
                item.target,
                words(&item.locus),
                item.was,
                item.outcome.words()
            );
        }
        if let Some(why) = &self.unwritten {
            let _ = writeln!(out, "the settings were restored, but the journal could not be updated: {why}");
        }
        let (done, failed) = (self.done.len(), self.failed.len());
        let _ = match (done, failed) {
            (0, 0) => write!(out, "nothing is applied; nothing to restore"),
            (_, 0) => write!(out, "rollback verified: {done} settings restored"),
            _ => write!(out, "{failed} settings not restored, {done} restored"),
        };
        out
    }
}

/// What decides over each write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) force: bool,
    pub(crate) same_boot: bool,
    pub(crate) netns: Netns,
    /// Files keep settings over a reboot, so that one of an earlier boot may stand again.
    pub(crate) persisted: bool,
}

/// What takes a journal's entry. Going back matters more than noting it, so a failure to note stops nothing.
pub(crate) type Note<'a> = &'a mut dyn FnMut(&JournalEntry);

/// Writes the prior state and reads it back, with all that the write may have changed besides.
pub(crate) fn put_back<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    s: &StandingWrite,
    force: bool,
    note: Note<'_>,
) -> RollbackOutcome {
    let kind = at(&s.op.locus);
    if kind.is_held() {
        return release(sys, writer, s, s.holder.as_ref());
    }
    let op = Op { locus: s.op.locus.clone(), set: s.prior.clone() };
    // The rollback destroys too: what another program has set there since is put back to its present value.
    let present = if kind.looks_beside_again() { writer.beside(sys, &op) } else { Ok(Vec::new()) };
    let present = match present {
        Ok(present) => present,
        // What would be lost is another program's; a place that may be another interface's is never forced.
        Err(_) if force && kind.forced_back() => Vec::new(),
        Err(why) => return RollbackOutcome::Failed { why },
    };
    let wanted = wanted_beside(sys, writer, s, present, force);
    if !wanted.is_empty() {
        note(&JournalEntry::Undoing { seq: s.seq, beside: as_recorded(s, &wanted) });
    }
    let written = writer.write(&op);
    match (written, writer.state(sys, &s.op.locus)) {
        // What counts is what is there, not what the write said.
        (_, Reading::Value(now)) if kind.settled(&now, &s.prior) => match settle(sys, writer, wanted) {
            RollbackOutcome::AlreadyPrior => RollbackOutcome::Restored,
            other => other,
        },
        (_, Reading::Absent(why)) => RollbackOutcome::Absent { why },
        (Err(e), _) => RollbackOutcome::Failed { why: e.0 },
        (Ok(()), Reading::Value(now)) => {
            RollbackOutcome::Failed { why: format!("{:?} was written, {now:?} is there", s.prior.to_string()) }
        }
        (Ok(()), other) => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            RollbackOutcome::Failed { why: format!("written, and cannot be read back ({kind}: {why})") }
        }
    }
}

/// The places under the name that the journal knows the interface by.
fn as_recorded(s: &StandingWrite, beside: &[Beside]) -> Vec<Beside> {
    let (now, then) = (s.op.locus.iface(), s.device.as_ref().map(|d| d.name.as_str()));
    let named = |b: &Beside| match then {
        Some(then) if b.locus.iface() == now => Beside { locus: b.locus.on(then), state: b.state.clone() },
        _ => b.clone(),
    };
    beside.iter().map(named).collect()
}

/// Whether another program set what is there.
///
/// A write whose read-back is missing may have been clamped, and a guard has seen a link reset: whatever is there
/// resulted from lowlat's own write.
fn of_another(s: &StandingWrite, now: &State) -> bool {
    s.read_back.is_some() && !s.is_guard() && !same(&s.op.locus, now, s.ours())
}

/// StandingWrite writes, newest first, in the runs that go back in one request ([`together`]). A run holds no place twice:
/// of two writes on one place, the older one goes back when the newer one has.
pub(crate) fn runs<'a>(newest_first: impl Iterator<Item = &'a StandingWrite>) -> Vec<Vec<&'a StandingWrite>> {
    let mut runs: Vec<Vec<&StandingWrite>> = Vec::new();
    for s in newest_first {
        // Two namespaces may have an interface of the same name.
        let fits = |run: &&mut Vec<&StandingWrite>| {
            run.last().is_some_and(|last| together(&last.op.locus, &s.op.locus) && last.at == s.at)
                && run.iter().all(|other| other.op.locus != s.op.locus)
        };
        match runs.last_mut().filter(fits) {
            Some(run) => run.push(s),
            None => runs.push(vec![s]),
        }
    }
    runs
}

/// Puts settings back at once that go out in one request, for what a driver takes together it may refuse one by one:
/// each to the state next to it. Gives the numbers of the writes that were tried, with what became of the places that
/// going back may have changed next to them; the outcome of each write itself is for the caller to see.
pub(crate) fn put_back_together<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    run: &[(&StandingWrite, &State)],
    force: bool,
    note: Note<'_>,
) -> Vec<(u64, RollbackOutcome)> {
    match run.first().map(|(s, _)| &s.at) {
        Some(None | Some(Whereabouts::Here(_))) => write_run(sys, writer, run, force, note),
        Some(Some(Whereabouts::Elsewhere { netns, .. })) => {
            write_run(sys, &mut There { writer, netns }, run, force, note)
        }
        _ => Vec::new(),
    }
}

fn write_run<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    run: &[(&StandingWrite, &State)],
    force: bool,
    note: Note<'_>,
) -> Vec<(u64, RollbackOutcome)> {
    let is_due = |(s, to): &&(&StandingWrite, &State)| {
        let due = |now: &State| !same(&s.op.locus, now, to) && (force || !of_another(s, now));
        writer.state(sys, &s.op.locus).value().is_some_and(due)
    };
    let due: Vec<(&StandingWrite, &State)> = run.iter().filter(is_due).copied().collect();
    if due.len() < 2 {
        return Vec::new();
    }
    let ops: Vec<Op> = due.iter().map(|(s, to)| Op { locus: s.op.locus.clone(), set: (*to).clone() }).collect();
    // One for all of them: as each, newest first, would leave it to the next.
    let mut wanted: Vec<Beside> = Vec::new();
    for op in &ops {
        // What may not be written at once may not be written alone either, and is reported there.
        let Ok(present) = writer.beside(sys, op) else { return Vec::new() };
        let new = present.into_iter().filter(|p| wanted.iter().all(|w| w.locus != p.locus));
        wanted.extend(new.collect::<Vec<_>>());
    }
    for (s, _) in &due {
        wanted = wanted_beside(sys, writer, s, wanted, force);
    }
    // The others of the run go back by themselves.
    wanted.retain(|b| ops.iter().all(|op| op.locus != b.locus));
    // The newest goes back first, also after a crash. Noted with an older one it would outlast what writes between the
    // two have yet to put back.
    if let Some((s, _)) = due.first().filter(|_| !wanted.is_empty()) {
        note(&JournalEntry::Undoing { seq: s.seq, beside: as_recorded(s, &wanted) });
    }
    // Refused or not: each place is looked at, and put back alone where it has to be.
    let _ = writer.write_together(&ops);
    let beside = settle(sys, writer, wanted);
    due.iter().map(|(s, _)| (s.seq, beside.clone())).collect()
}

/// Puts the places of each interface that go out in one request back to what stood there before all of these writes,
/// whatever number of steps set them. Gives the places that were tried, each as [`put_back_together`] does.
fn put_back_to_the_floor<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    here: &[&StandingWrite],
    floor: &[(Locus, State)],
    force: bool,
    note: Note<'_>,
) -> Vec<(Locus, RollbackOutcome)> {
    let mut newest: Vec<(&StandingWrite, &State)> = Vec::new();
    // A place that is a part of another one, as a parameter is of its direction's moderation, waits for its turn: put back before
    // the whole, the whole would look like another program's.
    let is_part = |s: &StandingWrite| {
        let whole = |o: &StandingWrite| !together(&o.op.locus, &s.op.locus) && at(&o.op.locus).may_change(&s.op.locus);
        here.iter().copied().any(whole)
    };
    for s in here.iter().copied().rev().filter(|s| together(&s.op.locus, &s.op.locus) && !is_part(s)) {
        let was = floor.iter().find(|(locus, _)| *locus == s.op.locus);
        if let Some((_, was)) = was.filter(|_| newest.iter().all(|(o, _)| o.op.locus != s.op.locus)) {
            newest.push((s, was));
        }
    }
    newest.sort_by(|(a, _), (b, _)| a.op.locus.iface().cmp(&b.op.locus.iface()));
    let mut tried = Vec::new();
    for run in newest.chunk_by(|(a, _), (b, _)| together(&a.op.locus, &b.op.locus)) {
        for (seq, beside) in put_back_together(sys, writer, run, force, note) {
            let of = run.iter().find(|(s, _)| s.seq == seq);
            tried.extend(of.map(|(s, _)| (s.op.locus.clone(), beside)));
        }
    }
    tried
}

/// What became of a write with the places next to it, some of which [`put_back_together`] has settled.
fn with_tried(found: RollbackOutcome, tried: Option<&RollbackOutcome>) -> RollbackOutcome {
    match (found, tried) {
        (RollbackOutcome::AlreadyPrior | RollbackOutcome::Restored, Some(failed @ RollbackOutcome::Failed { .. })) => {
            failed.clone()
        }
        (RollbackOutcome::AlreadyPrior, Some(_)) => RollbackOutcome::Restored,
        (found, _) => found,
    }
}

/// What shall stand at the other places of a write: at those that it changed what was there before it, unless another
/// program has set them since, and at the others what is there now, which is in `present`.
fn wanted_beside<W: HostWriter>(
    sys: &dyn Sys,
    writer: &W,
    s: &StandingWrite,
    present: Vec<Beside>,
    force: bool,
) -> Vec<Beside> {
    let mut wanted = present;
    for was in &s.beside {
        let now = match wanted.iter().find(|p| p.locus == was.locus) {
            Some(p) => Reading::Value(p.state.clone()),
            None => writer.state(sys, &was.locus),
        };
        let left =
            |c: &Beside| c.locus == was.locus && (force || now.value().is_none_or(|n| same(&c.locus, n, &c.state)));
        // Without a read-back it is not known what the write changed, and whatever is there resulted.
        if s.changed.as_ref().is_none_or(|changed| changed.iter().any(left)) {
            wanted.retain(|p| p.locus != was.locus);
            wanted.push(was.clone());
        }
    }
    wanted
}

/// As [`put_back`], where the place itself is as it was already.
fn put_beside_back<W: HostWriter>(sys: &dyn Sys, writer: &mut W, s: &StandingWrite, force: bool) -> RollbackOutcome {
    let wanted = wanted_beside(sys, writer, s, Vec::new(), force);
    settle(sys, writer, wanted)
}

/// Puts each of these places to what shall stand there; `AlreadyPrior` where all of them are so.
fn settle<W: HostWriter>(sys: &dyn Sys, writer: &mut W, wanted: Vec<Beside>) -> RollbackOutcome {
    let mut outcome = RollbackOutcome::AlreadyPrior;
    let settled = |writer: &W, b: &Beside| match writer.state(sys, &b.locus) {
        Reading::Value(now) => at(&b.locus).settled(&now, &b.state),
        // The instance, or the queue, is gone with what it had.
        other => matches!(other, Reading::Absent(_)),
    };
    for run in wanted.chunk_by(|a, b| together(&a.locus, &b.locus)) {
        let off = run.iter().filter(|b| !settled(writer, b));
        let ops: Vec<Op> = off.map(|b| Op { locus: b.locus.clone(), set: b.state.clone() }).collect();
        if ops.len() > 1 {
            outcome = RollbackOutcome::Restored;
            // Refused or not: each is looked at below.
            let _ = writer.write_together(&ops);
        }
    }
    for beside in wanted {
        if settled(writer, &beside) {
            continue;
        }
        let Beside { locus, state } = beside;
        let written = writer.write(&Op { locus: locus.clone(), set: state.clone() });
        match (written, writer.state(sys, &locus)) {
            (_, Reading::Value(now)) if at(&locus).settled(&now, &state) => outcome = RollbackOutcome::Restored,
            (written, now) => {
                let now = match (&now, now.why_not()) {
                    (Reading::Value(n), _) => format!("is {n}"),
                    (_, why) => format!("cannot be read: {}", why.unwrap_or_default().1),
                };
                let why = written.err().map_or_else(String::new, |e| format!(" ({e})"));
                return RollbackOutcome::Failed { why: format!("{} was {state} and {now}{why}", words(&locus)) };
            }
        }
    }
    outcome
}

/// Ends a holder, and looks at the limit where its end was not seen.
fn release<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    s: &StandingWrite,
    holder: Option<&HolderId>,
) -> RollbackOutcome {
    // Without a holder in the journal the write never began.
    let Some(holder) = holder else { return RollbackOutcome::Restored };
    let seen = match writer.release(holder) {
        Ok(seen) => seen,
        Err(e) => return RollbackOutcome::Failed { why: e.0 },
    };
    let number = |s: &State| s.to_string().parse::<u32>().ok();
    match writer.state(sys, &s.op.locus) {
        // The limit may be anything then, for other programs hold theirs.
        Reading::Value(_) if seen => RollbackOutcome::Restored,
        Reading::Value(now) if number(&now).is_none_or(|now| Some(now) > number(&s.op.set)) => {
            RollbackOutcome::Restored
        }
        Reading::Value(now) => RollbackOutcome::Failed {
            why: format!(
                "the limit is still {now} µs, and the process that held {} is not seen here (process {}); where it runs in another process-id namespace, roll back there",
                s.op.set, holder.pid
            ),
        },
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            RollbackOutcome::Failed { why: format!("the limit cannot be read again ({kind}: {why})") }
        }
    }
}

/// As [`put_back`], for what the boot has set again: the limit is held by a unit's process then, not by the journal's.
fn put_back_of_boot<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    s: &StandingWrite,
    note: Note<'_>,
) -> RollbackOutcome {
    if !at(&s.op.locus).is_held() {
        return put_back(sys, writer, s, false, note);
    }
    let outcomes = holders(sys).into_iter().map(|h| release(sys, writer, s, Some(&h)));
    outcomes.into_iter().find(|o| *o != RollbackOutcome::Restored).unwrap_or(RollbackOutcome::Restored)
}

/// Looks at what is there first, where the interface is now: another program's value is left alone unless `force`.
/// `tried` is what [`put_back_together`] said, where it has written it.
pub(crate) fn look_and_put_back<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    s: &StandingWrite,
    tried: Option<&RollbackOutcome>,
    force: bool,
    note: Note<'_>,
) -> RollbackOutcome {
    match (&s.at, &s.device) {
        (Some(Whereabouts::Gone { why }), _) => RollbackOutcome::Absent { why: why.clone() },
        (Some(Whereabouts::Elsewhere { netns, .. }), _) => {
            look(sys, &mut There { writer, netns }, s, tried, force, note)
        }
        (Some(Whereabouts::Hidden { why }), Some(device)) => {
            let why = format!("{} is not found in this network namespace, and {why}", device::words(device));
            if force {
                return RollbackOutcome::GivenUp { why };
            }
            RollbackOutcome::Failed {
                why: format!("{why}; run `lowlat rollback` where it is, or give it up with `lowlat rollback --force`"),
            }
        }
        _ => look(sys, writer, s, tried, force, note),
    }
}

fn look<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    s: &StandingWrite,
    tried: Option<&RollbackOutcome>,
    force: bool,
    note: Note<'_>,
) -> RollbackOutcome {
    if at(&s.op.locus).is_held() {
        return put_back(sys, writer, s, force, note);
    }
    match writer.state(sys, &s.op.locus) {
        Reading::Value(now) if at(&s.op.locus).settled(&now, &s.prior) => {
            with_tried(put_beside_back(sys, writer, s, force), tried)
        }
        Reading::Value(now) if !force && tried.is_none() && of_another(s, &now) => {
            RollbackOutcome::ChangedByOther { now: now.to_string() }
        }
        Reading::Value(_) => with_tried(put_back(sys, writer, s, force, note), tried),
        // A rollback that was killed may have left the places next to it.
        Reading::Absent(why) => match put_beside_back(sys, writer, s, force) {
            failed @ RollbackOutcome::Failed { .. } => failed,
            _ => RollbackOutcome::Absent { why },
        },
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            RollbackOutcome::Failed { why: format!("cannot be read ({kind}: {why})") }
        }
    }
}

/// What stood at each place before the oldest of these writes on it: where that is there again, nothing is left of any
/// of them, also of those whose undoing could not be noted.
pub(crate) fn oldest_priors<'a>(oldest_first: impl Iterator<Item = &'a StandingWrite>) -> Vec<(Locus, State)> {
    let mut floor: Vec<(Locus, State)> = Vec::new();
    for s in oldest_first.filter(|s| s.holder.is_none()) {
        if !floor.iter().any(|(locus, _)| *locus == s.op.locus) {
            floor.push((s.op.locus.clone(), s.prior.clone()));
        }
    }
    floor
}

/// Whether at a place that these writes changed stands again what stood there before all of them.
fn is_at_the_floor<W: HostWriter>(sys: &dyn Sys, writer: &W, floor: &[(Locus, State)], locus: &Locus) -> bool {
    let was = floor.iter().find(|(l, _)| l == locus);
    was.is_some_and(|(l, was)| writer.state(sys, l).value().is_some_and(|now| same(l, now, was)))
}

/// Rolls one transaction back and closes it if nothing is left.
pub(crate) fn roll_back<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    log: &mut Log,
    rules: Rules,
    floor: &[(Locus, State)],
    clock: fn() -> u64,
) -> RollbackReport {
    let mut report = RollbackReport::default();
    let mut left: Vec<Locus> = Vec::new();
    // Going back matters more than noting it: a journal that cannot be written (a full disk) stops nothing here. What
    // is not noted is looked at again by the next rollback, which finds it as it was.
    let standing = log.ledger.standing.clone();
    let is_here = |s: &StandingWrite| match &s.at {
        Some(at) => matches!(at, Whereabouts::Here(_)),
        None => rules.netns == Netns::Same,
    };
    let tried = {
        let mut note = |entry: &JournalEntry| {
            if let Err(error) = log.push(entry) {
                report.unwritten.get_or_insert(error.to_string());
            }
        };
        let here: Vec<&StandingWrite> = standing.iter().filter(|s| rules.same_boot && is_here(s)).collect();
        put_back_to_the_floor(sys, writer, &here, floor, rules.force, &mut note)
    };
    for s in standing.iter().rev() {
        let mut s = device::line(sys, writer, s);
        if is_here(&s) {
            // What is back to what stood before all of these writes is not put to what stood between two of them.
            s.beside.retain(|b| !is_at_the_floor(sys, writer, floor, &b.locus));
        }
        let s = &s;
        let tried = tried.iter().find(|(locus, _)| *locus == s.op.locus).map(|(_, beside)| beside);
        let mut note = |entry: &JournalEntry| {
            if let Err(error) = log.push(entry) {
                report.unwritten.get_or_insert(error.to_string());
            }
        };
        let outcome = if !rules.same_boot && !at(&s.op.locus).outlives_boot() {
            if rules.persisted
                && (!at(&s.op.locus).of_namespace() || in_boot_namespace(sys))
                && set_again(sys, writer, s)
            {
                put_back_of_boot(sys, writer, s, &mut note)
            } else {
                RollbackOutcome::GoneWithBoot
            }
        } else if matches!(&s.at, Some(Whereabouts::Gone { .. })) && rules.netns == Netns::Gone {
            RollbackOutcome::GoneWithNamespace
        } else if matches!(&s.at, Some(at) if !matches!(at, Whereabouts::Here(_))) {
            look_and_put_back(sys, writer, s, None, rules.force, &mut note)
        } else if s.at.is_none() && at(&s.op.locus).of_namespace() && rules.netns == Netns::Gone {
            RollbackOutcome::GoneWithNamespace
        } else if s.at.is_none() && at(&s.op.locus).of_namespace() && rules.netns == Netns::Other {
            RollbackOutcome::OtherNamespace { netns: log.ledger.netns.inode }
        } else if left.contains(&s.op.locus) {
            // A later write on the same place could not be undone, so what this one left is not what is there.
            RollbackOutcome::ChangedByOther {
                now: writer.state(sys, &s.op.locus).value().map_or_else(String::new, State::to_string),
            }
        } else if s.holder.is_none() && is_at_the_floor(sys, writer, floor, &s.op.locus) {
            with_tried(put_beside_back(sys, writer, s, rules.force), tried)
        } else {
            look_and_put_back(sys, writer, s, None, rules.force, &mut note)
        };
        let seq = s.seq;
        let entry = match &outcome {
            RollbackOutcome::Restored | RollbackOutcome::AlreadyPrior => Some(JournalEntry::Undone { seq }),
            o if o.settled() => Some(JournalEntry::Abandoned { seq, why: o.words() }),
            _ => {
                left.push(s.op.locus.clone());
                None
            }
        };
        if let Some(Err(error)) = entry.map(|entry| log.push(&entry)) {
            report.unwritten.get_or_insert(error.to_string());
        }
        let item = RollbackItem {
            transaction: log.ledger.transaction.clone(),
            knob: s.knob.clone(),
            target: s.target.clone(),
            locus: s.op.locus.clone(),
            netns: match &s.at {
                Some(Whereabouts::Elsewhere { netns, .. }) => Some(netns.clone()),
                _ => None,
            },
            was: s.prior.to_string(),
            outcome,
        };
        if item.outcome.settled() { report.done.push(item) } else { report.failed.push(item) }
    }
    if log.ledger.standing.is_empty()
        && !log.ledger.closed
        && let Err(error) = log.push(&JournalEntry::Closed { at_unix_ns: clock() })
    {
        report.unwritten.get_or_insert(error.to_string());
    }
    report
}

/// Rolls every transaction on disk back, newest first, or only one.
pub fn rollback_on<W: HostWriter>(
    sys: &dyn Sys,
    writer: &mut W,
    disk: &dyn Disk,
    place: &Place<'_>,
    only: Option<&str>,
    force: bool,
    clock: fn() -> u64,
) -> Result<RollbackReport, ApplyError> {
    // All journals are read before anything is written: damage in one of them stops the rollback with nothing changed.
    let found = read_all(disk)?;
    if let Some(only) = only
        && !found.iter().any(|f| f.ledger.transaction == only)
    {
        return Err(ApplyError::NoTransaction(only.to_owned()));
    }
    let mut whole = RollbackReport::default();
    let persisted = persisted(&found);
    let mut found: Vec<Found> =
        found.into_iter().filter(|f| !f.ledger.closed && only.is_none_or(|o| o == f.ledger.transaction)).collect();
    for f in &mut found {
        if f.ledger.boot_id == place.boot_id {
            let netns = place.look(f.ledger.netns);
            device::locate(sys, writer, &mut f.ledger, netns);
        } else if persisted {
            locate_again(sys, &mut f.ledger);
        }
    }
    let floor = oldest_priors(found.iter().flat_map(|f| {
        f.ledger.standing.iter().filter(|s| {
            (f.ledger.boot_id == place.boot_id || at(&s.op.locus).outlives_boot())
                && (matches!(s.at, Some(Whereabouts::Here(_)))
                    || (s.at.is_none() && (f.ledger.netns.is(place.netns) || !at(&s.op.locus).of_namespace())))
        })
    }));
    for f in found.into_iter().rev() {
        if f.torn > 0 {
            whole.torn.push(f.ledger.transaction.clone());
        }
        let netns = place.look(f.ledger.netns);
        let rules = Rules { force, same_boot: f.ledger.boot_id == place.boot_id, netns, persisted };
        let mut log = Log::resume(disk, f);
        let report = roll_back(sys, writer, &mut log, rules, &floor, clock);
        whole.done.extend(report.done);
        whole.failed.extend(report.failed);
        // The first failure is the one that is reported.
        whole.unwritten = whole.unwritten.or(report.unwritten);
    }
    Ok(whole)
}
