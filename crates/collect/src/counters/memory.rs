//! Memory events.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::text::garbled;

crate::collector! {
    /// Memory events that stop a program: page faults, NUMA hinting faults, compaction, swapping. The file also holds
    /// gauges (`nr_free_pages`), which are left out.
    pub MEMORY = "counters/memory";
    reads ["/proc/vmstat"];
    sources [
        "mm/vmstat.c in linux 6.12: vmstat_text",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    groups.insert("vmstat".into(), sys.read("/proc/vmstat").and_then(|t| parse(&t)));
}

/// `name value`; gauges begin with `nr_`.
fn parse(text: &str) -> Reading<BTreeMap<String, u64>> {
    let mut counters = BTreeMap::new();
    for line in text.lines() {
        let Some((name, Ok(value))) = line.split_once(' ').map(|(n, v)| (n, v.trim().parse())) else {
            return garbled("/proc/vmstat", line);
        };
        if !name.starts_with("nr_") {
            counters.insert(name.to_owned(), value);
        }
    }
    Reading::Value(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_no_gauges() {
        let counters = parse("nr_free_pages 5\npgmajfault 2\n").into_value().unwrap();
        assert_eq!(counters, BTreeMap::from([("pgmajfault".into(), 2)]));
        assert!(matches!(parse("pgmajfault\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = parse(&text);
        }
    }
}
