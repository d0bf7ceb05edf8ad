//! One transaction while it is open: apply, undo, roll back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::journal::{Beside, Guard, JournalEntry};
use lowlat_model::op::Target;
use lowlat_model::tune::Resets;
use lowlat_model::{Locus, Op, PlannedStep, Reading, State};
use lowlat_settings::{at, qdisc, same, together, words};
use lowlat_sys::Sys;

use crate::device::{self, Whereabouts};
use crate::disk::Disk;
use crate::error::{ApplyError, StepError};
use crate::ledger::{HolderId, Ledger, StandingWrite};
use crate::live_writer::LiveWriter;
use crate::log::{Log, read_all};
use crate::namespaces::{Netns, Place};
use crate::places::disturbed;
use crate::rollback::{
    RollbackOutcome, RollbackReport, Rules, look_and_put_back, oldest_priors, put_back, put_back_together, roll_back,
    runs,
};
use crate::script;
use crate::writer::HostWriter;

mod group;
mod watch;

pub use watch::{SeenChange, WatchedPlace};

/// An open transaction. Dropping it writes nothing: what is set, stands in the journal, and `lowlat rollback` finds it.
pub struct Session<W = LiveWriter> {
    log: Log,
    disk: Box<dyn Disk>,
    pub(crate) writer: W,
    stop: Option<&'static AtomicBool>,
    clock: fn() -> u64,
    watched: bool,
    /// The places that the script on disk restores, each with what it puts there. It is written again only for a place that it
    /// does not restore, so that an A/B test that toggles steps does not pay for it.
    scripted: Vec<(Locus, State)>,
    /// Held until the session is dropped.
    _lock: Box<dyn std::any::Any>,
}

/// A step that stands applied.
#[derive(Debug, Clone, PartialEq)]
pub struct StepHandle {
    seqs: Vec<u64>,
    /// What each write was read back as, in the order of the step's ops.
    pub read_back: Vec<State>,
    /// Where the driver took another value than was asked: `ring rx of eth0: asked 5000, got 4096`.
    pub clamped: Vec<String>,
    /// Earlier settings that this step's link reset had undone and that were put in place again.
    pub reapplied: Vec<String>,
}

impl StepHandle {
    /// The values as read back, for the report.
    pub fn read_back_words(&self) -> String {
        let mut words: Vec<String> = self.read_back.iter().map(ToString::to_string).collect();
        words.dedup();
        if words.is_empty() { "already so".to_owned() } else { words.join(", ") }
    }
}

impl<W: HostWriter> Session<W> {
    /// Begins a transaction on given doors; [`Session::begin`] is the way for the live host.
    ///
    /// Refuses while an earlier transaction is unfinished and can still stand.
    pub fn begin_on(
        disk: Box<dyn Disk>,
        writer: W,
        lock: Box<dyn std::any::Any>,
        place: &Place<'_>,
        clock: fn() -> u64,
    ) -> Result<Self, ApplyError> {
        refuse_unfinished_on(disk.as_ref(), place)?;
        let log = Log::begin(disk.as_ref(), place.netns, place.boot_id, std::process::id(), clock())?;
        Ok(Self { log, disk, writer, stop: None, clock, watched: false, scripted: Vec::new(), _lock: lock })
    }

    /// A flag that makes [`Session::apply`] stop between two writes. Undo and rollback never look at it.
    pub fn stop_on(&mut self, flag: &'static AtomicBool) {
        self.stop = Some(flag);
    }

    /// The transaction's id.
    pub fn transaction(&self) -> &str {
        &self.log.ledger.transaction
    }

    /// What is applied.
    pub fn ledger(&self) -> &Ledger {
        &self.log.ledger
    }

    /// Whether a place of this step was set in this session already: the step is then an alternative to one that
    /// stands, and whoever applies without judging leaves it out.
    pub fn already_at(&self, step: &PlannedStep) -> bool {
        let stands = |op: &Op| self.log.ledger.standing.iter().any(|s| !s.is_guard() && s.op.locus == op.locus);
        step.ops.iter().any(stands)
    }

