//! The writing side as the executor sees it, so that tests can stand an in-memory host behind it.

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
