//! Where processor time goes.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::{Groups, put_table};
use crate::text::garbled;

crate::collector! {
    /// Per CPU, the time in each state, in ticks of USER_HZ (100 per second): user, nice, system, idle, iowait, irq,
    /// softirq, and steal, which is the time a hypervisor gave to others while this CPU wanted to run.
    pub PROCESSORS = "counters/processors";
    reads ["/proc/stat"];
    sources [
        "man 5 proc (/proc/stat)",
        "fs/proc/stat.c in linux 6.12: show_stat",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    put_table(groups, "cpu/", ticks(sys));
}

/// Time of each CPU in each state.
pub(crate) fn ticks(sys: &dyn Sys) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    sys.read("/proc/stat").and_then(|t| parse(&t))
}

const STATES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

fn parse(text: &str) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut table = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(cpu) = words.next().and_then(|w| w.strip_prefix("cpu")).filter(|n| n.parse::<u32>().is_ok()) else {
            continue;
        };
        let times: Result<Vec<u64>, _> = words.map(str::parse).collect();
        match times {
            Ok(times) if times.len() >= STATES.len() => {
                table.insert(cpu.to_owned(), STATES.iter().map(|s| (*s).to_owned()).zip(times).collect());
            }
            _ => return garbled("/proc/stat", line),
        }
    }
    if table.is_empty() { garbled("/proc/stat", text) } else { Reading::Value(table) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_per_cpu_and_none_for_the_sum() {
        let table = parse("cpu  8 0 4 4 1 0 2 3 0 0\ncpu0 3 0 1 2 7 0 1 16 0 0\nintr 5\n").into_value().unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["0"]);
        assert_eq!(table["0"]["steal"], 16);
        assert!(matches!(parse("cpu0 1 2\n"), Reading::Garbled(_)));
        assert!(matches!(parse(""), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = parse(&text);
        }
    }
}
