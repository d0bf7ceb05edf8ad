//! Closed loop: one probe on its way at a time.

use std::ops::ControlFlow;

use lowlat_transport::{EngineError, Exchange, Ns};

use crate::MeasureError;
use crate::probe::{Flags, Probe};
use crate::round::{PATIENCE_NS, PROGRESS_NS, Round, full};

/// A full queue is tried again after so long.
const RETRY_NS: u64 = 20_000;

/// Where the loop is.
struct PingPong<'r, 'a> {
    round: &'r mut Round<'a>,
    /// The latest time known: what send, receive or a wait last reported.
    now: Ns,
    seq: u64,
}

/// How an exchange ended.
enum End {
    /// Answered, lost, late or never sent: it is in the probe.
    Settled,
    /// Stopped while it was on its way: neither answered nor lost, so no sample.
    Stopped,
}

/// Returns the next free sequence number.
pub(crate) fn run(round: &mut Round<'_>, interval_ns: Option<u64>) -> Result<u64, MeasureError> {
    let (spec, start, first) = (round.spec, round.start, round.first_seq);
    let mut reported = start;
    let mut measured = 0u64;
    let mut measuring_since: Option<Ns> = None;
    let mut this = PingPong { round, now: start, seq: first };
    loop {
        let index = this.seq - first;
        let planned = interval_ns.map_or(this.now, |gap| start.saturating_add(index.saturating_mul(gap)));
        let warmup = spec.is_warmup(index, planned, start);
        if !warmup {
            let since = *measuring_since.get_or_insert(planned);
            let enough = spec.count.is_some_and(|c| measured >= c);
            if enough || spec.duration_ns.is_some_and(|d| planned.saturating_sub(since) >= d) {
                return Ok(this.seq);
            }
        }
        this.wait_for(planned)?;
        if this.round.stopped() {
            this.round.samples.interrupted = true;
            return Ok(this.seq);
        }
        let mut probe = Probe { planned, ..Probe::default() };
        if warmup {
            probe.flags.set(Flags::WARMUP);
        }
        if let End::Stopped = this.exchange(&mut probe)? {
            this.round.samples.interrupted = true;
            return Ok(this.seq + 1);
        }
        if interval_ns.is_none() {
            probe.planned = probe.sent;
        }
        this.round.memory.close(this.seq, probe.answered() || probe.flags.has(Flags::LATE));
        this.round.settle(&probe)?;
        this.round.collect_stamps(this.seq + 1);
        measured += u64::from(!warmup);
        this.seq += 1;
        if this.now.saturating_sub(reported) >= PROGRESS_NS {
            reported = this.now;
            this.round.tell(this.now);
        }
    }
}

impl PingPong<'_, '_> {
    /// Waits in the engine, which takes stragglers meanwhile; less long when stopped.
    fn wait_for(&mut self, planned: Ns) -> Result<(), MeasureError> {
        while self.now < planned && !self.round.stopped() {
            let until = planned.min(self.now.saturating_add(PATIENCE_NS));
            if let Some(answer) = self.round.next_answer(until)? {
                self.now = self.now.max(answer.at);
                self.round.straggler(answer.seq, self.seq)?;
            } else {
                self.now = until;
            }
        }
        Ok(())
    }

    /// Sends the probe and waits for its answer.
    #[inline]
    fn exchange(&mut self, probe: &mut Probe) -> Result<End, MeasureError> {
        self.round.peer.encode(self.seq, probe.planned, self.round.message);
        let timeout = self.round.spec.timeout_ns;
        let patience = timeout.min(PATIENCE_NS);
        let Some(Exchange { sent, got }) = self.send(patience)? else {
            probe.sent = self.now;
            probe.flags.set(Flags::UNSENT);
            return Ok(End::Settled);
        };
        probe.sent = sent;
        self.now = self.now.max(sent);
        let deadline = sent.saturating_add(timeout);
        let mut until = sent.saturating_add(patience);
        let mut taken = self.round.taken(got, until)?;
        loop {
            let answer = match taken {
                ControlFlow::Break(answer) => answer,
                ControlFlow::Continue(()) => self.round.next_answer(until)?,
            };
            if let Some(answer) = answer {
                self.now = self.now.max(answer.at);
                if answer.seq != self.seq {
                    self.round.straggler(answer.seq, self.seq)?;
                } else if answer.at <= deadline {
                    probe.received = answer.at;
                    probe.residence = answer.residence;
                    probe.flags.set(answer.flags);
                    self.round.keep_rx(&answer);
                    break;
                } else {
                    probe.flags.set(Flags::LATE);
                    break;
                }
            } else {
                self.now = until;
                if until < deadline && self.round.stopped() {
                    return Ok(End::Stopped);
                }
            }
            if self.now >= deadline {
                break;
            }
            until = deadline.min(self.now.saturating_add(PATIENCE_NS));
            taken = ControlFlow::Continue(());
        }
        Ok(End::Settled)
    }

    /// Hands the probe on, waiting out a full queue until the timeout, and waits for its answer a first time, at most
    /// `patience` ns. `None` when the queue stayed full.
    #[inline]
    fn send(&mut self, patience: u64) -> Result<Option<Exchange>, MeasureError> {
        let deadline = self.now.saturating_add(self.round.spec.timeout_ns);
        loop {
            let round = &mut *self.round;
            let error = match round.engine.exchange(round.message, round.buffer, patience) {
                Ok(exchange) => return Ok(Some(exchange)),
                Err(error) => error,
            };
            let is_full = matches!(&error, EngineError::Os { source, .. } if full(source));
            self.round.failed(error)?;
            if !is_full {
                // The path refuses: the probe left and found no way.
                let sent = self.now;
                let got = self.round.engine.recv(self.round.buffer, sent.saturating_add(patience));
                return Ok(Some(Exchange { sent, got }));
            }
            let until = self.now.saturating_add(RETRY_NS);
            if until >= deadline || self.round.stopped() {
                self.now = until;
                return Ok(None);
            }
            // Waiting in the engine lets the queue drain; what comes now answers an older probe.
            self.wait_for(until)?;
        }
    }
}
