//! Open loop: probes leave by the clock, on one thread that receives in between.
//!
//! One thread, because a second core's cache would have to hand every sample over, and because on the hosts that matter
//! each spinning core is one less for the work. Between two sends the engine waits (spinning or not, as it does), and
//! hands answers over as they come.

use lowlat_transport::{EngineError, Ns};

use crate::probe::{Flags, Probe};
use crate::round::{PATIENCE_NS, PROGRESS_NS, Round, full};
use crate::schedule::Schedule;
use crate::window::{Class, Window};
use crate::{MeasureError, Pattern};

/// A pause at least so long before the next send is used for progress and stamps.
const SLACK_NS: u64 = 100_000;
/// A full queue is tried again after so long.
const RETRY_NS: u64 = 10_000;

/// Where the loop is.
struct OpenLoop<'r, 'a> {
    round: &'r mut Round<'a>,
    schedule: Schedule,
    window: Window,
    /// The latest time known: what send, receive or a wait last reported.
    now: Ns,
    seq: u64,
    /// When the next probe is to leave.
    planned: Ns,
    /// The queue was full: not before this time again.
    retry_at: Option<Ns>,
    /// The run should be over, and a whole timeout more: what has not left by then never will.
    latest: Ns,
    sending: bool,
    /// Sending ended before the plan did.
    abandoned: bool,
    measured: u64,
    measuring_since: Option<Ns>,
    /// Given up before their timeout, because the window was full.
    squeezed: u64,
    reported: Ns,
}

/// Returns the next free sequence number.
pub(crate) fn run(round: &mut Round<'_>, rate_pps: f64, pattern: Pattern) -> Result<u64, MeasureError> {
    let (spec, start, first) = (round.spec, round.start, round.first_seq);
    let mut schedule = Schedule::new(start, (rate_pps, pattern), spec.shaped(), spec.seed);
    let planned = schedule.next().unwrap_or(start);
    let mut this = OpenLoop {
        round,
        schedule,
        window: Window::new(first, spec.densest_pps(rate_pps), spec.timeout_ns),
        now: start,
        seq: first,
        planned,
        retry_at: None,
        latest: start.saturating_add(spec.planned_length_ns()).saturating_add(spec.timeout_ns),
        sending: true,
        abandoned: false,
        measured: 0,
        measuring_since: None,
        squeezed: 0,
        reported: start,
    };
    while this.step()? {}
    if this.abandoned {
        this.book_unsent()?;
    }
    if this.squeezed > 0 {
        let squeezed = this.squeezed;
        this.round.samples.warnings.push(format!(
            "{squeezed} probes were given up before the timeout: more were on their way than the window holds"
        ));
    }
    Ok(this.seq)
}

impl OpenLoop<'_, '_> {
    /// One send at most, one receive at most; `false` when the run is over.
    fn step(&mut self) -> Result<bool, MeasureError> {
        if self.round.stopped() {
            self.round.samples.interrupted = true;
            // What is on its way is neither answered nor lost: it is not a sample, and is not booked.
            self.settle()?;
            return Ok(false);
        }
        if self.sending {
            self.send_when_due()?;
        }
        // Until the next thing to do; at once when the plan is behind, so that answers are taken even then.
        let mut until = self.now.saturating_add(PATIENCE_NS);
        if self.sending {
            until = until.min(self.retry_at.unwrap_or(self.planned).max(self.now));
        } else if let Some(deadline) = self.window.deadline() {
            until = until.min(deadline.saturating_add(1));
        } else {
            return Ok(false);
        }
        self.receive(until)?;
        self.settle()?;
        self.housekeeping();
        Ok(self.sending || !self.window.is_empty())
    }

