//! Open loop: probes leave by the clock, on one thread that receives in between.
//!
//! One thread, because a second core's cache would have to hand every sample over, and because on the hosts that matter
//! each spinning core is one less for the work. Between two sends the engine waits (spinning or not, as it does), and
//! hands answers over as they come.

use lowlat_transport::{EngineError, Ns};

use crate::samples::{Flags, Probe};
use crate::schedule::Schedule;
use crate::session::{PATIENCE_NS, PROGRESS_NS, Run, full};
use crate::window::{Class, Window};
use crate::{MeasureError, Pattern};

/// A pause at least so long before the next send is used for progress and stamps.
const SLACK_NS: u64 = 100_000;
/// A full queue is tried again after so long.
const RETRY_NS: u64 = 10_000;

/// Returns the next free sequence number.
pub(crate) fn run(run: &mut Run<'_>, rate_pps: f64, pattern: Pattern) -> Result<u64, MeasureError> {
    let spec = run.spec;
    let start = run.start;
    let mut schedule = Schedule::new(start, rate_pps, pattern, spec.seed);
    let mut window = Window::new(run.first_seq, rate_pps, spec.timeout_ns);
    let mut now = start;
    let mut seq = run.first_seq;
    let mut told = start;
    let mut measured = 0u64;
    let mut measuring_since: Option<Ns> = None;
    let mut squeezed = 0u64;
    let mut planned = schedule.next().unwrap_or(start);
    let mut retry_at: Option<Ns> = None;
    let mut sending = true;
    let latest = start.saturating_add(spec.planned_length_ns()).saturating_add(spec.timeout_ns);
    loop {
        if run.stopped() {
            run.samples.interrupted = true;
            // What is on its way is neither answered nor lost: it is no sample, and is not booked.
            while let Some((_, probe)) = window.pop(now, false) {
                run.settle(&probe)?;
            }
            break;
        }
        let warmup = spec.is_warmup(run.index(seq), planned, start);
        if sending && !warmup {
            let since = *measuring_since.get_or_insert(planned);
            if spec.count.is_some_and(|c| measured >= c)
                || spec.duration_ns.is_some_and(|d| planned.saturating_sub(since) >= d)
            {
                sending = false;
            }
        }
        if sending && now >= planned && retry_at.is_none_or(|at| now >= at) {
            // The run should have been over for a whole timeout: the rate is above what is borne. What is still planned
            // stays in the books as never sent. (Before that a stall, however long, only makes probes leave late.)
            let hopeless = now > latest;
            let mut probe = Probe { planned, sent: planned, ..Probe::default() };
            if warmup {
                probe.flags.set(Flags::WARMUP);
            }
            let sent = if hopeless {
                None
            } else {
                run.peer.encode(seq, planned, run.message);
                match run.engine.send(run.message) {
                    Ok(sent) => Some(sent),
                    Err(e) => {
                        let is_full = matches!(&e, EngineError::Os { source, .. } if full(source));
                        if is_full {
                            retry_at = Some(now.saturating_add(RETRY_NS));
                            run.failures = 0; // bounded by the timeout, not by a count
                        } else {
                            run.failed(e)?;
                        }
                        if is_full { None } else { Some(now) }
                    }
                }
            };
            if sent.is_some() || hopeless {
                retry_at = None;
                match sent {
                    Some(at) => {
                        probe.sent = at;
                        now = now.max(at);
                    }
                    None => probe.flags.set(Flags::UNSENT),
                }
                if window.is_full()
                    && let Some((_, oldest)) = window.pop(now, true)
                {
                    squeezed += u64::from(!oldest.answered());
                    run.settle(&oldest)?;
                }
                window.push(probe);
                seq += 1;
                measured += u64::from(!warmup);
                planned = schedule.next().unwrap_or(Ns::MAX);
            }
        }
        // Until the next thing to do; at once when the plan is behind, so that answers are taken even then.
        let mut until = now.saturating_add(PATIENCE_NS);
        if sending {
            until = until.min(retry_at.unwrap_or(planned).max(now));
        } else {
            match window.deadline() {
                Some(deadline) => until = until.min(deadline.saturating_add(1)),
                None => break,
            }
        }
        match run.next_answer(until)? {
            Some(answer) => {
                now = now.max(answer.at);
                match window.answer(answer.seq, answer.at, answer.residence, answer.flags) {
                    Class::First => run.keep_rx(&answer),
                    Class::Unknown => run.samples.counts.foreign += 1,
                    class => {
                        // The window keeps it with its probe; what has left the window is booked here.
                        if window.has_left(answer.seq) {
                            run.samples.book_after(answer.seq, class);
                        }
                    }
                }
            }
            None => now = now.max(until),
        }
        while let Some((_, probe)) = window.pop(now, false) {
            run.settle(&probe)?;
        }
        let slack = if sending { planned.saturating_sub(now) } else { u64::MAX };
        if slack >= SLACK_NS {
            run.collect_stamps();
        }
        let overdue = now.saturating_sub(told);
        if overdue >= PROGRESS_NS && (slack >= SLACK_NS || overdue >= 4 * PROGRESS_NS) {
            told = now;
            run.collect_stamps();
            run.tell(now);
        }
        if !sending && window.is_empty() {
            break;
        }
    }
    if squeezed > 0 {
        run.samples.warnings.push(format!(
            "{squeezed} probes were given up before the timeout: more were on their way than the window holds"
        ));
    }
    Ok(seq)
}
