//! How far a watch is, for a live line. A thread of its own reports it: the watchers only count, and the reporting thread
//! keeps off the CPU that is spun on, or it would be an interruption itself.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lowlat_measure::placement::{PlacedThread, ThreadPlacement};
use lowlat_transport::clock;

/// Between two reports.
const EVERY: Duration = Duration::from_millis(200);

/// Where a watch is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoiseProgress {
    /// The watch that runs, from 1.
    pub step: u32,
    /// All of them: wake-ups, then interruptions CPU by CPU.
    pub of: u32,
    /// What it watches.
    pub what: String,
    /// The longest so far in this watch, ns.
    pub worst_ns: u64,
    /// Time until the last one is over, ns.
    pub left_ns: u64,
}

/// What one watch has seen so far. Its watchers write it, and the reporting thread reads it.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// One late wake-up or interruption.
    #[inline]
    pub(crate) fn saw(&self, ns: u64) {
        // Only a new longest one writes: the line of the cache stays shared.
        if ns > self.0.load(Ordering::Relaxed) {
            self.0.fetch_max(ns, Ordering::Relaxed);
        }
    }
}

/// Who takes the reports, and what all watches together take.
pub(crate) struct Reporter<'a> {
    show: Option<&'a (dyn Fn(&NoiseProgress) + Sync)>,
    of: u32,
    each_ns: u64,
    /// CPUs that the reporting thread may use.
    allowed: Vec<u32>,
    step: Mutex<u32>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(
        show: Option<&'a (dyn Fn(&NoiseProgress) + Sync)>,
        watches: usize,
        each_ns: u64,
        allowed: Vec<u32>,
    ) -> Self {
        Self { show, of: u32::try_from(watches).unwrap_or(u32::MAX), each_ns, allowed, step: Mutex::new(0) }
    }

    /// Runs one watch and reports how far it is. `spun` is the CPU that a spinner has for itself: with no other CPU there is
    /// no report.
    pub(crate) fn during<T>(&self, what: &str, spun: Option<u32>, watch: impl FnOnce(&Tally) -> T) -> T {
        let step = {
            let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
            *step += 1;
            *step
        };
        let tally = Tally::default();
        let off = self.allowed.iter().copied().find(|cpu| Some(*cpu) != spun);
        let (Some(show), Some(off)) = (self.show, off) else { return watch(&tally) };
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let pinned = ThreadPlacement { cpu: spun.and(Some(off)), ..ThreadPlacement::default() };
                let Ok(_placed) = PlacedThread::take(&pinned) else { return };
                let begin = clock::now();
                while !over.load(Ordering::Relaxed) {
                    let run = (clock::now() - begin).min(self.each_ns);
                    let after = u64::from(self.of.saturating_sub(step)) * self.each_ns;
                    show(&NoiseProgress {
                        step,
                        of: self.of,
                        what: what.to_owned(),
                        worst_ns: tally.0.load(Ordering::Relaxed),
                        left_ns: self.each_ns - run + after,
                    });
                    std::thread::park_timeout(EVERY);
                }
            });
            let seen = watch(&tally);
            over.store(true, Ordering::Relaxed);
            seen
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_watch_is_a_step_and_one_cpu_alone_has_no_report() {
        let reports = Mutex::new(Vec::new());
        let show = |p: &NoiseProgress| reports.lock().unwrap().push((p.step, p.of, p.what.clone()));
        let reporter = Reporter::new(Some(&show), 2, 1_000, vec![0]);
        let wait = |tally: &Tally| {
            tally.saw(5);
            tally.saw(3);
            while reports.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            tally.0.load(Ordering::Relaxed)
        };
        assert_eq!(reporter.during("wake-ups", None, wait), 5);
        let before = reports.lock().unwrap().len();
        assert_eq!(reports.lock().unwrap()[0], (1, 2, "wake-ups".to_owned()));
        reporter.during("CPU 0", Some(0), |_| ());
        assert_eq!(reports.lock().unwrap().len(), before);
    }
}
