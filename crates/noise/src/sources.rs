//! What the kernel counts per CPU, and what grew between two reads.
//!
//! | source | counter | says |
//! |---|---|---|
//! | `/proc/interrupts` | each line's count for the CPU | a device, the local timer, an IPI |
//! | `/proc/softirqs` | each kind's count for the CPU | NET_RX, TIMER, RCU, … |
//! | `/proc/stat` | `steal` of the CPU, in USER_HZ ticks | the hypervisor ran somebody else |
//! | `/proc/thread-self/schedstat` | second number: ns waited on a run queue | another thread ran here |
//! | `/proc/thread-self/status` | `nonvoluntary_ctxt_switches` | how often that was |
//! | `/dev/cpu/N/msr` | `MSR_SMI_COUNT` | the firmware ran |
//!
//! When none of them grew, it was nothing the kernel sees: firmware (SMI), or a hypervisor that does not report steal.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use crate::smi::Smi;

/// Counters of one CPU, by their words for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    counts: BTreeMap<String, u64>,
}

/// Words and count.
type Rows = Vec<(String, u64)>;

impl Sources {
    /// Reads them all; one that cannot be read is reported once in `unread`.
    pub(crate) fn read(sys: &dyn Sys, cpu: u32, smi: Option<&Smi>, unread: &mut BTreeMap<String, String>) -> Self {
        let mut counts = BTreeMap::new();
        let mut take = |path: &str, parse: &dyn Fn(&str) -> Option<Rows>| {
            let why = match sys.read(path) {
                Reading::Value(text) => match parse(&text) {
                    Some(found) => {
                        counts.extend(found);
                        return;
                    }
                    None => format!("garbled: {path} has no column for CPU {cpu}"),
                },
                other => other.why_not().map_or_else(String::new, |(kind, why)| format!("{kind}: {why}")),
            };
            unread.entry(format!("causes of interruptions from {path}")).or_insert(why);
        };
        take("/proc/interrupts", &|text| interrupts(text, cpu));
        take("/proc/softirqs", &|text| softirqs(text, cpu));
        take("/proc/stat", &|text| steal(text, cpu));
        take("/proc/thread-self/schedstat", &run_delay);
        take("/proc/thread-self/status", &switches);
        if let Some(count) = smi.and_then(|s| s.read().ok()) {
            counts.insert("SMI (firmware)".to_owned(), count);
        }
        Self { counts }
    }

    /// What grew from here to `later`, and by how much.
    pub(crate) fn growth(&self, later: &Self) -> BTreeMap<String, u64> {
        let grown = later.counts.iter().filter_map(|(name, &n)| {
            let by = n.saturating_sub(self.counts.get(name).copied()?);
            (by > 0).then(|| (name.clone(), by))
        });
        grown.collect()
    }

    /// What grew from here to `later`, most first, at most four; `None` when nothing could be read at all.
    pub fn cause(&self, later: &Self) -> Option<String> {
        if later.counts.is_empty() {
            return None;
        }
        let grown = self.growth(later);
        // Time, not times: it has no rank among counts, and the switch stands for it.
        let mut grown: Vec<(&str, u64)> =
            grown.iter().map(|(name, by)| (name.as_str(), *by)).filter(|(name, _)| !name.starts_with("ns ")).collect();
        if grown.is_empty() {
            return Some("no counter grew: firmware (SMI), or a hypervisor that reports no steal".to_owned());
        }
        grown.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        Some(grown.iter().take(4).map(|g| g.0).collect::<Vec<_>>().join(", "))
    }
}

/// Column of `CPUn` in a table whose first line names the CPUs (offline ones have no column).
fn column(head: &str, cpu: u32) -> Option<usize> {
    let name = format!("CPU{cpu}");
    head.split_whitespace().position(|w| w == name)
}

/// `/proc/interrupts`: `irq 24 (virtio1-input.0)`, `interrupt LOC (Local timer interrupts)`.
fn interrupts(text: &str, cpu: u32) -> Option<Rows> {
    let mut lines = text.lines();
    let head = lines.next()?;
    let (column, cpus) = (column(head, cpu)?, head.split_whitespace().count());
    let rows = lines.filter_map(|line| {
        let (label, rest) = line.split_once(':')?;
        let label = label.trim();
        let words: Vec<&str> = rest.split_whitespace().collect();
        // ERR and MIS have one count for the host, not one per CPU.
        let per_cpu = words.iter().take_while(|w| w.bytes().all(|b| b.is_ascii_digit())).count() >= cpus;
        let count = words.get(column).filter(|_| per_cpu)?.parse().ok()?;
        let numbered = label.bytes().all(|b| b.is_ascii_digit());
        let name =
            if numbered { words.last().copied().unwrap_or_default().to_owned() } else { words[cpus..].join(" ") };
        Some((format!("{} {label} ({name})", if numbered { "irq" } else { "interrupt" }), count))
    });
    Some(rows.collect())
}

