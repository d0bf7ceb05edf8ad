//! What the host itself adds, CPU by CPU: how late it wakes a sleeper, and how often it interrupts a spinner.
//!
//! *Wake-up latency* is measured as cyclictest does (rt-tests: `clock_nanosleep` to an absolute time, late by how
//! much), on all CPUs at once, since sleepers hardly load a host. *Interruptions* are measured as sysjitter does (spin
//! on the clock, and see when it jumps), one CPU at a time: a spinner on every core would leave the host no CPU.
//!
//! The kernel's own counters that grew meanwhile show the cause: see [`sources`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

mod events;
mod progress;
mod smi;
pub mod sources;
mod spin;
mod trace;
mod wakeup;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::noise::{CpuNoise, NoiseDocument};
use lowlat_model::{NotSeen, Schema};
use lowlat_sys::{Sys, query};

use lowlat_measure::placement::{PlacedThread, ThreadPlacement, allowed_cpus};
use lowlat_measure::{Histogram, MeasureError};
pub use progress::NoiseProgress;
use progress::Reporter;

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoiseSpec {
    /// CPUs; empty for all this process may use.
    pub cpus: Vec<u32>,
    /// For how long: once for the wake-ups of all CPUs together, and once per CPU for interruptions.
    pub duration_ns: u64,
    /// Time between two wake-ups; cyclictest's default is 1 ms.
    pub interval_ns: u64,
    /// A jump of the clock at least so long is an interruption. 1 µs is 40 clock reads: no loop of a few instructions
    /// takes that long on its own.
    pub gap_threshold_ns: u64,
    /// SCHED_FIFO priority of all watchers; refused is an error. A spinner of that kind takes its CPU from everything
    /// else, and the kernel's own real-time throttling interrupts it (sched_rt_runtime_us).
    pub rt_priority: Option<u8>,
    /// SCHED_FIFO priority that the sleepers get where the user may have it, if `rt_priority` names none.
    pub wakeup_priority: Option<u8>,
    /// The longest that a wake-up or an interruption may take, ns: what the document judges by.
    pub goal_ns: Option<u64>,
    /// Watch once more with the kernel's trace points on, to name who interrupts.
    pub trace: bool,
}

impl Default for NoiseSpec {
    fn default() -> Self {
        Self {
            cpus: Vec::new(),
            duration_ns: 1_000_000_000,
            interval_ns: 1_000_000,
            gap_threshold_ns: 1_000,
            rt_priority: None,
            // As `cyclictest -p 80`, the value of its manual's examples and of rt-tests' own wrappers.
            wakeup_priority: Some(80),
            goal_ns: None,
            trace: false,
        }
    }
}

/// What spinning on one CPU showed.
#[derive(Debug, Default)]
pub(crate) struct Interruptions {
    pub(crate) lengths: Histogram,
    pub(crate) stolen_ns: u64,
    pub(crate) watched_ns: u64,
    pub(crate) longest: Vec<lowlat_model::noise::Gap>,
    pub(crate) counted: BTreeMap<String, u64>,
}

