//! Closed loop: one probe on its way at a time.

use lowlat_transport::Ns;

use crate::MeasureError;
use crate::samples::{Flags, Probe};
use crate::session::{PATIENCE_NS, PROGRESS_NS, Run, full};
use crate::window::{Class, Memory};

/// Returns the next free sequence number.
pub(crate) fn run(run: &mut Run<'_>, interval_ns: Option<u64>) -> Result<u64, MeasureError> {
    let spec = run.spec;
    let start = run.start;
    let mut memory = Memory::new(0);
    // Answers to the rounds before this one are late or duplicate, never unknown.
    memory.close(run.first_seq.saturating_sub(1), false);
    let mut now = start;
    let mut seq = run.first_seq;
    let mut measured = 0u64;
    let mut measuring_since: Option<Ns> = None;
    let mut told = start;
    loop {
        if run.stopped() {
            run.samples.interrupted = true;
            break;
        }
        let index = run.index(seq);
        let planned = match interval_ns {
            Some(gap) => start.saturating_add(index.saturating_mul(gap)),
            None => now,
        };
        let warmup = spec.is_warmup(index, planned, start);
        if !warmup {
            let since = *measuring_since.get_or_insert(planned);
            if spec.count.is_some_and(|c| measured >= c)
                || spec.duration_ns.is_some_and(|d| planned.saturating_sub(since) >= d)
            {
                break;
            }
        }
        // A long pause is waited out in the engine, which takes stragglers meanwhile.
        while now < planned {
            if run.stopped() {
                break;
            }
            let until = planned.min(now.saturating_add(PATIENCE_NS));
            match run.next_answer(until)? {
                Some(answer) => {
                    now = now.max(answer.at);
                    straggler(run, &mut memory, answer.seq, seq);
                }
                None => now = until,
            }
        }
        if now < planned {
            continue; // stopped while waiting: the head of the loop ends the run
        }
        run.peer.encode(seq, planned, run.message);
        let mut probe = Probe { planned, ..Probe::default() };
        if warmup {
            probe.flags.set(Flags::WARMUP);
        }
        let unplanned = interval_ns.is_none();
        match send(run, now)? {
            Some(sent) => {
                probe.sent = sent;
                if unplanned {
                    probe.planned = sent;
                }
                now = now.max(sent);
                let deadline = sent.saturating_add(spec.timeout_ns);
                while now < deadline {
                    let until = deadline.min(now.saturating_add(PATIENCE_NS));
                    match run.next_answer(until)? {
                        Some(answer) => {
                            now = now.max(answer.at);
                            if answer.seq == seq {
                                if answer.at <= deadline {
                                    probe.received = answer.at;
                                    probe.residence = answer.residence;
                                    probe.flags.set(answer.flags);
                                    run.keep_rx(&answer);
                                } else {
                                    probe.flags.set(Flags::LATE);
                                }
                                break;
                            }
                            straggler(run, &mut memory, answer.seq, seq);
                        }
                        None => {
                            now = until;
                            if run.stopped() {
                                break;
                            }
                        }
                    }
                }
                if !probe.answered() && now < deadline && !probe.flags.has(Flags::LATE) {
                    // Stopped while it was on its way: it is neither answered nor lost, so it is no sample.
                    run.samples.interrupted = true;
                    return Ok(seq + 1);
                }
            }
            None => {
                probe.sent = now.saturating_add(spec.timeout_ns);
                now = probe.sent;
                probe.flags.set(Flags::UNSENT);
            }
        }
        memory.close(seq, probe.answered() || probe.flags.has(Flags::LATE));
        run.settle(&probe)?;
        run.collect_stamps();
        measured += u64::from(!warmup);
        seq += 1;
        if now.saturating_sub(told) >= PROGRESS_NS {
            told = now;
            run.tell(now);
        }
    }
    Ok(seq)
}

/// Sends, waiting out a full queue until the timeout. `None` when it stayed full.
fn send(run: &mut Run<'_>, mut now: Ns) -> Result<Option<Ns>, MeasureError> {
    let deadline = now.saturating_add(run.spec.timeout_ns);
    loop {
        match run.engine.send(run.message) {
            Ok(sent) => return Ok(Some(sent)),
            Err(e) => {
                let is_full = matches!(&e, lowlat_transport::EngineError::Os { source, .. } if full(source));
                run.failed(e)?;
                if !is_full {
                    // The path refuses: the probe left and found no way.
                    return Ok(Some(now));
                }
                now = now.saturating_add(20_000);
                if now >= deadline || run.stopped() {
                    return Ok(None);
                }
                // Waiting in the engine lets the queue drain; nothing is on its way, so nothing is missed.
                let until = now;
                let _ = run.next_answer(until)?;
            }
        }
    }
}

/// An answer to another probe than the current one.
fn straggler(run: &mut Run<'_>, memory: &mut Memory, seq: u64, current: u64) {
    if seq >= current {
        run.samples.counts.foreign += 1;
        return;
    }
    match memory.answer(seq) {
        Class::Unknown => run.samples.counts.foreign += 1,
        class => run.samples.book_after(seq, class),
    }
}
