//! What a round costs besides time: CPU time, system calls, interrupts. Read before and after it, never within.

use lowlat_measure::Counts;
use lowlat_model::bypass::RoundCost;
use lowlat_os::{calls, clock};
use lowlat_sys::{Live, Sys, irqs};

/// What is counted on a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Interrupt lines of the path's devices; `None` where they have none, or these cannot be read.
    lines: Option<Vec<u32>>,
}

impl Counted {
    /// Finds the interrupt lines of these interfaces.
    pub fn of(interfaces: &[String], sys: &dyn Sys) -> Self {
        let all = interfaces.iter().filter_map(|iface| irqs::of_interface(sys, iface).into_value()).flatten();
        let lines: Vec<u32> = all.map(|line| line.irq).collect();
        Self { lines: (!lines.is_empty()).then_some(lines) }
    }

    fn now(&self, sys: &dyn Sys) -> (Option<u64>, Option<u64>) {
        let fired = self.lines.as_ref().and_then(|lines| lowlat_collect::interrupts_fired(sys, lines).into_value());
        (fired, lowlat_collect::softirqs_ran(sys, "NET_RX").into_value())
    }
}

/// A round that is being counted.
#[derive(Debug)]
pub struct Begun<'a> {
    counted: &'a Counted,
    interrupts: Option<u64>,
    softirqs: Option<u64>,
    /// CPU time of each program that the engine started.
    children_ns: Option<u64>,
    calls: u64,
    cpu_ns: u64,
    at_ns: u64,
}

impl<'a> Begun<'a> {
    /// From now on, on this thread.
    pub fn take(counted: &'a Counted) -> Self {
        let live = Live::new();
        let (interrupts, softirqs) = counted.now(&live);
        let children_ns = children(&live);
        let (calls, cpu_ns, at_ns) = (calls::so_far(), clock::process_cpu(), clock::monotonic());
        Self { counted, interrupts, softirqs, children_ns, calls, cpu_ns, at_ns }
    }

    /// Until now. `counts_calls`: the engine's calls are among those of this thread.
    pub fn end(self, counts: &Counts, counts_calls: bool) -> RoundCost {
        let (at_ns, cpu_ns, calls) = (clock::monotonic(), clock::process_cpu(), calls::so_far());
        let live = Live::new();
        let (interrupts, softirqs) = self.counted.now(&live);
        let since = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        RoundCost {
            messages: counts.sent + counts.warmup,
            elapsed_ns: at_ns.saturating_sub(self.at_ns),
            cpu_ns: cpu_ns.saturating_sub(self.cpu_ns) + since(children(&live), self.children_ns).unwrap_or(0),
            system_calls: counts_calls.then(|| calls.saturating_sub(self.calls)),
            interrupts: since(interrupts, self.interrupts),
            softirqs: since(softirqs, self.softirqs),
        }
    }
}

/// CPU time of the programs that this thread started and that run, ns: the first field of each of their threads'
/// schedstat (Documentation/scheduler/sched-stats.rst, "time spent on the cpu"). `None` where the kernel does not list
/// them (`CONFIG_PROC_CHILDREN`).
fn children(sys: &dyn Sys) -> Option<u64> {
    let children = sys.read("/proc/thread-self/children").into_value()?;
    let mut sum = 0;
    for pid in children.split_whitespace() {
        let tasks = format!("/proc/{pid}/task");
        for task in sys.list(&tasks).into_value().unwrap_or_default() {
            let ran = sys.read(&format!("{tasks}/{task}/schedstat")).into_value();
            sum += ran.and_then(|t| t.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Some(sum)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn a_program_that_the_engine_started_is_counted_too() {
        let sys = FakeSys::new()
            .file("/proc/thread-self/children", "71 72 ")
            .file("/proc/71/task/71/schedstat", "1000 5 2\n")
            .file("/proc/71/task/75/schedstat", "200 5 2\n")
            .file("/proc/72/task/72/schedstat", "30 0 0\n");
        assert_eq!(children(&sys), Some(1_230));
        assert_eq!(children(&FakeSys::new()), None);
    }

    #[test]
    fn what_has_no_lines_has_no_figure() {
        let counted = Counted::of(&["lo".to_owned()], &Live::new());
        assert_eq!(counted, Counted::default());
        let begun = Begun::take(&counted);
        calls::count();
        calls::count();
        let counts = Counts { sent: 3, warmup: 1, ..Counts::default() };
        let cost = begun.end(&counts, true);
        assert_eq!((cost.messages, cost.system_calls, cost.interrupts), (4, Some(2), None));
        assert!(cost.softirqs.is_some() && cost.cpu_ns > 0 && cost.elapsed_ns > 0, "{cost:?}");
        assert_eq!(Begun::take(&counted).end(&counts, false).system_calls, None);
    }
}