/// Watches the CPUs. A CPU that cannot be watched (offline, not allowed) is reported in `not_seen`; only when none can
/// be is that an error. `show` takes how far it is, on a thread of its own.
pub fn noise(
    sys: &dyn Sys,
    spec: &NoiseSpec,
    stop: &AtomicBool,
    show: Option<&(dyn Fn(&NoiseProgress) + Sync)>,
) -> Result<NoiseDocument, MeasureError> {
    if spec.duration_ns == 0 || spec.interval_ns == 0 || spec.gap_threshold_ns == 0 {
        return Err(MeasureError::Spec {
            what: "noise of length, interval or threshold 0".to_owned(),
            why: "nothing would be seen".to_owned(),
            next: "give times above 0".to_owned(),
        });
    }
    let allowed = allowed_cpus()
        .map_err(|source| MeasureError::Io { what: "noise: ask which CPUs may be used".to_owned(), source })?;
    let cpus = if spec.cpus.is_empty() { allowed.clone() } else { spec.cpus.clone() };
    let reporter = Reporter::new(show, 1 + cpus.len(), spec.duration_ns, allowed);
    let mut not_seen = Vec::new();
    let locked = PlacedThread::take(&ThreadPlacement { lock_memory: true, ..ThreadPlacement::default() })?;
    if let Some(Err(why)) = locked.memory() {
        not_seen.push(NotSeen { fact: "wake-ups with memory locked".to_owned(), why: format!("denied: {why}") });
    }
    let wakeups = reporter.during("late wake-ups", None, |tally| wakeups(&cpus, spec, stop, tally, &mut not_seen))?;
    let mut watched = Vec::new();
    let mut unread: BTreeMap<String, String> = BTreeMap::new();
    for (cpu, (wakeup, policy)) in wakeups {
        let seen = if stop.load(Ordering::Relaxed) {
            Interruptions::default()
        } else {
            let _placed = PlacedThread::take(&place(cpu, spec))?;
            let what = format!("interruptions of CPU {cpu}");
            reporter.during(&what, Some(cpu), |tally| spin::watch(sys, cpu, spec, stop, tally, &mut unread))
        };
        let traced = if spec.trace && !stop.load(Ordering::Relaxed) {
            let _placed = PlacedThread::take(&place(cpu, spec))?;
            spin::traced(sys, cpu, spec, stop)
                .map_err(|why| unread.insert("who interrupts, by trace points".to_owned(), why))
                .ok()
        } else {
            None
        };
        let ratio = if seen.watched_ns > 0 { seen.stolen_ns as f64 / seen.watched_ns as f64 } else { 0.0 };
        watched.push(CpuNoise {
            cpu,
            wakeup: wakeup.quantiles(),
            wakeup_distribution: wakeup.distribution(),
            wakeup_policy: Some(policy),
            interruption: seen.lengths.quantiles(),
            interruption_distribution: seen.lengths.distribution(),
            watched_ns: seen.watched_ns,
            gaps_seen: seen.lengths.len(),
            stolen_ratio: ratio,
            gaps: seen.longest,
            counted: seen.counted,
            traced,
        });
    }
    not_seen.extend(unread.into_iter().map(|(fact, why)| NotSeen { fact, why }));
    if stop.load(Ordering::Relaxed) {
        not_seen.push(NotSeen {
            fact: "the rest of the watch".to_owned(),
            why: "interrupted: figures are of the part that ran".to_owned(),
        });
    }
    Ok(NoiseDocument {
        schema: Schema::current("noise"),
        kernel: query::uname(sys).into_value().map_or_else(|| "unknown".to_owned(), |u| u.release),
        duration_ns: spec.duration_ns,
        gap_threshold_ns: spec.gap_threshold_ns,
        goal_ns: spec.goal_ns,
        cpus: watched,
        not_seen,
    })
}

/// Wake-ups of all CPUs at once, and how the sleepers were scheduled.
fn wakeups(
    cpus: &[u32],
    spec: &NoiseSpec,
    stop: &AtomicBool,
    tally: &progress::Tally,
    not_seen: &mut Vec<NotSeen>,
) -> Result<BTreeMap<u32, (Histogram, String)>, MeasureError> {
    let watch = |cpu| {
        let (_placed, policy) = sleeper(cpu, spec)?;
        let late = wakeup::watch(spec.duration_ns, spec.interval_ns, stop, tally)?;
        Ok::<_, MeasureError>((late, policy))
    };
    let mut first_error = None;
    let mut seen = BTreeMap::new();
    std::thread::scope(|scope| {
        let watchers: Vec<_> = cpus.iter().map(|&cpu| (cpu, scope.spawn(move || watch(cpu)))).collect();
        for (cpu, watcher) in watchers {
            match watcher.join() {
                Ok(Ok((histogram, policy))) => {
                    seen.insert(cpu, (histogram, policy));
                }
                Ok(Err(error)) => {
                    not_seen.push(NotSeen { fact: format!("noise of CPU {cpu}"), why: error.to_string() });
                    first_error.get_or_insert(error);
                }
                Err(_) => {
                    let why = "its watcher failed".to_owned();
                    not_seen.push(NotSeen { fact: format!("noise of CPU {cpu}"), why });
                }
            }
        }
    });
    if let (true, Some(error)) = (seen.is_empty(), first_error) {
        return Err(error);
    }
    if spec.wakeup_priority.is_some() && seen.values().any(|(_, policy)| policy == OTHER) {
        let why = "denied: SCHED_FIFO needs CAP_SYS_NICE".to_owned();
        not_seen.push(NotSeen { fact: "wake-ups at real-time priority".to_owned(), why });
    }
    Ok(seen)
}

