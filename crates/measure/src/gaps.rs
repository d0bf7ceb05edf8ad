//! Interruptions of the host while a probe is on its way.
//!
//! An engine that spins sees them itself: its clock jumps ([`lowlat_transport::gaps`]). One that sleeps cannot; there the
//! scheduler tells how long this thread was ready and not run (`/proc/thread-self/schedstat`, second number;
//! Documentation/scheduler/sched-stats.rst), which is asked between probes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use lowlat_model::{GapMarks, Quantiles};
use lowlat_transport::gaps::THRESHOLD_NS;
use lowlat_transport::{Engine, Ns};

use crate::probe::{Flags, Probe};

/// Asking takes 0.7 µs, which a ping-pong spends between two probes and an open loop may not have: there it is asked at
/// most so often, and what it tells marks every probe since.
const OPEN_LOOP_NS: u64 = 50_000;

/// Interruptions kept before those that are over are let go.
const LIST_MAX: usize = 4_096;

/// What sees them.
#[derive(Debug)]
enum Eye {
    Spinning,
    Sleeping(RunDelay),
    Blind(String),
}

/// The watch of one round.
#[derive(Debug)]
pub(crate) struct Watch {
    eye: Eye,
    /// Begin and end of those not yet older than every open probe.
    list: Vec<(Ns, Ns)>,
    seen: u64,
    longest_ns: u64,
    /// Seen by the engine before this round.
    before: u64,
    /// When the scheduler was last asked, and how often it is at most.
    asked: Ns,
    every_ns: u64,
}

/// How long this thread waited for its CPU so far.
#[derive(Debug)]
struct RunDelay {
    file: File,
    waited: u64,
}

impl RunDelay {
    fn open() -> std::io::Result<Self> {
        // The file is this thread's for good: "thread-self" is resolved when it is opened.
        let mut delay = Self { file: File::open("/proc/thread-self/schedstat")?, waited: 0 };
        delay.grown();
        Ok(delay)
    }

    /// Growth since the last call.
    fn grown(&mut self) -> u64 {
        let mut text = [0u8; 64];
        let len = self.file.read_at(&mut text, 0).unwrap_or(0);
        let waited = text[..len].split(|b| *b == b' ').nth(1).and_then(|w| std::str::from_utf8(w).ok()?.parse().ok());
        let waited = waited.unwrap_or(self.waited);
        let grown = waited.saturating_sub(self.waited);
        self.waited = waited;
        grown
    }
}

impl Watch {
    /// `wanted` is false in rounds whose samples go into a comparison.
    pub(crate) fn new(engine: &mut dyn Engine, wanted: bool, open_loop: bool) -> Option<Self> {
        if !wanted {
            return None;
        }
        let mut list = Vec::new();
        let (eye, before) = match engine.gaps() {
            Some(gaps) => {
                gaps.take(&mut list);
                gaps.longest_ns = 0;
                (Eye::Spinning, gaps.seen)
            }
            None => match RunDelay::open() {
                Ok(delay) => (Eye::Sleeping(delay), 0),
                Err(e) => (Eye::Blind(format!("/proc/thread-self/schedstat: {e}")), 0),
            },
        };
        list.clear();
        let every_ns = if open_loop { OPEN_LOOP_NS } else { 0 };
        Some(Self { eye, list, seen: 0, longest_ns: 0, before, asked: 0, every_ns })
    }

    /// Marks a settled probe.
    #[inline]
    pub(crate) fn mark(&mut self, engine: &mut dyn Engine, probe: &mut Probe) {
        match &mut self.eye {
            Eye::Spinning => {
                if let Some(gaps) = engine.gaps()
                    && !gaps.is_empty()
                {
                    gaps.take(&mut self.list);
                }
            }
            Eye::Sleeping(delay) => {
                let now = if probe.answered() { probe.received } else { probe.sent };
                if now >= self.asked.saturating_add(self.every_ns) {
                    let waited = delay.grown();
                    if waited >= THRESHOLD_NS {
                        self.seen += 1;
                        self.longest_ns = self.longest_ns.max(waited);
                        self.list.push((self.asked, now));
                    }
                    self.asked = now;
                }
            }
            Eye::Blind(_) => return,
        }
        let begin = probe.planned.min(probe.sent);
        let end = if probe.answered() { probe.received } else { probe.sent };
        // Probes are settled in the order of their plan: what ended before this one's is of no more use.
        if self.list.len() >= LIST_MAX {
            let old = self.list.partition_point(|g| g.1 < begin);
            self.list.drain(..old);
        }
        if self.list.iter().rev().take_while(|g| g.1 >= begin).any(|g| g.0 <= end) {
            probe.flags.set(Flags::GAP);
        }
    }

    /// The document's part, without the figures.
    pub(crate) fn finish(self, engine: &mut dyn Engine) -> GapMarks {
        let (how, seen, longest) = match self.eye {
            Eye::Spinning => {
                let (seen, longest) = engine.gaps().map_or((0, 0), |g| (g.seen - self.before, g.longest_ns));
                ("jumps of the clock while spinning for the answer".to_owned(), seen, longest)
            }
            Eye::Sleeping(_) => (
                "time this thread was ready and not run, between two probes (schedstat)".to_owned(),
                self.seen,
                self.longest_ns,
            ),
            Eye::Blind(why) => return GapMarks { how: format!("not seen: {why}"), ..GapMarks::default() },
        };
        GapMarks {
            how,
            threshold_ns: Some(THRESHOLD_NS),
            seen: Some(seen),
            longest_ns: (seen > 0).then_some(longest),
            marked: None,
            rtt_without: None,
        }
    }
}

/// With the figures of the probes that the run's own figures are made of, so that the two compare.
pub(crate) fn figures<'a>(marks: &GapMarks, figured: impl Iterator<Item = &'a Probe>) -> GapMarks {
    if marks.threshold_ns.is_none() {
        return marks.clone();
    }
    let (mut marked, mut without) = (0, Vec::new());
    for p in figured.filter(|p| !p.flags.has(Flags::UNSENT)) {
        if p.flags.has(Flags::GAP) {
            marked += 1;
        } else {
            without.push(p.rtt());
        }
    }
    GapMarks { marked: Some(marked), rtt_without: Some(Quantiles::of(&mut without)), ..marks.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_yields_its_cpu_is_told_how_long_it_waited() {
        let mut delay = RunDelay::open().unwrap();
        assert!(delay.waited > 0 || delay.grown() == 0);
        assert_eq!(delay.grown() / 1_000_000_000, 0, "within a second");
    }
}
