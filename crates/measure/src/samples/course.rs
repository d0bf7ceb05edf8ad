//! A run over time, in windows.

use lowlat_model::distribution::{Course, CourseWindow};
use lowlat_model::measurement::LOST;

use crate::probe::{Flags, Probe};

/// Windows of a run: as many as a plot of a page has room for.
const WINDOWS: u64 = 100;

/// The course of the measured `probes`, those that the steady-state test left out included: that they differ is what a
/// reader wants to see. `None` where there is none.
pub(super) fn course(planned: bool, probes: &[Probe]) -> Option<Course> {
    let measured = || probes.iter().filter(|p| !p.flags.has(Flags::WARMUP));
    let begin = measured().map(|p| p.planned).min()?;
    let last = measured().map(|p| p.planned).max()?;
    let window_ns = ((last - begin) / WINDOWS + 1).max(1);
    let mut windows: Vec<(CourseWindow, Vec<u64>)> = Vec::new();
    let mut in_order: Vec<&Probe> = measured().collect();
    in_order.sort_by_key(|p| p.planned);
    for probe in in_order {
        let at_ns = (probe.planned - begin) / window_ns * window_ns;
        if windows.last().is_none_or(|(w, _)| w.at_ns != at_ns) {
            windows.push((CourseWindow { at_ns, ..CourseWindow::default() }, Vec::new()));
        }
        let Some((window, latencies)) = windows.last_mut() else { continue };
        let latency = if planned { probe.rtt_planned() } else { probe.rtt() };
        window.probes += 1;
        window.lost += u64::from(latency == LOST);
        window.interrupted += u64::from(probe.flags.has(Flags::GAP));
        latencies.push(latency);
    }
    let windows = windows.into_iter().map(|(window, mut latencies)| {
        latencies.sort_unstable();
        let came = latencies.len() - usize::try_from(window.lost).unwrap_or(latencies.len());
        // The lower median, as the quantiles of a run.
        let p50_ns = latencies.get((latencies.len() - 1) / 2).copied().filter(|ns| *ns != LOST);
        CourseWindow { p50_ns, max_ns: came.checked_sub(1).map(|i| latencies[i]), ..window }
    });
    Some(Course { window_ns, planned, windows: windows.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(planned: u64, rtt: u64, flags: u8) -> Probe {
        let received = if rtt == LOST { LOST } else { planned + rtt };
        Probe { planned, sent: planned, received, flags: flags.into(), ..Probe::default() }
    }

    #[test]
    fn each_probe_is_in_the_window_of_its_plan() {
        let mut probes: Vec<Probe> = (0..1_000).map(|n| probe(5_000 + n * 100, 10 + n % 3, 0)).collect();
        probes[0] = probe(5_000, 1, Flags::WARMUP);
        for p in &mut probes[500..530] {
            *p = probe(p.planned, LOST, 0);
        }
        probes[999] = probe(probes[999].planned, 70_000, Flags::GAP);
        let c = course(false, &probes).unwrap();
        assert!(c.windows.len() as u64 <= WINDOWS, "{}", c.windows.len());
        assert_eq!(c.windows.iter().map(|w| w.probes).sum::<u64>(), 999);
        assert_eq!(c.windows.iter().map(|w| w.lost).sum::<u64>(), 30);
        let last = c.windows.last().unwrap();
        assert_eq!((last.interrupted, last.max_ns), (1, Some(70_000)));
        assert_eq!(c.windows[0].p50_ns, Some(11));
        assert!(c.windows.iter().any(|w| w.lost == w.probes && w.p50_ns.is_none() && w.max_ns.is_none()), "{c:?}");
        assert!(c.windows.is_sorted_by_key(|w| w.at_ns));
    }

    #[test]
    fn one_probe_is_one_window_and_none_is_none() {
        let c = course(true, &[probe(7, 3, 0)]).unwrap();
        assert_eq!((c.windows.len(), c.windows[0].at_ns, c.windows[0].p50_ns, c.planned), (1, 0, Some(3), true));
        assert_eq!(course(false, &[probe(7, 3, Flags::WARMUP)]), None);
    }
}