    /// Sends the next probe if its time has come, and ends the sending if the run's has.
    fn send_when_due(&mut self) -> Result<(), MeasureError> {
        let Some(probe) = self.next_probe() else {
            self.sending = false;
            return Ok(());
        };
        if self.now < self.planned || self.retry_at.is_some_and(|at| self.now < at) {
            return Ok(());
        }
        // The run should have been over for a whole timeout: the rate is above what is sustained. (Before that a stall,
        // however long, only makes probes leave late.)
        if self.now > self.latest {
            self.sending = false;
            self.abandoned = true;
            return Ok(());
        }
        // Full: the probe keeps its place and its planned time.
        let Some(sent) = self.hand_on()? else { return Ok(()) };
        self.now = self.now.max(sent);
        self.retry_at = None;
        if self.window.is_full()
            && let Some(oldest) = self.window.pop(self.round.memory, self.now, true)
        {
            self.squeezed += u64::from(!oldest.answered());
            self.round.settle(&oldest)?;
        }
        self.window.push(Probe { sent, ..probe });
        self.advance(&probe);
        Ok(())
    }

    /// The next probe of the plan; `None` when it is done.
    fn next_probe(&mut self) -> Option<Probe> {
        let spec = self.round.spec;
        let mut probe = Probe { planned: self.planned, sent: self.planned, ..Probe::default() };
        if spec.is_warmup(self.seq - self.round.first_seq, self.planned, self.round.start) {
            probe.flags.set(Flags::WARMUP);
            return Some(probe);
        }
        let since = *self.measuring_since.get_or_insert(self.planned);
        let enough = spec.count.is_some_and(|c| self.measured >= c);
        (!enough && spec.duration_ns.is_none_or(|d| self.planned.saturating_sub(since) < d)).then_some(probe)
    }

    fn advance(&mut self, probe: &Probe) {
        self.seq += 1;
        self.measured += u64::from(!probe.flags.has(Flags::WARMUP));
        self.planned = self.schedule.next().unwrap_or(Ns::MAX);
    }

    /// Books what was planned and never left.
    fn book_unsent(&mut self) -> Result<(), MeasureError> {
        while let Some(mut probe) = self.next_probe() {
            probe.flags.set(Flags::UNSENT);
            self.round.memory.close(self.seq, false);
            self.round.settle(&probe)?;
            self.advance(&probe);
        }
        Ok(())
    }

    /// Gives the probe to the engine; `None` when the queue is full.
    #[inline]
    fn hand_on(&mut self) -> Result<Option<Ns>, MeasureError> {
        let size = self.round.spec.size_of(self.seq - self.round.first_seq).min(self.round.message.len());
        let message = &mut self.round.message[..size];
        self.round.peer.encode(self.seq, self.planned, message);
        let error = match self.round.engine.send(message) {
            Ok(sent) => return Ok(Some(sent)),
            Err(error) => error,
        };
        if matches!(&error, EngineError::Os { source, .. } if full(source)) {
            self.retry_at = Some(self.now.saturating_add(RETRY_NS));
            return Ok(None);
        }
        // The path refuses: the probe left and found no way.
        self.round.failed(error)?;
        Ok(Some(self.now))
    }

    #[inline]
    fn receive(&mut self, until: Ns) -> Result<(), MeasureError> {
        let Some(answer) = self.round.next_answer(until)? else {
            self.now = self.now.max(until);
            return Ok(());
        };
        self.now = self.now.max(answer.at);
        if self.window.has_left(answer.seq) {
            self.round.straggler(answer.seq, self.seq)?;
            return Ok(());
        }
        match self.window.answer(answer.seq, answer.at, answer.residence, answer.flags) {
            Class::First => self.round.keep_rx(&answer),
            Class::Unknown => self.round.samples.counts.foreign += 1,
            Class::Late | Class::Duplicate => {} // with its probe, until that is settled
        }
        Ok(())
    }

    #[inline]
    fn settle(&mut self) -> Result<(), MeasureError> {
        while let Some(probe) = self.window.pop(self.round.memory, self.now, false) {
            self.round.settle(&probe)?;
        }
        Ok(())
    }

    /// Progress and stamps, when there is time for them before the next send; progress also when it is long overdue.
    #[inline]
    fn housekeeping(&mut self) {
        let slack = if self.sending { self.planned.saturating_sub(self.now) } else { u64::MAX };
        let overdue = self.now.saturating_sub(self.reported);
        if slack >= SLACK_NS || overdue >= 4 * PROGRESS_NS {
            self.round.collect_stamps(self.seq);
            if overdue >= PROGRESS_NS {
                self.reported = self.now;
                self.round.tell(self.now);
            }
        }
    }
}