    /// Where the journal is.
    pub fn journal_path(&self) -> std::path::PathBuf {
        self.disk.path(self.transaction())
    }

    /// Notes that a guard waits: [`Session::leave_open`] then leaves the confirmation to `lowlat confirm`, and `lowlat
    /// status` reports how long it waits.
    pub(crate) fn set_guarded(&mut self, guard: Guard) -> Result<(), ApplyError> {
        self.watched = true;
        self.log.push(&JournalEntry::Guarded { guard })
    }

    /// Applies a step: all of its writes, or none of them.
    pub fn apply(&mut self, sys: &dyn Sys, step: &PlannedStep) -> Result<StepHandle, StepError> {
        let mut handle =
            StepHandle { seqs: Vec::new(), read_back: Vec::new(), clamped: Vec::new(), reapplied: Vec::new() };
        let result = self.apply_all(sys, step, &mut handle);
        if let Err(error) = result {
            // A fatal failure leaves the whole step to the journal: its state is not known well enough to go on.
            if !matches!(error, StepError::Fatal { .. } | StepError::Apply(_)) {
                self.undo(sys, handle)?;
            }
            return Err(error);
        }
        Ok(handle)
    }

    fn apply_all(&mut self, sys: &dyn Sys, step: &PlannedStep, handle: &mut StepHandle) -> Result<(), StepError> {
        let earlier: Vec<u64> = self.log.ledger.standing.iter().map(|s| s.seq).collect();
        let resets = step.resets_link || step.resets != Resets::Nothing;
        self.guard(sys, step, resets, handle)?;
        let owned: Vec<group::Owned<'_>> = step.owned_ops().collect();
        for group in owned.chunk_by(|(_, _, a), (_, _, b)| together(&a.locus, &b.locus)) {
            if self.stop.is_some_and(|s| s.load(Ordering::SeqCst)) {
                return Err(StepError::Stopped);
            }
            match group {
                [(knob, target, op)] => self.write(sys, knob, target, op, handle)?,
                several => self.write_group(sys, several, handle)?,
            }
        }
        if resets {
            let guards = handle.seqs.clone();
            handle.reapplied =
                self.reapply(sys, |s| earlier.contains(&s.seq) || (guards.contains(&s.seq) && s.is_guard()))?;
        }
        Ok(())
    }

    /// Journals what a step may disturb, before it happens. With a link reset, rings and channels are freed and allocated
    /// anew, and with them interrupt affinity, RPS and XPS; with another number of channels queues go and come, and their
    /// queue disciplines with them.
    fn guard(
        &mut self,
        sys: &dyn Sys,
        step: &PlannedStep,
        resets: bool,
        handle: &mut StepHandle,
    ) -> Result<(), StepError> {
        // Each under a setting of its own interface: so it is known as lowlat's when the journal is read.
        let own = std::iter::once((step.knob.as_str(), &step.target));
        let settings = step.owned_ops().map(|(knob, target, _)| (knob, target)).chain(own);
        let mut owners: BTreeMap<&str, (&str, &Target)> = BTreeMap::new();
        for (knob, target) in settings {
            if let Some(iface) = target.iface() {
                owners.entry(iface).or_insert((knob, target));
            }
        }
        let mut places: Vec<(&str, &Target, Locus)> = Vec::new();
        for (iface, (knob, target)) in owners {
            let mut of = Vec::new();
            if resets {
                let found = disturbed(sys, iface, |l| self.writer.state(sys, l));
                of = found.map_err(|why| StepError::Refused { why })?;
            }
            let sets_channels = |op: &Op| matches!(&op.locus, Locus::Channels { iface: of, .. } if of == iface);
            if step.ops.iter().any(sets_channels) {
                of.extend(qdisc::of_queues(sys, iface));
            }
            places.extend(of.into_iter().map(|locus| (knob, target, locus)));
        }
        for (knob, target, locus) in places {
            let stands = self.log.ledger.standing.iter().any(|s| s.op.locus == locus);
            // What the step itself sets is put back as its own.
            if stands || step.ops.iter().any(|op| op.locus == locus) {
                continue;
            }
            let Reading::Value(state) = self.writer.state(sys, &locus) else { continue };
            let seq = self.intent(sys, knob, target, &Op { locus, set: state.clone() }, &state, &[])?;
            self.log.push(&JournalEntry::Done { seq, read_back: state, beside: Vec::new() })?;
            handle.seqs.push(seq);
        }
        Ok(())
    }

