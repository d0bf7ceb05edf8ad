//! One round while it runs: what both loops, ping-pong and open, do with each answer and each error.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::Quantiles;
use lowlat_peers::{Decoded, FarStamps, Peer};
use lowlat_transport::{Engine, EngineError, Got, Ns, TxStamp};

use crate::gaps::Watch;
use crate::probe::{Counts, Flags, Probe, SampleSink};
use crate::samples::Samples;
use crate::window::{Class, Memory};
use crate::{MeasureError, Spec};

/// How long a wait may last before the stop flag is looked at again.
pub(crate) const PATIENCE_NS: u64 = 100_000_000;
/// How often progress is reported.
pub(crate) const PROGRESS_NS: u64 = 250_000_000;
/// Failures of the path in a row after which it is called broken.
pub(crate) const FAILURES: u32 = 1_000;
/// How long the last stamps are waited for: a driver may give them from a work queue.
pub(crate) const STAMPS_COME_NS: u64 = 5_000_000;
/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Since its start, ns.
    pub elapsed_ns: u64,
    /// Counts so far.
    pub counts: Counts,
    /// Round trips so far.
    pub rtt: Quantiles,
    /// Probes a second so far.
    pub rate_pps: f64,
}

/// What both loops work with.
pub(crate) struct Round<'a> {
    pub(crate) engine: &'a mut dyn Engine,
    pub(crate) peer: &'a mut dyn Peer,
    pub(crate) spec: &'a Spec,
    pub(crate) log: Option<&'a mut dyn SampleSink>,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) progress: &'a mut dyn FnMut(&Progress),
    pub(crate) message: &'a mut [u8],
    pub(crate) buffer: &'a mut [u8],
    pub(crate) samples: Samples,
    /// Of this round and those before it on the same flow.
    pub(crate) memory: &'a mut Memory,
    pub(crate) start: Ns,
    pub(crate) first_seq: u64,
    pub(crate) failures: u32,
    pub(crate) stamps: Stamps,
    pub(crate) watch: Option<Watch>,
}

/// Transmit stamps as they come.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    drained: Vec<TxStamp>,
}

/// What came, decoded.
pub(crate) struct Answer {
    pub(crate) seq: u64,
    pub(crate) at: Ns,
    pub(crate) residence: u64,
    pub(crate) far: Option<FarStamps>,
    pub(crate) flags: Flags,
    pub(crate) got: Got,
}

