//! Connection tracking.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::text::garbled;

crate::collector! {
    /// What connection tracking did, summed over the CPUs: packets it dropped (`drop`; a full table is one of the
    /// reasons), entries it evicted to make room (`early_drop`), entries it could not insert (`insert_failed`).
    pub CONNTRACK = "counters/conntrack";
    reads ["/proc/net/stat/nf_conntrack"];
    sources ["net/netfilter/nf_conntrack_standalone.c in linux 6.12: ct_cpu_seq_show"];
}

/// Reads it.
pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    let file = "/proc/net/stat/nf_conntrack";
    groups.insert("conntrack".into(), sys.read(file).and_then(|t| sums(file, &t, &KEYS)));
}

const KEYS: [&str; 3] = ["drop", "early_drop", "insert_failed"];

/// A line of names, then a line of hexadecimal counts for each CPU.
pub(super) fn sums(file: &str, text: &str, keys: &[&str]) -> Reading<BTreeMap<String, u64>> {
    let mut lines = text.lines();
    let Some(names) = lines.next() else { return garbled(file, text) };
    let columns: Vec<&str> = names.split_whitespace().collect();
    if !columns.iter().any(|c| keys.contains(c)) {
        return garbled(file, names);
    }
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        let counts: Vec<&str> = line.split_whitespace().collect();
        for key in keys {
            let Some(at) = columns.iter().position(|c| c == key) else { continue };
            let Some(Ok(n)) = counts.get(at).map(|c| u64::from_str_radix(c, 16)) else {
                return garbled(file, line);
            };
            let sum = sums.entry((*key).to_owned()).or_default();
            *sum = sum.saturating_add(n);
        }
    }
    Reading::Value(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_the_cpus() {
        let text = "entries  insert_failed drop early_drop icmp_error\n0000000c  00000001 0000000a 00000000 00000000\n0000000c  00000000 00000005 00000002 00000000\n";
        let parse = |text: &str| sums("x", text, &KEYS);
        let sums = parse(text).into_value().unwrap();
        assert_eq!(sums, BTreeMap::from([("drop".into(), 15), ("early_drop".into(), 2), ("insert_failed".into(), 1)]));
        assert!(matches!(parse(""), Reading::Garbled(_)));
        assert!(matches!(parse("drop\nzz\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = sums("x", &text, &KEYS);
            let _ = sums("x", &format!("drop early_drop\n{text}"), &KEYS);
        }
    }
}