/// `/proc/softirqs`: `softirq NET_RX`.
fn softirqs(text: &str, cpu: u32) -> Option<Rows> {
    let mut lines = text.lines();
    let column = column(lines.next()?, cpu)?;
    let rows = lines.filter_map(|line| {
        let (kind, counts) = line.split_once(':')?;
        Some((format!("softirq {}", kind.trim()), counts.split_whitespace().nth(column)?.parse().ok()?))
    });
    Some(rows.collect())
}

/// `/proc/stat`: eighth number of the CPU's line (proc_stat(5)).
fn steal(text: &str, cpu: u32) -> Option<Rows> {
    let name = format!("cpu{cpu}");
    let line = text.lines().find(|l| l.split_whitespace().next() == Some(&name))?;
    Some(vec![("steal".to_owned(), line.split_whitespace().nth(8)?.parse().ok()?)])
}

/// `/proc/thread-self/status` (proc_pid_status(5)).
fn switches(text: &str) -> Option<Rows> {
    let count = text.lines().find_map(|l| l.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    Some(vec![("switch to another thread".to_owned(), count.trim().parse().ok()?)])
}

/// `/proc/thread-self/schedstat`: ran ns, waited ns, time slices (Documentation/scheduler/sched-stats.rst).
fn run_delay(text: &str) -> Option<Rows> {
    Some(vec![("ns waited for the CPU".to_owned(), text.split_whitespace().nth(1)?.parse().ok()?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTS: &str = "           CPU0       CPU2
  1:         10         20   IO-APIC   1-edge      i8042
 26:        100        200  PCI-MSIX-0000:00:03.0   1-edge      virtio1-input.0
LOC:       1000       2000   Local timer interrupts
ERR:          3
";

    #[test]
    fn the_column_is_the_cpu_s_even_where_one_is_offline() {
        let find =
            |cpu, name: &str| interrupts(INTERRUPTS, cpu).unwrap().into_iter().find(|r| r.0 == name).map(|r| r.1);
        assert_eq!(find(2, "irq 26 (virtio1-input.0)"), Some(200));
        assert_eq!(find(0, "interrupt LOC (Local timer interrupts)"), Some(1000));
        assert_eq!(interrupts(INTERRUPTS, 1), None, "CPU 1 is offline");
        assert_eq!(interrupts(INTERRUPTS, 0).unwrap().len(), 3, "ERR is not a CPU's");
        assert_eq!(softirqs("  CPU0 CPU1\nNET_RX: 5 7\n", 1).unwrap(), [("softirq NET_RX".to_owned(), 7)]);
        assert_eq!(steal("cpu 1 2\ncpu1 1 2 3 4 5 6 7 88 9 10\n", 1).unwrap()[0].1, 88);
        assert_eq!(run_delay("123 456 7\n").unwrap()[0].1, 456);
        assert_eq!(switches("Name:\tx\nnonvoluntary_ctxt_switches:\t12\n").unwrap()[0].1, 12);
        for garbage in ["", "\n", "x", ":::\n:", "CPU0\n1: 99999999999999999999999"] {
            let _ = (interrupts(garbage, 0), softirqs(garbage, 0), steal(garbage, 0), run_delay(garbage));
        }
    }

    #[test]
    fn the_cause_is_what_grew() {
        let sources = |pairs: &[(&str, u64)]| Sources { counts: pairs.iter().map(|p| (p.0.to_owned(), p.1)).collect() };
        let before = sources(&[("irq 26 (x)", 5), ("softirq NET_RX", 5), ("steal", 9)]);
        let after = sources(&[("irq 26 (x)", 6), ("softirq NET_RX", 9), ("steal", 9)]);
        assert_eq!(before.cause(&after).as_deref(), Some("softirq NET_RX, irq 26 (x)"));
        assert!(before.cause(&before).unwrap().contains("SMI"));
        assert_eq!(before.cause(&sources(&[])), None);
    }
}