impl Round<'_> {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits for the next answer. `Ok(None)` when `until` has passed; foreign messages are counted and waited past.
    #[inline]
    pub(crate) fn next_answer(&mut self, until: Ns) -> Result<Option<Answer>, MeasureError> {
        loop {
            let got = self.engine.recv(self.buffer, until);
            if let ControlFlow::Break(answer) = self.taken(got, until)? {
                return Ok(answer);
            }
        }
    }

    /// What the engine gave while it waited until `until`: an answer, none, or a reason to wait on.
    #[inline]
    pub(crate) fn taken(
        &mut self,
        got: Result<Option<Got>, EngineError>,
        until: Ns,
    ) -> Result<ControlFlow<Option<Answer>>, MeasureError> {
        let got = match got {
            Ok(Some(got)) => got,
            Ok(None) => return Ok(ControlFlow::Break(None)),
            Err(e) => {
                self.failed(e)?;
                return Ok(ControlFlow::Continue(()));
            }
        };
        self.failures = 0;
        match self.peer.decode(&self.buffer[..got.len]) {
            Decoded::Reply { seq, far } => {
                let mut flags = Flags::default();
                if got.kernel_rx.is_some() {
                    flags.set(Flags::RX_SOFTWARE);
                }
                if got.hardware_rx.is_some() {
                    flags.set(Flags::RX_HARDWARE);
                }
                let residence = far.map_or(u64::MAX, |f| f.sent_ns.saturating_sub(f.received_ns));
                Ok(ControlFlow::Break(Some(Answer { seq, at: got.at, residence, far, flags, got })))
            }
            Decoded::Foreign(_) => {
                self.samples.counts.foreign += 1;
                Ok(if got.at >= until { ControlFlow::Break(None) } else { ControlFlow::Continue(()) })
            }
        }
    }

    /// An error of the path in mid-run is counted, not fatal: the far end may be restarting, and that is latency too.
    /// Anything else ends the run.
    pub(crate) fn failed(&mut self, error: EngineError) -> Result<(), MeasureError> {
        let passing = match &error {
            EngineError::Unreachable { .. } => true,
            EngineError::Os { source, .. } => full(source),
            EngineError::Unavailable { .. } => false,
        };
        if !passing {
            return Err(error.into());
        }
        if !matches!(error, EngineError::Os { .. }) {
            self.samples.counts.path_errors += 1;
        }
        self.failures += 1;
        if self.failures >= FAILURES {
            return Err(MeasureError::Broken { times: self.failures, last: error.to_string() });
        }
        Ok(())
    }

    /// Books a settled probe and logs it.
    #[inline]
    pub(crate) fn settle(&mut self, probe: &Probe) -> Result<(), MeasureError> {
        let mut probe = *probe;
        if let Some(watch) = &mut self.watch {
            watch.mark(self.engine, &mut probe);
        }
        let probe = &probe;
        self.samples.book(probe);
        if let Some(log) = self.log.as_deref_mut() {
            log.put(probe).map_err(log_failed)?;
        }
        Ok(())
    }

    /// Between probes: takes the transmit stamps that have come; `next` is the first that was never sent.
    pub(crate) fn collect_stamps(&mut self, next: u64) {
        if !self.spec.stamps {
            return;
        }
        self.engine.tx_stamps(&mut self.stamps.drained);
        let Some(sends) = self.engine.stamper().map(|s| s.sends()) else { return };
        for stamp in self.stamps.drained.drain(..) {
            // Counted back from the newest send, so that a probe that could not be sent shifts none that come after it.
            if let Some(seq) = next.checked_sub(u64::from(sends.wrapping_sub(stamp.id))) {
                self.samples.set_tx(seq, &stamp);
            }
        }
    }

    /// The last stamps come a moment after the last answer.
    pub(crate) fn await_stamps(&mut self, next: u64, now: Ns) -> Result<(), MeasureError> {
        if !self.spec.stamps || self.engine.stamper().is_none() {
            return Ok(());
        }
        let until = now.saturating_add(STAMPS_COME_NS);
        while let Some(answer) = self.next_answer(until)? {
            self.straggler(answer.seq, next)?;
        }
        self.collect_stamps(next);
        Ok(())
    }

    /// Keeps the receive stamps of an answer.
    #[inline]
    pub(crate) fn keep_rx(&mut self, answer: &Answer) {
        if self.spec.stamps || self.spec.far_stamps {
            let (got, far) = (answer.got, answer.far);
            self.samples.set_stamps(answer.seq, |s| {
                s.rx_software = got.kernel_rx.unwrap_or(0);
                s.rx_hardware = got.hardware_rx.unwrap_or(0);
                if let Some(far) = far {
                    s.far_rx = far.kernel_ns.unwrap_or(0);
                    s.far_recv = far.received_ns;
                    s.far_send = far.sent_ns;
                }
            });
        }
    }

    pub(crate) fn tell(&mut self, now: Ns) {
        let (counts, rtt) = self.samples.so_far();
        let elapsed_ns = now.saturating_sub(self.start);
        let all = counts.sent + counts.warmup;
        let rate_pps = if elapsed_ns > 0 { all as f64 * 1e9 / elapsed_ns as f64 } else { 0.0 };
        (self.progress)(&Progress { elapsed_ns, counts, rtt, rate_pps });
    }

    /// An answer to another probe than those on their way; `next` is the first that was never sent.
    pub(crate) fn straggler(&mut self, seq: u64, next: u64) -> Result<(), MeasureError> {
        let class = if seq >= next { Class::Unknown } else { self.memory.answer(seq) };
        match class {
            Class::Unknown => self.samples.counts.foreign += 1,
            // Its round is over and its books are closed; it is reported, and not mixed with this round's.
            _ if seq < self.first_seq => self.samples.counts.stale += 1,
            class => {
                self.samples.book_after(seq, class);
                if let Some(log) = self.log.as_deref_mut() {
                    log.after(seq - self.first_seq, class == Class::Late).map_err(log_failed)?;
                }
            }
        }
        Ok(())
    }
}

fn log_failed(source: std::io::Error) -> MeasureError {
    MeasureError::Io { what: "write the sample log".to_owned(), source }
}

/// A full queue: the probe waits, it is not forgotten.
pub(crate) fn full(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}