const OTHER: &str = "SCHED_OTHER";

/// Places a sleeper, at real-time priority where it may have it.
fn sleeper(cpu: u32, spec: &NoiseSpec) -> Result<(PlacedThread, String), MeasureError> {
    let at = |rt_priority| {
        PlacedThread::take(&ThreadPlacement { cpu: Some(cpu), rt_priority, ..ThreadPlacement::default() })
    };
    if let Some(priority) = spec.rt_priority {
        return Ok((at(Some(priority))?, format!("SCHED_FIFO {priority}")));
    }
    if let Some(priority) = spec.wakeup_priority
        && let Ok(placed) = at(Some(priority))
    {
        return Ok((placed, format!("SCHED_FIFO {priority}")));
    }
    Ok((at(None)?, OTHER.to_owned()))
}

fn place(cpu: u32, spec: &NoiseSpec) -> ThreadPlacement {
    ThreadPlacement { cpu: Some(cpu), rt_priority: spec.rt_priority, ..ThreadPlacement::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::Reading;
    use lowlat_sys::NetQuery;

    /// A host that reports nothing.
    struct Mute;

    impl Sys for Mute {
        fn read(&self, path: &str) -> Reading<String> {
            Reading::Denied(format!("{path}: not for you"))
        }
        fn list(&self, path: &str) -> Reading<Vec<String>> {
            Reading::Absent(path.to_owned())
        }
        fn link_target(&self, path: &str) -> Reading<String> {
            Reading::Absent(path.to_owned())
        }
        fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
            Reading::Unsupported(query.name())
        }
        fn now_ns(&self) -> u64 {
            0
        }
        fn wait(&self, _: u64) {}
    }

    #[test]
    fn every_cpu_is_watched_or_named_and_denied_counters_are_reported() {
        let cpu = allowed_cpus().unwrap()[0];
        let spec = NoiseSpec { cpus: vec![cpu, 1_000], duration_ns: 60_000_000, ..NoiseSpec::default() };
        let n = noise(&Mute, &spec, &AtomicBool::new(false), None).unwrap();
        assert_eq!(n.cpus.iter().map(|c| c.cpu).collect::<Vec<_>>(), [cpu]);
        assert!(n.cpus[0].wakeup.samples > 0);
        assert!(n.cpus[0].gaps.is_sorted_by(|a, b| a.length_ns >= b.length_ns));
        assert!(n.not_seen.iter().any(|s| s.fact.contains("CPU 1000")), "{:?}", n.not_seen);
        assert!(n.not_seen.iter().any(|s| s.why.contains("denied")), "{:?}", n.not_seen);
        assert_eq!(allowed_cpus().unwrap()[0], cpu, "the thread is where it was");
    }

    #[test]
    fn no_cpu_at_all_and_no_time_are_errors() {
        let none = NoiseSpec { cpus: vec![1_000], ..NoiseSpec::default() };
        assert!(noise(&Mute, &none, &AtomicBool::new(false), None).is_err());
        let zero = NoiseSpec { interval_ns: 0, ..NoiseSpec::default() };
        assert!(matches!(noise(&Mute, &zero, &AtomicBool::new(false), None), Err(MeasureError::Spec { .. })));
        let stopped = noise(&Mute, &NoiseSpec::default(), &AtomicBool::new(true), None).unwrap();
        assert!(stopped.not_seen.iter().any(|s| s.why.contains("interrupted")));
    }
}
