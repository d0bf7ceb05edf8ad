//! The way back: each write undone in reverse, each one verified.

use std::fmt::Write as _;

use lowlat_model::answer::{PutBack, RollbackDocument};
use lowlat_model::journal::JournalEntry;
use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, Reading, Schema, State};
use lowlat_sys::Sys;

use crate::boot::{holders, in_boot_namespace, persisted, set_again};
use crate::disk::Disk;
use crate::error::ApplyError;
use crate::ledger::Standing;
use crate::log::{Found, Log, read_all};
use crate::namespaces::{Netns, Place};
use crate::places::{of_namespace, outlives_boot, words};
use crate::same::same;
use crate::writer::Writer;

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
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
    /// It was a setting of a network namespace that is no more.
    GoneWithNamespace,
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

impl Outcome {
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
            Self::OtherNamespace { .. } => "other_namespace",
            Self::Failed { .. } => "failed",
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Restored => "put back and verified".to_owned(),
            Self::AlreadyPrior => "was already as before".to_owned(),
            Self::ChangedByOther { now } => {
                format!(
                    "another program set it to {now:?} meanwhile; left alone, `lowlat rollback --force` puts it back all the same"
                )
            }
            Self::Absent { why } => format!("gone, and its setting with it: {why}"),
            Self::GoneWithBoot => "a live setting of an earlier boot, gone with it".to_owned(),
            Self::GoneWithNamespace => "a setting of a network namespace that is no more".to_owned(),
            Self::OtherNamespace { netns } => {
                format!(
                    "belongs to the network namespace net:[{netns}]; run `lowlat rollback` inside it (`lsns -t net` lists them)"
                )
            }
            Self::Failed { why } => format!("could not be put back: {why}"),
        }
    }
}

/// One write of a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Transaction.
    pub transaction: String,
    /// Knob.
    pub knob: String,
    /// Where, for people.
    pub target: Target,
    /// Exact place.
    pub locus: Locus,
    /// What was put back.
    pub was: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a rollback did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollbackReport {
    /// Settled: restored, already as before, or gone.
    pub done: Vec<Item>,
    /// Not settled: changed by others, in another namespace, or failed.
    pub failed: Vec<Item>,
    /// Entries that were cut off in the middle: the writes they announce never began.
    pub torn: Vec<String>,
    /// Why a journal could not be brought to its end; the settings went back all the same.
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
            let _ = writeln!(
                out,
                "{} on {}: {} -> {}: {}",
                item.knob,
                item.target,
                words(&item.locus),
                item.was,
                item.outcome.words()
            );
        }
        if let Some(why) = &self.unwritten {
            let _ = writeln!(out, "the settings went back, and the journal could not be told: {why}");
        }
        let (done, failed) = (self.done.len(), self.failed.len());
        let _ = match (done, failed) {
            (0, 0) => write!(out, "nothing is applied, so there is nothing to put back"),
            (_, 0) => write!(out, "rollback verified: {done} settings are as they were"),
            _ => write!(out, "{failed} settings are not as they were, {done} are"),
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

/// Writes the prior state and reads it back.
pub(crate) fn put_back<W: Writer>(sys: &dyn Sys, writer: &mut W, s: &Standing) -> Outcome {
    if s.op.locus == Locus::CpuDmaLatency {
        // What is held ends with its holder; without one the write never began. The limit itself may be anything
        // afterwards, for other programs hold theirs.
        return match s.holder.map_or(Ok(()), |h| writer.release(h)) {
            Ok(()) => Outcome::Restored,
            Err(e) => Outcome::Failed { why: e.0 },
        };
    }
    let written = writer.write(&Op { locus: s.op.locus.clone(), set: s.prior.clone() });
    match (written, writer.state(sys, &s.op.locus)) {
        // What counts is what is there, not what the write said.
        (_, Reading::Value(now)) if same(&s.op.locus, &now, &s.prior) => Outcome::Restored,
        (_, Reading::Absent(why)) => Outcome::Absent { why },
        (Err(e), _) => Outcome::Failed { why: e.0 },
        (Ok(()), Reading::Value(now)) => {
            Outcome::Failed { why: format!("{:?} was written, {now:?} is there", s.prior.to_string()) }
        }
        (Ok(()), other) => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            Outcome::Failed { why: format!("written, and cannot be read back ({kind}: {why})") }
        }
    }
}

