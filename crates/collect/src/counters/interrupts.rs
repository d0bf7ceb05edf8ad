//! Hardware and software interrupts.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::{Groups, put_table};
use crate::text::garbled;

crate::collector! {
    /// How often each interrupt line fired on each CPU, including the inter-processor and timer interrupts (`LOC`,
    /// `RES`, `CAL`, `TLB`), and how often each software interrupt ran.
    pub INTERRUPTS = "counters/interrupts";
    reads ["/proc/interrupts", "/proc/softirqs"];
    sources [
        "kernel/irq/proc.c in linux 6.12: show_interrupts",
        "arch/x86/kernel/irq.c in linux 6.12: arch_show_interrupts (LOC, RES, CAL, TLB)",
        "fs/proc/softirqs.c in linux 6.12: show_softirqs",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    put_table(groups, "irq/", sys.read("/proc/interrupts").and_then(|t| interrupts(&t)));
    put_table(groups, "softirq/", sys.read("/proc/softirqs").and_then(|t| softirqs(&t)));
}

/// `CPU0 CPU3 …` → `[0, 3, …]`: offline CPUs have no column.
fn header(line: &str) -> Option<Vec<u32>> {
    line.split_whitespace().map(|c| c.strip_prefix("CPU")?.parse().ok()).collect()
}

/// Line → CPU → count. `ERR` and `MIS` have one number for the whole machine and are left out.
fn interrupts(text: &str) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut rows = text.lines();
    let Some(cpus) = rows.next().and_then(header) else { return garbled("/proc/interrupts", text) };
    let mut table = BTreeMap::new();
    for row in rows {
        let Some((name, rest)) = row.split_once(':') else { return garbled("/proc/interrupts", row) };
        let counts: BTreeMap<String, u64> = cpus
            .iter()
            .zip(rest.split_whitespace())
            .map_while(|(cpu, n)| Some((format!("cpu{cpu}"), n.parse().ok()?)))
            .collect();
        if counts.len() == cpus.len() {
            table.insert(name.trim().to_owned(), counts);
        }
    }
    Reading::Value(table)
}

fn softirqs(text: &str) -> Reading<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut rows = text.lines();
    let Some(cpus) = rows.next().and_then(header) else { return garbled("/proc/softirqs", text) };
    let mut table: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in rows {
        let Some((name, counts)) = row.split_once(':') else { return garbled("/proc/softirqs", row) };
        for (cpu, count) in cpus.iter().zip(counts.split_whitespace()) {
            let Ok(count) = count.parse() else { return garbled("/proc/softirqs", row) };
            table.entry(format!("cpu{cpu}")).or_default().insert(name.trim().to_owned(), count);
        }
    }
    Reading::Value(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_belongs_to_the_cpu_of_its_header() {
        let text = "           CPU0       CPU2       
 38:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
NMI:          0          3   Non-maskable interrupts
ERR:          0
";
        let table = interrupts(text).into_value().unwrap();
        assert_eq!(table["38"], BTreeMap::from([("cpu0".into(), 0), ("cpu2".into(), 2185)]));
        assert_eq!(table.keys().collect::<Vec<_>>(), ["38", "NMI"]);
        assert!(matches!(interrupts(""), Reading::Garbled(_)));
    }

    #[test]
    fn software_interrupts_by_cpu() {
        let text = "                    CPU0       CPU1       \n          HI:          1          0\n      NET_RX:         10         20\n";
        let table = softirqs(text).into_value().unwrap();
        assert_eq!(table["cpu1"]["NET_RX"], 20);
        assert!(matches!(softirqs(""), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = interrupts(&text);
            let _ = interrupts(&format!("CPU0\n{text}"));
            let _ = softirqs(&format!("CPU0\n{text}"));
        }
    }
}
