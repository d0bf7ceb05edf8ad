//! Per-CPU packet processing.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::{Groups, put_table};
use crate::text::garbled;

crate::collector! {
    /// Per CPU: packets processed, packets dropped because the backlog was full, polls that ended with work left
    /// (`time_squeeze`), wake-ups sent here by RPS (`received_rps`), and drops by the flow limit.
    ///
    /// The table has grown: first it had 9 columns, then also `received_rps` (10th) and `flow_limit` (11th), since 5.10
    /// the backlog length (12th) and the CPU's number (13th), and since 6.4 the lengths of the backlog's two parts.
    /// Offline CPUs have no line, so a line's CPU is certain without the 13th column only while all CPUs are online;
    /// without that column lowlat takes the n-th online CPU for the n-th line.
    ///
    /// The counters have 32 bits and wrap. They belong to the host and are the same in every network namespace.
    pub SOFTNET = "counters/softnet";
    reads ["/proc/net/softnet_stat", "/sys/devices/system/cpu/online"];
    sources [
        "net/core/net-procfs.c in linux 6.1, 6.12: softnet_seq_show",
        "net/core/dev.c in linux 6.12: rps_trigger_softirq",
        "measured: linux 6.18, fifteen columns",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    let online = crate::cpus::online(sys).into_value().unwrap_or_default();
    let table = sys.read("/proc/net/softnet_stat").and_then(|text| table(&text, &online));
    put_table(groups, "softnet/", table);
}

/// Column of each counter.
const COLUMNS: [(&str, usize); 5] =
    [("processed", 0), ("dropped", 1), ("time_squeeze", 2), ("received_rps", 9), ("flow_limit", 10)];

/// Column of the CPU's number, where the table has it.
const CPU: usize = 12;

fn table(text: &str, online: &[u32]) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut table = BTreeMap::new();
    for (row, line) in (0u32..).zip(text.lines()) {
        let columns: Result<Vec<u64>, _> = line.split_whitespace().map(|c| u64::from_str_radix(c, 16)).collect();
        let Ok(columns) = columns else { return garbled("/proc/net/softnet_stat", line) };
        if columns.len() < 3 {
            return garbled("/proc/net/softnet_stat", line);
        }
        let nth = online.get(row as usize).copied().unwrap_or(row);
        let cpu = columns.get(CPU).copied().unwrap_or(u64::from(nth));
        let counters = COLUMNS.iter().filter_map(|(name, at)| Some(((*name).to_owned(), *columns.get(*at)?))).collect();
        table.insert(format!("cpu{cpu}"), counters);
    }
    Reading::Value(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_table_has_fifteen_columns() {
        // Read on a 6.18 kernel; the second CPU's number is in the 13th column.
        let text = "00000016 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n\
                    00000e29 00000002 00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000004 00000005 00000009 00000003 00000009 00000000\n";
        let table = table(text, &[]).into_value().unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["cpu0", "cpu3"]);
        let want = [("dropped", 2), ("flow_limit", 5), ("processed", 0xe29), ("received_rps", 4), ("time_squeeze", 3)];
        assert_eq!(table["cpu3"], want.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
    }

    #[test]
    fn before_5_10_the_line_reports_the_cpu() {
        let line =
            "00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n";
        let table = table(&line.repeat(2), &[0, 2]).into_value().unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["cpu0", "cpu2"]);
    }

    #[test]
    fn a_short_or_foreign_line_is_garbled() {
        assert!(matches!(table("00000001 00000000\n", &[]), Reading::Garbled(_)));
        assert!(matches!(table("zz zz zz\n", &[]), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*", hex in "([0-9a-f]{1,20} ){0,20}\n") {
            let _ = table(&text, &[]);
            let _ = table(&hex, &[1]);
        }
    }
}
