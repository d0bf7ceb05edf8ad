//! The writing side as the executor sees it, so that tests can stand an in-memory host behind it.

use std::sync::{Arc, Mutex, PoisonError};

use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::Sys;

use crate::ledger::HolderId;

/// Why a write was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteFailure(pub String);

/// What is told before a holder may begin to hold, so that the journal knows of it first.
pub type BeforeHold<'a> = &'a mut dyn FnMut(HolderId) -> std::io::Result<()>;

/// A host that can be written. Only the executor of this crate calls it.
pub trait Writer {
    /// The state at a locus, complete enough to be put back.
    fn state(&self, sys: &dyn Sys, locus: &Locus) -> Reading<State> {
        lowlat_sys::state(sys, locus)
    }
    /// Performs one write.
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure>;
    /// Performs several writes that belong together, coalescing parameters of one interface: in one request, and where
    /// that is refused one after the other, forwards, then backwards. What was written of them on an error is found by
    /// reading back.
    fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteFailure> {
        one_by_one(self, ops)
    }
    /// Starts the process that holds `/dev/cpu_dma_latency` open at `us`. It must not hold before `before` returned
    /// `Ok`: a holder the journal does not know could never be ended.
    fn hold(&mut self, us: &str, before: BeforeHold<'_>) -> Result<(), WriteFailure>;
    /// Ends a holder; one that is already gone, or whose id now belongs to another process, is no failure.
    fn release(&mut self, holder: HolderId) -> Result<(), WriteFailure>;
}

/// Whether two writes go out in one request: coalescing parameters of one interface, which drivers check against each
/// other. i40e takes another delay beside `adaptive-rx 0` and refuses it alone while its moderation is adaptive
/// (`__i40e_set_coalesce`, drivers/net/ethernet/intel/i40e/i40e_ethtool.c, Linux 6.12); delay and frames that are both 0
/// would never interrupt (include/uapi/linux/ethtool.h, `struct ethtool_coalesce`).
pub(crate) fn together(a: &Locus, b: &Locus) -> bool {
    match (a, b) {
        (Locus::Coalesce { iface: a, .. }, Locus::Coalesce { iface: b, .. }) => a == b,
        _ => false,
    }
}

/// The order given, then the opposite one; the first refusal is the one that is told.
pub(crate) fn one_by_one<W: Writer + ?Sized>(writer: &mut W, ops: &[Op]) -> Result<(), WriteFailure> {
    let forwards = ops.iter().try_for_each(|op| writer.write(op));
    forwards.or_else(|first| ops.iter().rev().try_for_each(|op| writer.write(op)).map_err(|_| first))
}

/// A writer that lists what is asked of it and hands it on to another: for tests of what may be written. Clones share one
/// list, so one clone goes into a session and the other tells what it did.
#[derive(Debug, Clone, Default)]
pub struct Recorder<W> {
    inner: W,
    asked: Arc<Mutex<Vec<Op>>>,
}

impl<W> Recorder<W> {
    /// Wraps a writer.
    pub fn new(inner: W) -> Self {
        Self { inner, asked: Arc::default() }
    }

    /// Every write that was asked for, made or refused, in order; a holder's is one at its locus.
    pub fn asked(&self) -> Vec<Op> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, op: Op) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }
}

impl<W: Writer> Writer for Recorder<W> {
    fn state(&self, sys: &dyn Sys, locus: &Locus) -> Reading<State> {
        self.inner.state(sys, locus)
    }

    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        self.note(op.clone());
        self.inner.write(op)
    }

    fn hold(&mut self, us: &str, before: BeforeHold<'_>) -> Result<(), WriteFailure> {
        self.note(Op::text(Locus::CpuDmaLatency, us));
        self.inner.hold(us, before)
    }

    fn release(&mut self, holder: HolderId) -> Result<(), WriteFailure> {
        self.inner.release(holder)
    }
}
