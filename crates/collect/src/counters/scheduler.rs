//! How long programs waited for a processor.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::{Groups, put_table};
use crate::text::garbled;

crate::collector! {
    /// Per CPU, how long programs ran there and how long they waited for their turn, both in ns, and the number of time
    /// slices; only where the kernel was built with scheduler statistics.
    pub SCHEDULER = "counters/scheduler";
    reads ["/proc/schedstat"];
    sources [
        "Documentation/scheduler/sched-stats.rst in linux 6.12: CPU statistics (fields 7 to 9)",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    put_table(groups, "sched/", sys.read("/proc/schedstat").and_then(|t| parse(&t)));
}

/// `cpu0 0 0 0 0 0 0 RUN WAIT SLICES`; the lines between are of versions and domains.
fn parse(text: &str) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut table = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(cpu) = words.next().filter(|w| w.strip_prefix("cpu").is_some_and(|n| n.parse::<u32>().is_ok())) else {
            continue;
        };
        let numbers: Result<Vec<u64>, _> = words.map(str::parse).collect();
        match numbers.as_deref() {
            Ok([_, _, _, _, _, _, run, wait, slices, ..]) => {
                let counts = [("run_ns", *run), ("wait_ns", *wait), ("slices", *slices)];
                table.insert(cpu.to_owned(), counts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
            }
            _ => return garbled("/proc/schedstat", line),
        }
    }
    if table.is_empty() { garbled("/proc/schedstat", text) } else { Reading::Value(table) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_per_cpu() {
        let text = "version 16\ntimestamp 5\ncpu0 0 0 9 8 7 6 1000 250 3\ndomain0 ff 1 2\n";
        let table = parse(text).into_value().unwrap();
        assert_eq!(table["cpu0"]["wait_ns"], 250);
        assert_eq!(table.len(), 1);
        assert!(matches!(parse("cpu0 1 2\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = parse(&text);
            let _ = parse(&format!("cpu0 {text}"));
        }
    }
}
