//! One transaction while it is open: apply, undo, roll back.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::journal::JournalEntry;
use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, PlannedStep, Reading, State};
use lowlat_sys::Sys;

use crate::disk::Disk;
use crate::error::{ApplyError, StepError};
use crate::ledger::{Ledger, Standing};
use crate::live_writer::LiveWriter;
use crate::log::{Log, read_all};
use crate::namespaces::{Netns, Place};
use crate::places::{disturbed, words};
use crate::rollback::{Outcome, RollbackReport, Rules, oldest_priors, put_back, roll_back};
use crate::same::same;
use crate::script;
use crate::writer::Writer;

/// An open transaction. Dropping it writes nothing: what stands, stands in the journal, and `lowlat rollback` finds it.
pub struct Session<W = LiveWriter> {
    log: Log,
    disk: Box<dyn Disk>,
    pub(crate) writer: W,
    stop: Option<&'static AtomicBool>,
    clock: fn() -> u64,
    watched: bool,
    /// Number of places the script on disk restores; it is written again only when there are more, so that an A/B test
    /// that toggles one step does not pay for it.
    scripted: Vec<Locus>,
    /// Held until the session is dropped.
    _lock: Box<dyn std::any::Any>,
}

/// A step that stands applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Handle {
    seqs: Vec<u64>,
    /// What each write was read back as, in the order of the step's ops.
    pub read_back: Vec<State>,
    /// Where the driver took another value than was asked: `ring rx of eth0: asked 5000, got 4096`.
    pub clamped: Vec<String>,
    /// Earlier settings that this step's link reset had undone and that were put in place again.
    pub reapplied: Vec<String>,
}

impl Handle {
    /// The values as read back, for the report.
    pub fn read_back_words(&self) -> String {
        let mut words: Vec<String> = self.read_back.iter().map(ToString::to_string).collect();
        words.dedup();
        if words.is_empty() { "already so".to_owned() } else { words.join(", ") }
    }
}

impl<W: Writer> Session<W> {
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

    /// What stands applied.
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

    /// Marks that a guard waits: [`Session::leave_open`] then leaves the confirmation to `lowlat confirm`.
    pub fn set_watched(&mut self) {
        self.watched = true;
    }

    /// Appends an entry that is no write of this session.
    pub(crate) fn note(&mut self, entry: &JournalEntry) -> Result<(), ApplyError> {
        self.log.push(entry)
    }

