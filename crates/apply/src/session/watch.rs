//! Places that another program may change: noted before it runs, looked at after it.

use lowlat_model::journal::JournalEntry;
use lowlat_model::op::Target;
use lowlat_model::{Locus, NotSeen, Op, Reading, State};
use lowlat_settings::{at, same, words};
use lowlat_sys::Sys;

use super::{Session, StepHandle};
use crate::error::StepError;
use crate::ledger::StandingWrite;
use crate::writer::HostWriter;

/// A place of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedPlace {
    /// The knob that it belongs to.
    pub knob: String,
    /// Where, for people.
    pub target: Target,
    /// Where.
    pub locus: Locus,
}

/// A watched place that is no longer as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenChange {
    /// Which.
    pub place: WatchedPlace,
    /// What was there when the watch began.
    pub before: State,
    /// What is there now.
    pub now: Reading<State>,
}

impl<W: HostWriter> Session<W> {
    /// Notes in the journal what is at these places, before another program runs: from now on a rollback puts each back
    /// to it, whoever sets it. What cannot be read, what a process holds open, and what could not be put back whole is
    /// left out; so is a place that this transaction has set.
    ///
    /// They are noted last first, since what is noted last goes back first: places go back in the order in which a step
    /// sets them. TCP segmentation of a kind comes only with the plain one (`netdev_fix_features`, net/core/dev.c).
    ///
    /// Gives what [`Session::changed_since`] looks at, and what [`Session::undo`] puts back.
    /// The second part says which places could not be read or restored, and why; what is not there is not among them.
    pub fn note_places(
        &mut self,
        sys: &dyn Sys,
        places: &[WatchedPlace],
    ) -> Result<(StepHandle, Vec<NotSeen>), StepError> {
        let mut unseen = Vec::new();
        let mut handle =
            StepHandle { seqs: Vec::new(), read_back: Vec::new(), clamped: Vec::new(), reapplied: Vec::new() };
        for WatchedPlace { knob, target, locus } in places.iter().rev() {
            let stands = self.log.ledger.standing.iter().any(|s| s.op.locus == *locus);
            if stands || at(locus).is_held() {
                continue;
            }
            let mut not_seen = |why: String| {
                unseen.push(NotSeen { fact: format!("{knob} on {target}: {}", words(locus)), why });
            };
            let state = match self.writer.state(sys, locus) {
                Reading::Value(state) => state,
                Reading::Denied(why) => {
                    not_seen(format!("denied: {why}"));
                    continue;
                }
                Reading::Garbled(why) => {
                    not_seen(format!("garbled: {why}"));
                    continue;
                }
                Reading::Absent(_) | Reading::Unsupported(_) => continue,
            };
            if let Some(why) = at(locus).refused_at_first(sys, &state) {
                not_seen(format!("what it holds could not be restored: {why}"));
                continue;
            }
            // As for what a link reset may disturb: the write that is announced is the state itself.
            let op = Op { locus: locus.clone(), set: state.clone() };
            let seq = self.intent(sys, knob, target, &op, &state, &[])?;
            self.log.push(&JournalEntry::Done { seq, read_back: state, beside: Vec::new() })?;
            handle.seqs.push(seq);
        }
        if !handle.seqs.is_empty() {
            self.write_script();
        }
        Ok((handle, unseen))
    }

    /// Whether this place is watched.
    pub fn watches(&self, watched: &StepHandle, locus: &Locus) -> bool {
        let mine = |s: &StandingWrite| watched.seqs.contains(&s.seq) && s.op.locus == *locus;
        self.log.ledger.standing.iter().any(mine)
    }

    /// How many places are watched.
    pub fn noted(&self, watched: &StepHandle) -> usize {
        watched.seqs.len()
    }

    /// What is no longer as it was when the watch began, in the order of the places. Of a place that is a part of another one
    /// that has changed, the other one is named alone.
    pub fn changed_since(&self, sys: &dyn Sys, watched: &StepHandle) -> Vec<SeenChange> {
        let change = |s: &StandingWrite| {
            let now = self.writer.state(sys, &s.op.locus);
            let as_before = now.value().is_some_and(|now| same(&s.op.locus, now, &s.prior));
            (!as_before).then(|| SeenChange {
                place: WatchedPlace { knob: s.knob.clone(), target: s.target.clone(), locus: s.op.locus.clone() },
                before: s.prior.clone(),
                now,
            })
        };
        let mine = self.log.ledger.standing.iter().rev().filter(|s| watched.seqs.contains(&s.seq));
        let all: Vec<SeenChange> = mine.filter_map(change).collect();
        // Two that may change each other are no part of one another: features of one interface.
        let above = |o: &Locus, c: &Locus| o != c && at(o).may_change(c) && !at(c).may_change(o);
        let is_part = |c: &SeenChange| all.iter().any(|o| above(&o.place.locus, &c.place.locus));
        let parts: Vec<bool> = all.iter().map(is_part).collect();
        all.into_iter().zip(parts).filter(|(_, part)| !part).map(|(change, _)| change).collect()
    }
}
