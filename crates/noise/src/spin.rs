//! How often, and for how long, a spinning thread is interrupted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::noise::{Gap, Traced};
use lowlat_sys::Sys;
use lowlat_transport::clock;

use crate::progress::Tally;
use crate::smi::Smi;
use crate::sources::Sources;
use crate::trace::Trace;
use crate::{Interruptions, NoiseSpec, events};

/// Longest interruptions kept with their times and causes.
const KEPT: usize = 32;
/// A traced watch is no longer than this: its buffer is for two seconds.
const TRACED_NS: u64 = 2_000_000_000;
/// Interruptions of it that are held while it runs.
const TRACED_GAPS: usize = 1 << 16;
/// The counters are read again at least so often, so that a cause is looked for in the last moments only.
const FRESH_NS: u64 = 2_000_000;
/// Share of the time that reading counters may take: a twentieth. On a host with hundreds of CPUs and lines one read
/// takes milliseconds.
const SHARE: u64 = 20;

/// Spins on this thread, which is pinned to `cpu`. Reading the counters takes time that is not watched and not counted
/// as stolen.
pub(crate) fn watch(
    sys: &dyn Sys,
    cpu: u32,
    spec: &NoiseSpec,
    stop: &AtomicBool,
    tally: &Tally,
    unread: &mut BTreeMap<String, String>,
) -> Interruptions {
    let mut seen = Interruptions::default();
    let smi = match Smi::open(sys, cpu) {
        Ok(smi) => Some(smi),
        Err(why) => {
            unread.entry("firmware's interruptions (SMI)".to_owned()).or_insert(why);
            None
        }
    };
    let smi = smi.as_ref();
    let begin = clock::now();
    let end = begin.saturating_add(spec.duration_ns);
    let mut sources = Sources::read(sys, cpu, smi, unread);
    let first = sources.clone();
    let mut fresh_for = FRESH_NS.max((clock::now() - begin) * SHARE);
    let mut last = clock::now();
    let mut read_at = last;
    while last < end && !stop.load(Ordering::Relaxed) {
        let now = clock::now();
        let jump = now - last;
        seen.watched_ns += jump;
        if jump >= spec.gap_threshold_ns {
            seen.lengths.record(jump);
            tally.saw(jump);
            seen.stolen_ns += jump;
            let kept = seen.longest.len() < KEPT || seen.longest.last().is_some_and(|g| g.length_ns < jump);
            // Telling a cause costs a read; only those that are kept are worth it, and not more often than its share.
            if kept {
                let cause = (now - read_at >= fresh_for / SHARE).then(|| {
                    let grown = Sources::read(sys, cpu, smi, unread);
                    let cause = sources.cause(&grown);
                    sources = grown;
                    read_at = clock::now();
                    fresh_for = FRESH_NS.max((read_at - now) * SHARE);
                    cause
                });
                let gap = Gap { at_ns: last - begin, length_ns: jump, cause: cause.flatten() };
                let place = seen.longest.partition_point(|g| g.length_ns >= jump);
                seen.longest.insert(place, gap);
                seen.longest.truncate(KEPT);
                last = clock::now();
                continue;
            }
        }
        if now - read_at >= fresh_for {
            sources = Sources::read(sys, cpu, smi, unread);
            read_at = clock::now();
            fresh_for = FRESH_NS.max((read_at - now) * SHARE);
            last = read_at;
            continue;
        }
        last = now;
    }
    seen.counted = first.growth(&Sources::read(sys, cpu, smi, unread));
    seen
}

/// Spins once more, with the kernel's trace points on, and names who had the CPU in each interruption.
pub(crate) fn traced(sys: &dyn Sys, cpu: u32, spec: &NoiseSpec, stop: &AtomicBool) -> Result<Traced, String> {
    // The trace names threads by the initial PID namespace's numbers; in another one ours is another thread's.
    let tid = thread_id(sys).ok_or("garbled: /proc/thread-self names no thread")?;
    let trace = Trace::begin(cpu)?;
    let begin = clock::now();
    let end = begin.saturating_add(spec.duration_ns.min(TRACED_NS));
    let mut gaps: Vec<(u64, u64)> = Vec::with_capacity(TRACED_GAPS);
    let mut last = clock::now();
    while last < end && !stop.load(Ordering::Relaxed) {
        let now = clock::now();
        if now - last >= spec.gap_threshold_ns && gaps.len() < TRACED_GAPS {
            gaps.push((last, now));
        }
        last = now;
    }
    let watched_ns = clock::now() - begin;
    let (text, lost_events) = trace.end()?;
    let intervals = events::intervals(&text, tid);
    gaps.sort_by_key(|(from, to)| std::cmp::Reverse(to - from));
    gaps.truncate(KEPT);
    let gap = |(from, to): &(u64, u64)| Gap {
        at_ns: from - begin,
        length_ns: to - from,
        cause: events::cause(&intervals, *from, *to),
    };
    Ok(Traced { watched_ns, lost_events, sources: events::sources(&intervals), gaps: gaps.iter().map(gap).collect() })
}

/// This thread's number: the link reads `PID/task/TID` (proc_thread-self(5)).
fn thread_id(sys: &dyn Sys) -> Option<u32> {
    sys.link_target("/proc/thread-self").into_value()?.rsplit('/').next()?.parse().ok()
}