/// As [`put_back`], for what the boot has set again: the limit is held by a unit's process then, not by the journal's.
fn put_back_of_boot<W: Writer>(sys: &dyn Sys, writer: &mut W, s: &Standing) -> Outcome {
    if s.op.locus != Locus::CpuDmaLatency {
        return put_back(sys, writer, s);
    }
    let failed = holders(sys).into_iter().find_map(|h| writer.release(h).err());
    failed.map_or(Outcome::Restored, |e| Outcome::Failed { why: e.0 })
}

/// Looks at what is there first: another program's value is left alone unless `force`.
pub(crate) fn look_and_put_back<W: Writer>(sys: &dyn Sys, writer: &mut W, s: &Standing, force: bool) -> Outcome {
    if s.op.locus == Locus::CpuDmaLatency {
        return put_back(sys, writer, s);
    }
    match writer.state(sys, &s.op.locus) {
        Reading::Value(now) if same(&s.op.locus, &now, &s.prior) => Outcome::AlreadyPrior,
        // A write whose read-back is missing may have been clamped, and a guard has seen a link reset: whatever is
        // there came of lowlat's own write.
        Reading::Value(now)
            if !force && s.read_back.is_some() && !s.is_guard() && !same(&s.op.locus, &now, s.ours()) =>
        {
            Outcome::ChangedByOther { now: now.to_string() }
        }
        Reading::Value(_) => put_back(sys, writer, s),
        Reading::Absent(why) => Outcome::Absent { why },
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            Outcome::Failed { why: format!("cannot be read ({kind}: {why})") }
        }
    }
}

/// What stood at each place before the oldest of these writes on it: where that is there again, nothing is left of any
/// of them, also of those whose undoing could not be noted.
pub(crate) fn oldest_priors<'a>(oldest_first: impl Iterator<Item = &'a Standing>) -> Vec<(Locus, State)> {
    let mut floor: Vec<(Locus, State)> = Vec::new();
    for s in oldest_first.filter(|s| s.holder.is_none()) {
        if !floor.iter().any(|(locus, _)| *locus == s.op.locus) {
            floor.push((s.op.locus.clone(), s.prior.clone()));
        }
    }
    floor
}

/// Rolls one transaction back and closes it if nothing is left.
pub(crate) fn roll_back<W: Writer>(
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
    for s in log.ledger.standing.clone().iter().rev() {
        let outcome = if !rules.same_boot && !outlives_boot(&s.op.locus) {
            if rules.persisted && (!of_namespace(&s.op.locus) || in_boot_namespace(sys)) && set_again(sys, writer, s) {
                put_back_of_boot(sys, writer, s)
            } else {
                Outcome::GoneWithBoot
            }
        } else if of_namespace(&s.op.locus) && rules.netns == Netns::Gone {
            Outcome::GoneWithNamespace
        } else if of_namespace(&s.op.locus) && rules.netns == Netns::Other {
            Outcome::OtherNamespace { netns: log.ledger.netns.inode }
        } else if left.contains(&s.op.locus) {
            // A later write on the same place could not be undone, so what this one left is not what is there.
            Outcome::ChangedByOther {
                now: writer.state(sys, &s.op.locus).value().map_or_else(String::new, State::to_string),
            }
        } else if s.holder.is_none()
            && floor
                .iter()
                .any(|(l, was)| *l == s.op.locus && writer.state(sys, l).value().is_some_and(|now| same(l, now, was)))
        {
            Outcome::AlreadyPrior
        } else {
            look_and_put_back(sys, writer, s, rules.force)
        };
        let seq = s.seq;
        let entry = match &outcome {
            Outcome::Restored | Outcome::AlreadyPrior => Some(JournalEntry::Undone { seq }),
            o if o.settled() => Some(JournalEntry::Abandoned { seq, why: o.words() }),
            _ => {
                left.push(s.op.locus.clone());
                None
            }
        };
        if let Some(Err(error)) = entry.map(|entry| log.push(&entry)) {
            report.unwritten.get_or_insert(error.to_string());
        }
        let item = Item {
            transaction: log.ledger.transaction.clone(),
            knob: s.knob.clone(),
            target: s.target.clone(),
            locus: s.op.locus.clone(),
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
pub fn rollback_on<W: Writer>(
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
    let found: Vec<Found> =
        found.into_iter().filter(|f| !f.ledger.closed && only.is_none_or(|o| o == f.ledger.transaction)).collect();
    let floor = oldest_priors(found.iter().flat_map(|f| {
        f.ledger.standing.iter().filter(|s| {
            (f.ledger.boot_id == place.boot_id || outlives_boot(&s.op.locus))
                && (f.ledger.netns.is(place.netns) || !of_namespace(&s.op.locus))
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
        // The first failure is the one that is told.
        whole.unwritten = whole.unwritten.or(report.unwritten);
    }
    Ok(whole)
}
