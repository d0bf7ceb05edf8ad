//! How often, and for how long, a spinning thread is interrupted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::noise::Gap;
use lowlat_sys::Sys;
use lowlat_transport::clock;

use super::sources::Sources;
use super::{Interruptions, NoiseSpec};

/// Longest interruptions kept with their times and causes.
const KEPT: usize = 32;
/// The counters are read again at least so often, so that a cause is looked for in the last moments only.
const FRESH_NS: u64 = 2_000_000;
/// Share of the time that reading counters may take: a twentieth. On a host with hundreds of CPUs and lines one read
/// takes milliseconds.
const SHARE: u64 = 20;

/// Spins on this thread, which is pinned to `cpu`. Reading the counters takes time that is not watched and not counted
/// as stolen.
pub(super) fn watch(
    sys: &dyn Sys,
    cpu: u32,
    spec: &NoiseSpec,
    stop: &AtomicBool,
    unread: &mut BTreeMap<String, String>,
) -> Interruptions {
    let mut seen = Interruptions::default();
    let begin = clock::now();
    let end = begin.saturating_add(spec.duration_ns);
    let mut sources = Sources::read(sys, cpu, unread);
    let mut fresh_for = FRESH_NS.max((clock::now() - begin) * SHARE);
    let mut last = clock::now();
    let mut read_at = last;
    while last < end && !stop.load(Ordering::Relaxed) {
        let now = clock::now();
        let jump = now - last;
        seen.watched_ns += jump;
        if jump >= spec.gap_threshold_ns {
            seen.lengths.record(jump);
            seen.stolen_ns += jump;
            let kept = seen.longest.len() < KEPT || seen.longest.last().is_some_and(|g| g.length_ns < jump);
            // Telling a cause costs a read; only those that are kept are worth it, and not more often than its share.
            if kept {
                let cause = (now - read_at >= fresh_for / SHARE).then(|| {
                    let grown = Sources::read(sys, cpu, unread);
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
            sources = Sources::read(sys, cpu, unread);
            read_at = clock::now();
            fresh_for = FRESH_NS.max((read_at - now) * SHARE);
            last = read_at;
            continue;
        }
        last = now;
    }
    seen
}
