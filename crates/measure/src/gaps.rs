//! Interruptions of the host while a probe is on its way.
//!
//! An engine that spins sees them itself: its clock jumps ([`lowlat_transport::gaps`]). One that sleeps cannot; there
//! the scheduler counts how long this thread was ready and not run (`/proc/thread-self/schedstat`, second number;
//! Documentation/scheduler/sched-stats.rst), which is asked between probes: after each that took long, and else seldom,
//! because what the kernel runs to answer it slows the next probe down.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use lowlat_model::{GapMarks, Quantiles};
use lowlat_transport::gaps::THRESHOLD_NS;
use lowlat_transport::{Engine, Ns};

use crate::probe::{Flags, Probe};

/// Asking takes 0.7 µs and leaves the caches to another part of the kernel. So it is done when so long has passed, ns;
/// in a ping-pong also at once after a probe that took [`THRESHOLD_NS`] longer than the quickest, as one that was
/// interrupted for as long does. (Asked after each, the quickest twentieth of blocking TCP round trips on veth took
/// 4.68 to 4.81 µs instead of 4.62 to 4.68, Linux 6.18.)
const EVERY_NS: u64 = 50_000;

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
    asking: Asking,
}

/// When a sleeping thread asks the scheduler, and what of its answer is an interruption.
#[derive(Debug)]
struct Asking {
    open_loop: bool,
    /// When it last did.
    last: Ns,
    /// Probes settled since then.
    since: u64,
    /// The quickest answer so far.
    least_rtt: u64,
    /// What one probe waits for its CPU where nothing interrupts it: an end on the same CPU has it wait each time.
    usual_ns: u64,
}

impl Asking {
    fn new(open_loop: bool) -> Self {
        Self { open_loop, last: 0, since: 0, least_rtt: u64::MAX, usual_ns: 0 }
    }

    /// Whether to ask after a probe that took `rtt` and ended at `now`.
    #[inline]
    fn is_due(&mut self, rtt: u64, now: Ns) -> bool {
        let long = !self.open_loop && rtt >= self.least_rtt.saturating_add(THRESHOLD_NS);
        self.least_rtt = self.least_rtt.min(rtt);
        let due = long || now >= self.last.saturating_add(EVERY_NS);
        self.since += u64::from(!due);
        due
    }

    /// The thread waited `grown` since it last asked: the interruption in it, ns, if there is one, and when it began at
    /// the earliest.
    fn answered(&mut self, grown: u64, now: Ns) -> Option<(u64, Ns)> {
        let waited = grown.saturating_sub(self.usual_ns * self.since);
        let began = std::mem::replace(&mut self.last, now);
        let probes = std::mem::take(&mut self.since) + 1;
        if waited >= THRESHOLD_NS {
            return Some((waited, began));
        }
        // Where several are on their way at once, their number says nothing about one.
        if !self.open_loop {
            self.usual_ns = grown / probes;
        }
        None
    }
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
        Some(Self { eye, list, seen: 0, longest_ns: 0, before, asking: Asking::new(open_loop) })
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
                if self.asking.is_due(probe.rtt(), now)
                    && let Some((waited, began)) = self.asking.answered(delay.grown(), now)
                {
                    self.seen += 1;
                    self.longest_ns = self.longest_ns.max(waited);
                    self.list.push((began, now));
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
pub(crate) fn figures<'a>(marks: &GapMarks, included: impl Iterator<Item = &'a Probe>) -> GapMarks {
    if marks.threshold_ns.is_none() {
        return marks.clone();
    }
    let (mut marked, mut without) = (0, Vec::new());
    for p in included.filter(|p| !p.flags.has(Flags::UNSENT)) {
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

    /// Probes of `rtt` ns one after another, of which each waits `usual` for its CPU, and at `at` one that takes and
    /// waits `longer`: how often the scheduler was asked, and what it took for interruptions.
    fn asked(open_loop: bool, rtt: u64, usual: u64, at: u64, longer: (u64, u64)) -> (u64, Vec<u64>) {
        let (mut asking, mut now, mut waited) = (Asking::new(open_loop), 1_000_000, 0);
        let (mut asked, mut found) = (0, Vec::new());
        for i in 0..1_000 {
            let more = if i == at { longer } else { (0, 0) };
            now += rtt + more.0;
            waited += usual + more.1;
            if asking.is_due(rtt + more.0, now) {
                asked += 1;
                found.extend(asking.answered(std::mem::take(&mut waited), now).map(|gap| gap.0));
            }
        }
        (asked, found)
    }

    #[test]
    fn the_scheduler_is_asked_seldom_and_at_once_after_a_long_probe() {
        // 1000 probes of 5 µs take 5 ms, in which it is asked every 50 µs, and once more for the long one.
        assert_eq!(asked(false, 5_000, 0, 503, (40_000, 40_000)), (101, vec![40_000]));
        // Waits that are the path's own are none, however many are reported at once.
        assert_eq!(asked(false, 5_000, 2_500, 503, (0, 0)), (100, vec![]));
        assert_eq!(asked(false, 5_000, 2_500, 503, (40_000, 40_000)).1, [42_500]);
        // A long answer of the far end is none of this host's.
        assert_eq!(asked(false, 5_000, 2_500, 503, (40_000, 0)).1, [0; 0]);
        // Slower than the threshold: each probe's interruption is seen on its own.
        assert_eq!(asked(false, 60_000, 0, 503, (0, 12_000)), (1_000, vec![12_000]));
        assert_eq!(asked(true, 5_000, 0, 503, (0, 12_000)), (100, vec![12_000]));
    }

    #[test]
    fn what_a_thread_waited_for_its_cpu_is_the_schedulers_own_sum() {
        // Documentation/scheduler/sched-stats.rst: time on the CPU, time waited for it, time slices.
        let sum = || {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            text.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = sum();
        let mut delay = RunDelay::open().unwrap();
        let (at_open, between) = (delay.waited, sum());
        assert!(before <= at_open && at_open <= between, "{before} {at_open} {between}");
        let grown = delay.grown();
        assert_eq!(at_open + grown, delay.waited, "what came since the last call");
        let after = sum();
        assert!(between <= delay.waited && delay.waited <= after, "{between} {} {after}", delay.waited);
    }
}
