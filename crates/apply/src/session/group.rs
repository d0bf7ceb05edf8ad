//! Settings that go out in one request: coalescing parameters of one interface, which drivers check against each other.

use lowlat_model::journal::Beside;
use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_settings::same;
use lowlat_sys::Sys;

use super::{Session, StepHandle, acted};
use crate::error::StepError;
use crate::writer::{HostWriter, WriteFailure};

/// A write with the knob and the target that it belongs to.
pub(super) type Owned<'a> = (&'a str, &'a Target, &'a Op);

/// A write that is announced in the journal.
struct Open<'a> {
    seq: u64,
    op: &'a Op,
    prior: State,
    /// What the write may change besides; the others of the group have entries of their own.
    beside: Vec<Beside>,
}

impl<W: HostWriter> Session<W> {
    /// As `write`, for several: each is announced with its own prior state, all are written at once, and each is read
    /// back. One that was refused, or had no effect, refuses them all.
    pub(super) fn write_group(
        &mut self,
        sys: &dyn Sys,
        group: &[Owned<'_>],
        handle: &mut StepHandle,
    ) -> Result<(), StepError> {
        // All are looked at before the first is announced: one that may not be written refuses the group untouched.
        let mut looked = Vec::new();
        for owned in group {
            let (_, _, op) = owned;
            let prior = self.prior(sys, &op.locus)?;
            if !same(&op.locus, &prior, &op.set) {
                looked.push((owned, prior, self.beside(sys, op)?));
            }
        }
        let written: Vec<&Locus> = looked.iter().map(|((_, _, op), ..)| &op.locus).collect();
        let mut open = Vec::new();
        for ((knob, target, op), prior, mut beside) in looked {
            beside.retain(|b| !written.contains(&&b.locus));
            let seq = self.intent(sys, knob, target, op, &prior, &beside)?;
            self.script(&op.locus);
            open.push(Open { seq, op, prior, beside });
        }
        let written = self.write_open(sys, &open);
        let now: Vec<Reading<State>> = open.iter().map(|o| self.writer.state(sys, &o.op.locus)).collect();
        let took = |o: &Open<'_>, now: &Reading<State>| now.value().is_some_and(|n| acted(o.op, n, &o.prior));
        if written.is_ok() && open.iter().zip(&now).all(|(o, now)| took(o, now)) {
            for (o, now) in open.iter().zip(now) {
                if let Reading::Value(now) = now {
                    self.done(sys, o.seq, o.op, now, &o.beside, handle)?;
                }
            }
            return Ok(());
        }
        Err(self.refuse_open(sys, &open, &now, written.err().as_ref()))
    }

    /// All at once; then once more what did not come to stand. mlx5 ignores a delay that comes in the message that
    /// switches its adaptive moderation (`mlx5e_ethtool_set_coalesce`, drivers/net/ethernet/mellanox/mlx5/core/
    /// en_ethtool.c, Linux 6.12: `reset_rx` puts the driver's own delay there).
    fn write_open(&mut self, sys: &dyn Sys, open: &[Open<'_>]) -> Result<(), WriteFailure> {
        let ops: Vec<Op> = open.iter().map(|o| o.op.clone()).collect();
        self.writer.write_together(&ops)?;
        let stands =
            |op: &Op| self.writer.state(sys, &op.locus).value().is_some_and(|now| same(&op.locus, now, &op.set));
        let missed: Vec<Op> = ops.iter().filter(|op| !stands(op)).cloned().collect();
        if missed.is_empty() { Ok(()) } else { self.writer.write_together(&missed) }
    }

    /// Puts back what was written of a refused group; the reason is that of the first that did not take.
    fn refuse_open(
        &mut self,
        sys: &dyn Sys,
        open: &[Open<'_>],
        now: &[Reading<State>],
        error: Option<&WriteFailure>,
    ) -> StepError {
        let took = |o: &Open<'_>, now: &Reading<State>| now.value().is_some_and(|n| !same(&o.op.locus, n, &o.prior));
        let written = open.iter().zip(now).rev().filter(|(o, now)| took(o, now));
        let back: Vec<Op> = written.map(|(o, _)| Op { locus: o.op.locus.clone(), set: o.prior.clone() }).collect();
        if !back.is_empty() {
            // Refused or not: each is looked at below, and put back alone where it has to be.
            let _ = self.writer.write_together(&back);
        }
        let grave = |e: &StepError| matches!(e, StepError::Fatal { .. } | StepError::Apply(_));
        let mut reported: Option<StepError> = None;
        for (o, then) in open.iter().zip(now).rev() {
            let took = took(o, then);
            let why = error.map(|e| e.0.as_str()).or(took.then_some("refused with the others"));
            let here = self.writer.state(sys, &o.op.locus);
            let refused = self.refused(sys, o.seq, o.op, &o.prior, why, &here);
            if reported.as_ref().is_none_or(|t| grave(&refused) || (!took && !grave(t))) {
                reported = Some(refused);
            }
        }
        reported.unwrap_or_else(|| StepError::Refused { why: "nothing was to be written".to_owned() })
    }
}