    fn intent(
        &mut self,
        sys: &dyn Sys,
        knob: &str,
        target: &Target,
        op: &Op,
        prior: &State,
        beside: &[Beside],
    ) -> Result<u64, ApplyError> {
        let seq = self.log.ledger.next_seq;
        let (knob, target, device) = (knob.to_owned(), target.clone(), device::of(sys, &op.locus));
        let (op, prior, beside) = (op.clone(), prior.clone(), beside.to_vec());
        self.log.push(&JournalEntry::Intent { seq, knob, target, op, prior, device, beside })?;
        Ok(seq)
    }

    fn write(
        &mut self,
        sys: &dyn Sys,
        knob: &str,
        target: &Target,
        op: &Op,
        handle: &mut StepHandle,
    ) -> Result<(), StepError> {
        let prior = self.prior(sys, &op.locus)?;
        if same(&op.locus, &prior, &op.set) {
            return Ok(());
        }
        // Looked at again here, and not only when the step was planned: more may hang there by now.
        let beside = self.beside(sys, op)?;
        let seq = self.intent(sys, knob, target, op, &prior, &beside)?;
        self.script(&op.locus);
        let written = self.perform(seq, op)?;
        if at(&op.locus).is_held() {
            // Only now the script can name the process that holds the limit.
            self.scripted.retain(|(l, _)| *l != op.locus);
            self.script(&op.locus);
        }
        let now = self.writer.state(sys, &op.locus);
        match (written, now) {
            (Ok(()), Reading::Value(now)) if acted(op, &now, &prior) => self.done(sys, seq, op, now, &beside, handle),
            (written, now) => Err(self.refused(sys, seq, op, &prior, written.err().as_deref(), &now)),
        }
    }

    /// What is at a place before it is changed; without it there is no undo.
    fn prior(&self, sys: &dyn Sys, locus: &Locus) -> Result<State, StepError> {
        match self.writer.state(sys, locus) {
            Reading::Value(state) => Ok(state),
            other => {
                let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
                let place = words(locus);
                Err(StepError::Refused {
                    why: format!(
                        "{place} cannot be read before it is changed ({kind}: {why}), so it could not be restored later"
                    ),
                })
            }
        }
    }