    /// Applies a step: all of its writes, or none of them.
    pub fn apply(&mut self, sys: &dyn Sys, step: &PlannedStep) -> Result<Handle, StepError> {
        let mut handle = Handle { seqs: Vec::new(), read_back: Vec::new(), clamped: Vec::new(), reapplied: Vec::new() };
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

    fn apply_all(&mut self, sys: &dyn Sys, step: &PlannedStep, handle: &mut Handle) -> Result<(), StepError> {
        let earlier: Vec<u64> = self.log.ledger.standing.iter().map(|s| s.seq).collect();
        if step.resets_link {
            self.guard(sys, step, handle)?;
        }
        for (n, op) in step.ops.iter().enumerate() {
            if self.stop.is_some_and(|s| s.load(Ordering::SeqCst)) {
                return Err(StepError::Stopped);
            }
            let (knob, target) = step.setting_of(n);
            self.write(sys, knob, target, op, handle)?;
        }
        if step.resets_link {
            let guards = handle.seqs.clone();
            handle.reapplied =
                self.reapply(sys, |s| earlier.contains(&s.seq) || (guards.contains(&s.seq) && s.is_guard()))?;
        }
        Ok(())
    }

    /// Journals what a link reset may disturb, before it happens: rings and channels are freed and allocated anew, and
    /// with them interrupt affinity, RPS and XPS (tuning audit, "rings/channels").
    fn guard(&mut self, sys: &dyn Sys, step: &PlannedStep, handle: &mut Handle) -> Result<(), StepError> {
        let Some(iface) = step.target.iface() else { return Ok(()) };
        for locus in disturbed(sys, iface, |l| self.writer.state(sys, l)) {
            if self.log.ledger.standing.iter().any(|s| s.op.locus == locus) {
                continue;
            }
            let Reading::Value(state) = self.writer.state(sys, &locus) else { continue };
            let seq = self.intent(&step.knob, &step.target, &Op { locus, set: state.clone() }, &state)?;
            self.log.push(&JournalEntry::Done { seq, read_back: state })?;
            handle.seqs.push(seq);
        }
        Ok(())
    }

    fn intent(&mut self, knob: &str, target: &Target, op: &Op, prior: &State) -> Result<u64, ApplyError> {
        let seq = self.log.ledger.next_seq;
        let (knob, target) = (knob.to_owned(), target.clone());
        self.log.push(&JournalEntry::Intent { seq, knob, target, op: op.clone(), prior: prior.clone() })?;
        Ok(seq)
    }

    fn write(
        &mut self,
        sys: &dyn Sys,
        knob: &str,
        target: &Target,
        op: &Op,
        handle: &mut Handle,
    ) -> Result<(), StepError> {
        let place = words(&op.locus);
        let prior = match self.writer.state(sys, &op.locus) {
            Reading::Value(state) => state,
            other => {
                let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
                return Err(StepError::Refused {
                    why: format!(
                        "{place} cannot be read before it is changed ({kind}: {why}), so it could not be put back"
                    ),
                });
            }
        };
        if same(&op.locus, &prior, &op.set) {
            return Ok(());
        }
        let seq = self.intent(knob, target, op, &prior)?;
        self.script(&op.locus);
        let written = self.perform(seq, op)?;
        if op.locus == Locus::CpuDmaLatency {
            // Only now the script can name the process that holds the limit.
            self.scripted.retain(|l| *l != op.locus);
            self.script(&op.locus);
        }
        let now = self.writer.state(sys, &op.locus);
        match (written, now) {
            (Ok(()), Reading::Value(now)) if !same(&op.locus, &now, &prior) => {
                self.log.push(&JournalEntry::Done { seq, read_back: now.clone() })?;
                if !same(&op.locus, &now, &op.set) {
                    handle.clamped.push(format!("{place}: asked {}, got {now}", op.set));
                }
                handle.seqs.push(seq);
                handle.read_back.push(now);
                Ok(())
            }
            (written, now) => Err(self.refused(sys, seq, op, &prior, written.err().as_deref(), &now)),
        }
    }

    /// The inner `Err` is the host's refusal; the outer one means that the journal could not be written.
    fn perform(&mut self, seq: u64, op: &Op) -> Result<Result<(), String>, StepError> {
        let State::Text(us) = (match &op.locus {
            Locus::CpuDmaLatency => &op.set,
            _ => return Ok(self.writer.write(op).map_err(|e| e.0)),
        }) else {
            return Ok(Err("the wake-up latency limit is a number of microseconds or none".to_owned()));
        };
        let log = &mut self.log;
        let mut journal: Option<ApplyError> = None;
        let held = self.writer.hold(us, &mut |holder| {
            log.push(&JournalEntry::Holder { seq, pid: holder.pid, start_time: holder.start_time }).map_err(|e| {
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
            (None, Reading::Value(_)) => {
                format!("{place} to {}: taken without an error and without effect, it is still {prior}", op.set)
            }
            (None, other) => {
                let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
                format!("{place} to {}: cannot be read back ({kind}: {why})", op.set)
            }
        };
        let Some(standing) = self.log.ledger.standing.iter().find(|s| s.seq == seq).cloned() else {
            return StepError::Fatal { why };
        };
        // A holder that was started has to end even where its limit shows no effect beside a stricter one; and a feature
        // that the driver did not change is still wished for, and would come with the driver's next change
        // (net/core/dev.c, `__netdev_update_features`: `wanted_features` stays as asked).
        let leaves_a_trace = standing.holder.is_some() || matches!(op.locus, Locus::Feature { .. });
        let untouched = !leaves_a_trace && matches!(now, Reading::Value(n) if same(&op.locus, n, prior));
        if !untouched
            && let outcome @ (Outcome::Failed { .. } | Outcome::Absent { .. }) =
                put_back(sys, &mut self.writer, &standing)
        {
            return StepError::Fatal { why: format!("{why}, and putting it back failed: {}", outcome.words()) };
        }
        match self.log.push(&JournalEntry::Refused { seq, why: why.clone() }) {
            Ok(()) => StepError::Refused { why },
            Err(e) => e.into(),
        }
    }

    /// Undoes a step, its writes in reverse, each read back.
    pub fn undo(&mut self, sys: &dyn Sys, handle: Handle) -> Result<(), StepError> {
        let Handle { seqs, .. } = handle;
        let later =
            |seq: u64, locus: &Locus, s: &Standing| s.seq > seq && &s.op.locus == locus && !seqs.contains(&s.seq);
        let mine: Vec<Standing> = self.log.ledger.standing.iter().filter(|s| seqs.contains(&s.seq)).cloned().collect();
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
        for standing in mine.iter().rev() {
            resets |= standing.is_guard();
            match crate::rollback::look_and_put_back(sys, &mut self.writer, standing, false) {
                Outcome::Restored | Outcome::AlreadyPrior => {
                    self.log.push(&JournalEntry::Undone { seq: standing.seq })?;
                }
                Outcome::ChangedByOther { now } => {
                    return Err(StepError::ChangedByOther { locus: words(&standing.op.locus), now });
                }
                // A queue or interrupt that the reset took away needs no guard any more.
                Outcome::Absent { why } if standing.is_guard() => {
                    self.log.push(&JournalEntry::Abandoned { seq: standing.seq, why })?;
                }
                other => {
                    return Err(StepError::Fatal {
                        why: format!("undo {} of {}: {}", words(&standing.op.locus), standing.knob, other.words()),
                    });
                }
            }
        }
        if resets {
            self.reapply(sys, |_| true)?;
        }
        Ok(())
    }

    /// Puts those of the standing writes in place again that a link reset had undone; gives their names.
    fn reapply(&mut self, sys: &dyn Sys, which: impl Fn(&Standing) -> bool) -> Result<Vec<String>, StepError> {
        let mut again = Vec::new();
        let standing: Vec<Standing> = self.log.ledger.standing.iter().filter(|s| which(s)).cloned().collect();
        for (n, s) in standing.iter().enumerate() {
            // Only the newest write on a place says what should be there now.
            if standing[n + 1..].iter().any(|later| later.op.locus == s.op.locus) || s.holder.is_some() {
                continue;
            }
            let Reading::Value(now) = self.writer.state(sys, &s.op.locus) else { continue };
            if same(&s.op.locus, &now, s.ours()) {
                continue;
            }
            // No new intent: the standing one still says what was there before lowlat, and a crash in between is
            // met by rollback like one between intent and read-back only if the value is known, which it is: ours,
            // or what the driver's reset left.
            let op = Op { locus: s.op.locus.clone(), set: s.ours().clone() };
            let written = self.writer.write(&op);
            match (written, self.writer.state(sys, &s.op.locus)) {
                (Ok(()), Reading::Value(now)) if same(&s.op.locus, &now, s.ours()) => again.push(words(&s.op.locus)),
                (written, _) => {
                    let why = written.err().map_or_else(|| "it did not keep the value".to_owned(), |e| e.0);
                    return Err(StepError::Fatal {
                        why: format!(
                            "{} was lost in the link reset and cannot be set again: {why}",
                            words(&s.op.locus)
                        ),
                    });
                }
            }
        }
        Ok(again)
    }

    fn script(&mut self, locus: &Locus) {
        if self.scripted.contains(locus) {
            return;
        }
        self.scripted.push(locus.clone());
        let text = script::write(&self.log.ledger);
        // The script is a second way back beside the journal; if it cannot be written, the first one still stands.
        let _ = self.disk.side_file(&script::name(self.transaction()), text.as_bytes());
    }

    /// Puts back everything that stands, newest first, and verifies each.
    pub fn rollback(&mut self, sys: &dyn Sys) -> Result<RollbackReport, ApplyError> {
        let rules = Rules { force: false, same_boot: true, netns: Netns::Same, persisted: false };
        let floor = oldest_priors(self.log.ledger.standing.iter());
        Ok(roll_back(sys, &mut self.writer, &mut self.log, rules, &floor, self.clock))
    }

    /// Ends the command and leaves what stands in place: confirmed, unless a guard waits for `lowlat
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
