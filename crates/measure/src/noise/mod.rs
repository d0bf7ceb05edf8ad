//! What the host itself adds, CPU by CPU: how late it wakes a sleeper, and how often it interrupts a spinner.
//!
//! *Wake-up latency* is measured as cyclictest does (rt-tests: `clock_nanosleep` to an absolute time, late by how much),
//! on all CPUs at once, since sleepers hardly load a host. *Interruptions* are measured as sysjitter does (spin on the
//! clock, and see when it jumps), one CPU at a time: a spinner on every core would take the host from its work.
//!
//! What grew meanwhile in the kernel's own counters tells the cause: see [`sources`].

pub mod sources;
mod spin;
mod wakeup;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::noise::{CpuNoise, NoiseDocument};
use lowlat_model::{NotSeen, Quantiles, Schema};
use lowlat_sys::{Sys, query};
use lowlat_transport::Ns;

use crate::placement::{Placed, Placement, allowed_cpus};
use crate::{Histogram, MeasureError};

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
    /// takes that long by itself.
    pub gap_threshold_ns: u64,
    /// SCHED_FIFO priority of the watchers.
    pub rt_priority: Option<u8>,
}

impl Default for NoiseSpec {
    fn default() -> Self {
        Self {
            cpus: Vec::new(),
            duration_ns: 1_000_000_000,
            interval_ns: 1_000_000,
            gap_threshold_ns: 1_000,
            rt_priority: None,
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
}

/// Watches the CPUs. A CPU that cannot be watched (offline, not allowed) is told in `not_seen`; only when none can be
/// is that an error.
pub fn noise(sys: &dyn Sys, spec: &NoiseSpec, stop: &AtomicBool) -> Result<NoiseDocument, MeasureError> {
    if spec.duration_ns == 0 || spec.interval_ns == 0 || spec.gap_threshold_ns == 0 {
        return Err(MeasureError::Spec {
            what: "noise of length, interval or threshold 0".to_owned(),
            why: "nothing would be seen".to_owned(),
            next: "give times above 0".to_owned(),
        });
    }
    let cpus = if spec.cpus.is_empty() {
        allowed_cpus()
            .map_err(|source| MeasureError::Io { what: "noise: ask which CPUs may be used".to_owned(), source })?
    } else {
        spec.cpus.clone()
    };
    let mut not_seen = Vec::new();
    let mut first_error = None;
    let mut wakeups: BTreeMap<u32, Quantiles> = BTreeMap::new();
    std::thread::scope(|scope| {
        let watchers: Vec<_> = cpus
            .iter()
            .map(|&cpu| {
                (
                    cpu,
                    scope.spawn(move || {
                        let _placed = Placed::take(&place(cpu, spec))?;
                        wakeup::watch(spec.duration_ns, spec.interval_ns, stop)
                    }),
                )
            })
            .collect();
        for (cpu, watcher) in watchers {
            match watcher.join() {
                Ok(Ok(histogram)) => {
                    wakeups.insert(cpu, histogram.quantiles());
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
    if let (true, Some(error)) = (wakeups.is_empty(), first_error) {
        return Err(error);
    }
    let mut watched = Vec::new();
    let mut unread: BTreeMap<String, String> = BTreeMap::new();
    for (cpu, wakeup) in wakeups {
        let seen = if stop.load(Ordering::Relaxed) {
            Interruptions::default()
        } else {
            let _placed = Placed::take(&place(cpu, spec))?;
            spin::watch(sys, cpu, spec, stop, &mut unread)
        };
        let ratio = if seen.watched_ns > 0 { seen.stolen_ns as f64 / seen.watched_ns as f64 } else { 0.0 };
        watched.push(CpuNoise {
            cpu,
            wakeup,
            interruption: seen.lengths.quantiles(),
            gaps_seen: seen.lengths.len(),
            stolen_ratio: ratio,
            gaps: seen.longest,
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
        cpus: watched,
        not_seen,
    })
}

fn place(cpu: u32, spec: &NoiseSpec) -> Placement {
    Placement { cpu: Some(cpu), rt_priority: spec.rt_priority, ..Placement::default() }
}

/// Interruptions of this thread's CPU as `(begin, end)` on `CLOCK_MONOTONIC`, for
/// [`Samples::mark_gaps`](crate::Samples::mark_gaps): to be run on a thread pinned beside the probe, until `stop`.
/// Bounded to the first `most`.
pub fn gaps_until(stop: &AtomicBool, threshold_ns: u64, most: usize) -> Vec<(Ns, Ns)> {
    let mut gaps = Vec::with_capacity(most);
    let mut last = lowlat_transport::clock::now();
    while !stop.load(Ordering::Relaxed) && gaps.len() < most {
        let now = lowlat_transport::clock::now();
        if now - last >= threshold_ns {
            gaps.push((last, now));
        }
        last = now;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::Reading;
    use lowlat_sys::NetQuery;

    /// A host that tells nothing.
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
    fn every_cpu_is_watched_or_named_and_denied_counters_are_told() {
        let cpu = allowed_cpus().unwrap()[0];
        let spec = NoiseSpec { cpus: vec![cpu, 1_000], duration_ns: 60_000_000, ..NoiseSpec::default() };
        let n = noise(&Mute, &spec, &AtomicBool::new(false)).unwrap();
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
        assert!(noise(&Mute, &none, &AtomicBool::new(false)).is_err());
        let zero = NoiseSpec { interval_ns: 0, ..NoiseSpec::default() };
        assert!(matches!(noise(&Mute, &zero, &AtomicBool::new(false)), Err(MeasureError::Spec { .. })));
        let stopped = noise(&Mute, &NoiseSpec::default(), &AtomicBool::new(true)).unwrap();
        assert!(stopped.not_seen.iter().any(|s| s.why.contains("interrupted")));
    }
}
