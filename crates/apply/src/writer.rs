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
    /// Starts the process that holds `/dev/cpu_dma_latency` open at `us`. It must not hold before `before` returned
    /// `Ok`: a holder the journal does not know could never be ended.
    fn hold(&mut self, us: &str, before: BeforeHold<'_>) -> Result<(), WriteFailure>;
    /// Ends a holder; one that is already gone, or whose id now belongs to another process, is no failure.
    fn release(&mut self, holder: HolderId) -> Result<(), WriteFailure>;
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
