//! The writing side as the executor sees it, so that tests can stand an in-memory host behind it.

use std::sync::{Arc, Mutex, PoisonError};

use lowlat_model::journal::{Beside, Device, NetnsId};
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::Sys;

use crate::device::{self, Whereabouts};
use crate::ledger::HolderId;

/// Why a write was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WriteFailure(pub String);

/// What is reported before a holder may begin to hold, so that the journal knows of it first.
pub type BeforeHold<'a> = &'a mut dyn FnMut(HolderId) -> std::io::Result<()>;

/// A host that can be written. Only the executor of this crate calls it.
pub trait HostWriter {
    /// The state at a locus, complete enough to be put back.
    fn state(&self, sys: &dyn Sys, locus: &Locus) -> Reading<State> {
        lowlat_settings::state(sys, locus)
    }
    /// The other places that a write may change, with the current value; as text, why it may not be made. Asked right
    /// before the write.
    fn beside(&self, sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
        crate::beside::of(sys, op)
    }
    /// Where an interface is now. `same_netns`: it was recorded in this namespace; `home`: in that one, which is
    /// another. Here only the present one is looked at.
    fn find(&self, sys: &dyn Sys, device: &Device, home: Option<NetnsId>, same_netns: bool) -> Whereabouts {
        let _ = home;
        let here = device::find_here(sys, device, same_netns);
        here.map_or_else(|| Whereabouts::Hidden { why: "no other is looked at".to_owned() }, Whereabouts::Here)
    }
    /// The position of a recorded interrupt line of an interface that is called `name`, in the namespace that it is in.
    fn irq(&self, sys: &dyn Sys, device: &Device, name: &str, netns: Option<&str>) -> Option<u32> {
        if netns.is_some() { None } else { device::irq_position(sys, device, name) }
    }
    /// As [`HostWriter::state`], in another network namespace, by what leads to it.
    fn state_in(&self, netns: &str, locus: &Locus) -> Reading<State> {
        let _ = locus;
        Reading::Unsupported(format!("{netns} cannot be entered"))
    }
    /// As [`HostWriter::beside`], in another network namespace.
    fn beside_in(&self, netns: &str, op: &Op) -> Result<Vec<Beside>, String> {
        let _ = op;
        Err(format!("{netns} cannot be entered"))
    }
    /// As [`HostWriter::write`], in another network namespace.
    fn write_in(&mut self, netns: &str, op: &Op) -> Result<(), WriteFailure> {
        let _ = op;
        Err(WriteFailure(format!("{netns} cannot be entered")))
    }
    /// As [`HostWriter::write_together`], in another network namespace.
    fn write_together_in(&mut self, netns: &str, ops: &[Op]) -> Result<(), WriteFailure> {
        let _ = ops;
        Err(WriteFailure(format!("{netns} cannot be entered")))
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
    /// Ends a holder. `true`: its end was seen. `false`: no trace of it is found here, which is not a failure; it may
    /// have ended before, or be where it is not seen.
    fn release(&mut self, holder: &HolderId) -> Result<bool, WriteFailure>;
}

/// The order given, then the opposite one; the first refusal is the one that is reported.
pub(crate) fn one_by_one<W: HostWriter + ?Sized>(writer: &mut W, ops: &[Op]) -> Result<(), WriteFailure> {
    let forwards = ops.iter().try_for_each(|op| writer.write(op));
    forwards.or_else(|first| ops.iter().rev().try_for_each(|op| writer.write(op)).map_err(|_| first))
}

/// A writer that lists what is asked of it and hands it on to another: for tests of what may be written. Clones share
/// one list, so one clone goes into a session and the other reports what it did.
#[derive(Debug, Clone, Default)]
pub struct WriteRecorder<W> {
    inner: W,
    asked: Arc<Mutex<Vec<Op>>>,
}

impl<W> WriteRecorder<W> {
    /// Wraps a writer.
    pub fn new(inner: W) -> Self {
        Self { inner, asked: Arc::default() }
    }

    /// Every write that was asked for, made or refused, in order; a holder's is one at its locus.
    pub fn asked(&self) -> Vec<Op> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_all(&self, ops: &[Op]) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(ops);
    }

    fn note(&self, op: Op) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }
}

impl<W: HostWriter> HostWriter for WriteRecorder<W> {
    fn state(&self, sys: &dyn Sys, locus: &Locus) -> Reading<State> {
        self.inner.state(sys, locus)
    }

    fn beside(&self, sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
        self.inner.beside(sys, op)
    }

    fn find(&self, sys: &dyn Sys, device: &Device, home: Option<NetnsId>, same_netns: bool) -> Whereabouts {
        self.inner.find(sys, device, home, same_netns)
    }

    fn irq(&self, sys: &dyn Sys, device: &Device, name: &str, netns: Option<&str>) -> Option<u32> {
        self.inner.irq(sys, device, name, netns)
    }

    fn state_in(&self, netns: &str, locus: &Locus) -> Reading<State> {
        self.inner.state_in(netns, locus)
    }

    fn beside_in(&self, netns: &str, op: &Op) -> Result<Vec<Beside>, String> {
        self.inner.beside_in(netns, op)
    }

    fn write_in(&mut self, netns: &str, op: &Op) -> Result<(), WriteFailure> {
        self.note(op.clone());
        self.inner.write_in(netns, op)
    }

    fn write_together_in(&mut self, netns: &str, ops: &[Op]) -> Result<(), WriteFailure> {
        self.note_all(ops);
        self.inner.write_together_in(netns, ops)
    }

    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        self.note(op.clone());
        self.inner.write(op)
    }

    fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteFailure> {
        self.note_all(ops);
        self.inner.write_together(ops)
    }

    fn hold(&mut self, us: &str, before: BeforeHold<'_>) -> Result<(), WriteFailure> {
        self.note(Op::text(Locus::CpuDmaLatency, us));
        self.inner.hold(us, before)
    }

    fn release(&mut self, holder: &HolderId) -> Result<bool, WriteFailure> {
        self.inner.release(holder)
    }
}