    /// What a write may change besides its own place; without an undo for it the write is not made.
    fn beside(&self, sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, StepError> {
        let refused = |why| StepError::Refused { why: format!("{}: {why}", words(&op.locus)) };
        match at(&op.locus).refused_at_first(sys, &op.set) {
            Some(why) => Err(refused(why)),
            None => self.writer.beside(sys, op).map_err(refused),
        }
    }

    /// Notes what a write was read back as, and what it changed besides.
    fn done(
        &mut self,
        sys: &dyn Sys,
        seq: u64,
        op: &Op,
        now: State,
        beside: &[Beside],
        handle: &mut StepHandle,
    ) -> Result<(), StepError> {
        let beside = changed(&self.writer, sys, beside);
        self.log.push(&JournalEntry::Done { seq, read_back: now.clone(), beside })?;
        if !same(&op.locus, &now, &op.set) {
            handle.clamped.push(format!("{}: asked {}, got {now}", words(&op.locus), op.set));
        }
        handle.seqs.push(seq);
        handle.read_back.push(now);
        Ok(())
    }

    /// The inner `Err` is the host's refusal; the outer one means that the journal could not be written.
    fn perform(&mut self, seq: u64, op: &Op) -> Result<Result<(), String>, StepError> {
        if !at(&op.locus).is_held() {
            return Ok(self.writer.write(op).map_err(|e| e.0));
        }
        let State::Text(us) = &op.set else {
            return Ok(Err("the wake-up latency limit is a number of microseconds or none".to_owned()));
        };
        let log = &mut self.log;
        let mut journal: Option<ApplyError> = None;
        let held = self.writer.hold(us, &mut |holder| {
            let HolderId { pid, start_time, token } = holder;
            log.push(&JournalEntry::Holder { seq, pid, start_time, token }).map_err(|e| {
                let text = e.to_string();
                journal = Some(e);
                std::io::Error::other(text)
            })
        });
        match journal {
            Some(error) => Err(error.into()),
            None => Ok(held.map_err(|e| e.0)),
        }
    }

    /// A write that was refused or had no effect: makes sure that nothing changed, and puts it back if something did.
    fn refused(
        &mut self,
        sys: &dyn Sys,
        seq: u64,
        op: &Op,
        prior: &State,
        error: Option<&str>,
        now: &Reading<State>,
    ) -> StepError {
        let place = words(&op.locus);
        let why = match (error, now) {
            (Some(error), _) => format!("{place} to {}: {error}", op.set),
            (None, Reading::Value(now)) => match at(&op.locus).falls_short(&op.set, now, prior) {
                Some(why) => format!("{place} to {}: {why}", op.set),
                None => format!("{place} to {}: accepted without an error but without effect, still {prior}", op.set),
            },
            (None, other) => {
                let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
                format!("{place} to {}: cannot be read back ({kind}: {why})", op.set)
            }
        };
        let Some(standing) = self.log.ledger.standing.iter().find(|s| s.seq == seq).cloned() else {
            return StepError::Fatal { why };
        };
        // A holder that was started has to end even where a stricter limit hides its own.
        let untouched = standing.holder.is_none()
            && matches!(now, Reading::Value(n) if same(&op.locus, n, prior))
            && changed(&self.writer, sys, &standing.beside).is_empty();
        // What cannot be noted shows with the next entry, which cannot be noted either.
        let mut noted = Ok(());
        if !untouched
            && let outcome @ (RollbackOutcome::Failed { .. } | RollbackOutcome::Absent { .. }) =
                put_back(sys, &mut self.writer, &standing, false, &mut |e| noted = self.log.push(e))
        {
            return StepError::Fatal { why: format!("{why}, and putting it back failed: {}", outcome.words()) };
        }
        match noted.and_then(|()| self.log.push(&JournalEntry::Refused { seq, why: why.clone() })) {
            Ok(()) => StepError::Refused { why },
            Err(e) => e.into(),
        }
    }

    /// Undoes a step, its writes in reverse, each read back.
    pub fn undo(&mut self, sys: &dyn Sys, handle: StepHandle) -> Result<(), StepError> {
        let StepHandle { seqs, .. } = handle;
        self.locate(sys);
        let later =
            |seq: u64, locus: &Locus, s: &StandingWrite| s.seq > seq && &s.op.locus == locus && !seqs.contains(&s.seq);
        let mine: Vec<StandingWrite> =
            self.log.ledger.standing.iter().filter(|s| seqs.contains(&s.seq)).cloned().collect();
        // What another step has set since is that one's to put back, and the guard stays as what stood there before both.
        let above = |s: &StandingWrite| self.log.ledger.standing.iter().any(|o| later(s.seq, &s.op.locus, o));
        let mine: Vec<StandingWrite> = mine.into_iter().filter(|s| !(s.is_guard() && above(s))).collect();
        for s in &mine {
            if let Some(above) = self.log.ledger.standing.iter().find(|o| later(s.seq, &s.op.locus, o)) {
                let why = format!(
                    "undo {} of {}: the later step {} stands on the same place; undo that one first",
                    words(&s.op.locus),
                    s.knob,
                    above.knob
                );
                return Err(StepError::Fatal { why });
            }
        }
        let mut resets = false;
        for run in runs(mine.iter().rev()) {
            let back: Vec<(&StandingWrite, &State)> = run.iter().map(|s| (*s, &s.prior)).collect();
            let mut note = |e: &JournalEntry| drop(self.log.push(e));
            let tried = put_back_together(sys, &mut self.writer, &back, false, &mut note);
            for standing in run {
                resets |= standing.is_guard();
                let tried = tried.iter().find(|(seq, _)| *seq == standing.seq).map(|(_, beside)| beside);
                self.undo_one(sys, standing, tried)?;
            }
        }
        if resets {
            self.reapply(sys, |_| true)?;
        }
        Ok(())
    }

    /// Puts one write back and notes it.
    fn undo_one(
        &mut self,
        sys: &dyn Sys,
        standing: &StandingWrite,
        tried: Option<&RollbackOutcome>,
    ) -> Result<(), StepError> {
        let standing = &device::line(sys, &self.writer, standing);
        let mut note = |e: &JournalEntry| drop(self.log.push(e));
        let entry = match look_and_put_back(sys, &mut self.writer, standing, tried, false, &mut note) {
            RollbackOutcome::Restored | RollbackOutcome::AlreadyPrior => JournalEntry::Undone { seq: standing.seq },
            RollbackOutcome::ChangedByOther { now } => {
                return Err(StepError::ChangedByOther { locus: words(&standing.op.locus), now });
            }
            // A queue or interrupt that the reset took away needs no guard any more.
            RollbackOutcome::Absent { why } if standing.is_guard() => {
                JournalEntry::Abandoned { seq: standing.seq, why }
            }
            other => {
                return Err(StepError::Fatal {
                    why: format!("undo {} of {}: {}", words(&standing.op.locus), standing.knob, other.words()),
                });
            }
        };
        Ok(self.log.push(&entry)?)
    }

    /// Puts those of the standing writes in place again that a link reset had undone; gives their names.
    fn reapply(&mut self, sys: &dyn Sys, which: impl Fn(&StandingWrite) -> bool) -> Result<Vec<String>, StepError> {
        let mut again = Vec::new();
        self.locate(sys);
        let standing: Vec<StandingWrite> = self.log.ledger.standing.iter().filter(|s| which(s)).cloned().collect();
        // What goes back only with another setting of this transaction is left to that one's rollback.
        let set: Vec<&Locus> = self.log.ledger.standing.iter().filter(|s| !s.is_guard()).map(|s| &s.op.locus).collect();
        let goes_with_another = |s: &StandingWrite| set.iter().any(|other| at(&s.op.locus).goes_with(other));
        // Only the newest write on a place says what should be there now.
        let newest = |(n, s): &(usize, &StandingWrite)| {
            let later = standing[n + 1..].iter().any(|later| later.op.locus == s.op.locus);
            !later && !goes_with_another(s) && s.holder.is_none() && matches!(s.at, None | Some(Whereabouts::Here(_)))
        };
        let newest: Vec<&StandingWrite> = standing.iter().enumerate().filter(newest).map(|(_, s)| s).collect();
        for run in newest.chunk_by(|a, b| together(&a.op.locus, &b.op.locus)) {
            let run: Vec<StandingWrite> = run.iter().map(|s| device::line(sys, &self.writer, s)).collect();
            again.extend(self.set_again(sys, &run)?);
        }
        Ok(again)
    }

    /// Sets again what is not as lowlat left it, of settings that go out in one request.
    fn set_again(&mut self, sys: &dyn Sys, run: &[StandingWrite]) -> Result<Vec<String>, StepError> {
        let is_lost = |s: &&StandingWrite| {
            // An interrupt that the reset took away is lost with its queue.
            matches!(s.at, None | Some(Whereabouts::Here(_)))
                && self.writer.state(sys, &s.op.locus).value().is_some_and(|now| !same(&s.op.locus, now, s.ours()))
        };
        let lost: Vec<&StandingWrite> = run.iter().filter(is_lost).collect();
        // No new intent: the standing one still says what was there before lowlat, and a crash in between is met by
        // rollback like one between intent and read-back only if the value is known, which it is: ours, or what the
        // driver's reset left.
        let ops: Vec<Op> = lost.iter().map(|s| Op { locus: s.op.locus.clone(), set: s.ours().clone() }).collect();
        let written = match ops.as_slice() {
            [] => Ok(()),
            [op] => self.writer.write(op),
            several => self.writer.write_together(several),
        };
        let kept = |s: &&&StandingWrite| {
            self.writer.state(sys, &s.op.locus).value().is_some_and(|now| same(&s.op.locus, now, s.ours()))
        };
        let gone = lost.iter().find(|s| !kept(s));
        let failed = written.err().map(|e| e.0);
        let Some(s) = gone.or(lost.first().filter(|_| failed.is_some())) else {
            return Ok(lost.iter().map(|s| words(&s.op.locus)).collect());
        };
        let why = failed.unwrap_or_else(|| "it did not keep the value".to_owned());
        let place = words(&s.op.locus);
        Err(StepError::Fatal { why: format!("{place} was lost in the link reset and cannot be set again: {why}") })
    }

    /// Finds the interfaces of what is set: since it was written they may have got other names.
    fn locate(&mut self, sys: &dyn Sys) {
        device::locate(sys, &self.writer, &mut self.log.ledger, Netns::Same);
    }

    /// Sees to it that the script on disk restores this place too, which is announced. One that was tried and put back
    /// before may be missing in a script that was written since.
    fn script(&mut self, locus: &Locus) {
        let oldest = self.log.ledger.standing.iter().find(|s| s.op.locus == *locus);
        let is_restored = |s: &StandingWrite| self.scripted.iter().any(|(l, was)| l == locus && *was == s.prior);
        if !oldest.is_some_and(is_restored) {
            self.write_script();
        }
    }

    fn write_script(&mut self) {
        let ledger = &self.log.ledger;
        // The script is a second way to roll back next to the journal. If it cannot be written, the first one still stands,
        // and the next write tries again.
        if self.disk.side_file(&script::name(&ledger.transaction), script::write(ledger).as_bytes()).is_ok() {
            self.scripted = script::restored(ledger).map(|s| (s.op.locus.clone(), s.prior.clone())).collect();
        }
    }

    /// Puts back everything that stands, newest first, and verifies each.
    pub fn rollback(&mut self, sys: &dyn Sys) -> Result<RollbackReport, ApplyError> {
        let rules = Rules { force: false, same_boot: true, netns: Netns::Same, persisted: false };
        self.locate(sys);
        let floor = oldest_priors(self.log.ledger.standing.iter());
        Ok(roll_back(sys, &mut self.writer, &mut self.log, rules, &floor, self.clock))
    }

    /// Ends the command and leaves what is set in place: confirmed, unless a guard waits for `lowlat
    /// confirm`; closed, if nothing stands.
    pub fn leave_open(&mut self) -> Result<(), ApplyError> {
        if self.log.ledger.closed {
            return Ok(());
        }
        let at_unix_ns = (self.clock)();
        if self.log.ledger.standing.is_empty() {
            return self.log.push(&JournalEntry::Closed { at_unix_ns });
        }
        if self.watched { Ok(()) } else { self.log.push(&JournalEntry::Confirmed { at_unix_ns }) }
    }
}

/// Whether a write had an effect, and enough of it.
fn acted(op: &Op, now: &State, prior: &State) -> bool {
    let kind = at(&op.locus);
    kind.acted(&op.set, now, prior) && kind.falls_short(&op.set, now, prior).is_none()
}

/// Those of the places next to a write that are no longer as they were, as they are now.
fn changed<W: HostWriter>(writer: &W, sys: &dyn Sys, beside: &[Beside]) -> Vec<Beside> {
    let differs = |was: &Beside| {
        let state = writer.state(sys, &was.locus).into_value()?;
        (!same(&was.locus, &state, &was.state)).then(|| Beside { locus: was.locus.clone(), state })
    };
    beside.iter().filter_map(differs).collect()
}

/// Refuses while a transaction of this boot stands applied and is neither confirmed nor rolled back: what it left
/// behind would be taken for the host's own state.
pub(crate) fn refuse_unfinished_on(disk: &dyn Disk, place: &Place<'_>) -> Result<(), ApplyError> {
    for found in read_all(disk)? {
        let l = found.ledger;
        if l.closed || l.confirmed || l.standing.is_empty() {
            continue;
        }
        let standing = l.can_stand(place.boot_id, place.look(l.netns) == Netns::Gone).count();
        if standing > 0 {
            return Err(ApplyError::Unfinished { transaction: l.transaction, standing });
        }
    }
    Ok(())
}
