//! How long the threads ran that take over software interrupts.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::{Groups, put_table};
use crate::cpus;
use crate::text::garbled;

crate::collector! {
    /// Per CPU, how long its thread `ksoftirqd/N` ran, in ns: the kernel hands software interrupts over to it when they
    /// come faster than they are done. In a container these threads are not visible.
    pub SOFTIRQ_THREADS = "counters/softirq-threads";
    reads ["/proc/*/comm", "/proc/*/schedstat", "/sys/devices/system/cpu/online"];
    sources [
        "kernel/softirq.c in linux 6.12: handle_softirqs, softirq_threads",
        "Documentation/scheduler/sched-stats.rst in linux 6.12: /proc/<pid>/schedstat",
    ];
}

/// The threads are made at the start of each CPU, some six for each (kernel/smpboot.c), so that their numbers are small; so
/// many are looked at for each CPU, and not every process of the host.
const THREADS_PER_CPU: usize = 24;

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    put_table(groups, "ksoftirqd/", threads(sys));
}

fn threads(sys: &dyn Sys) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    let online = cpus::online(sys).into_value().map_or(1, |cpus| cpus.len());
    sys.list("/proc").and_then(|entries| {
        let mut pids: Vec<u32> = entries.iter().filter_map(|e| e.parse().ok()).collect();
        pids.sort_unstable();
        let mut table = BTreeMap::new();
        for pid in pids.into_iter().take(online * THREADS_PER_CPU + 64) {
            let comm = sys.read(&format!("/proc/{pid}/comm")).into_value().unwrap_or_default();
            let Some(cpu) = comm.trim().strip_prefix("ksoftirqd/").and_then(|n| n.parse::<u32>().ok()) else {
                continue;
            };
            match sys.read(&format!("/proc/{pid}/schedstat")).and_then(|t| run_ns(&t)) {
                Reading::Value(ns) => {
                    table.insert(format!("cpu{cpu}"), BTreeMap::from([("run_ns".to_owned(), ns)]));
                }
                other => return other.map(|_| BTreeMap::new()),
            }
            if table.len() == online {
                break;
            }
        }
        if table.is_empty() {
            return Reading::Absent("no thread ksoftirqd/N is visible from here".to_owned());
        }
        Reading::Value(table)
    })
}

/// `RUN WAIT SLICES`, ns.
fn run_ns(text: &str) -> Reading<u64> {
    let numbers: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
    match numbers.as_deref() {
        Ok([run, _, _, ..]) => Reading::Value(*run),
        _ => garbled("schedstat", text),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn each_thread_by_its_cpu() {
        let sys = FakeSys::new()
            .file("/sys/devices/system/cpu/online", "0-1\n")
            .file("/proc/1/comm", "init\n")
            .file("/proc/15/comm", "ksoftirqd/0\n")
            .file("/proc/15/schedstat", "5000 70 3\n")
            .file("/proc/21/comm", "ksoftirqd/1\n")
            .file("/proc/21/schedstat", "9 0 1\n")
            .file("/proc/900/comm", "late\n");
        let table = threads(&sys).into_value().unwrap();
        assert_eq!((table["cpu0"]["run_ns"], table["cpu1"]["run_ns"]), (5_000, 9));
        assert!(!sys.reads().contains_key("/proc/900/comm"), "all are found, no other process is looked at");
    }

    #[test]
    fn none_is_not_zero() {
        let sys = FakeSys::new().file("/proc/1/comm", "init\n");
        assert!(matches!(threads(&sys), Reading::Absent(_)));
        let sys = sys.file("/proc/15/comm", "ksoftirqd/0\n").denied("/proc/15/schedstat");
        assert!(matches!(threads(&sys), Reading::Denied(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = run_ns(&text);
        }
    }
}
