//! Errors of PCI Express links.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::{device, interfaces};

crate::collector! {
    /// Per interface, the errors that its device's PCI Express link reported: `correctable` ones were fixed by a
    /// retransmission, `nonfatal` and `fatal` ones lost data.
    pub AER = "counters/aer";
    reads ["/sys/devices/**/aer_dev_{correctable,nonfatal,fatal}"];
    sources ["Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats in linux 6.12: aer_dev_correctable"];
}

/// The file's last part, its total's line, and the name it gets.
const FILES: [(&str, &str, &str); 3] = [
    ("correctable", "TOTAL_ERR_COR", "correctable"),
    ("nonfatal", "TOTAL_ERR_NONFATAL", "nonfatal"),
    ("fatal", "TOTAL_ERR_FATAL", "fatal"),
];

/// Reads it.
pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    for link in interfaces::links(sys) {
        let Reading::Value(pci) = device::of(sys, &link.name).map(|d| d.pci) else { continue };
        let Some(pci) = pci else { continue };
        let mut counters = BTreeMap::new();
        let mut why = None;
        for (file, total, name) in FILES {
            match sys.read(&format!("{pci}/aer_dev_{file}")).and_then(|t| sum(&t, total)) {
                Reading::Value(n) => drop(counters.insert(name.to_owned(), n)),
                // What is not understood is reported before what is not there.
                other if matches!(why, None | Some(Reading::Absent(_))) => why = Some(other.map(|_| BTreeMap::new())),
                _ => {}
            }
        }
        groups.insert(format!("aer/{}", link.name), why.unwrap_or(Reading::Value(counters)));
    }
}

fn sum(text: &str, total: &str) -> Reading<u64> {
    let line = text.lines().find_map(|l| l.trim().strip_prefix(total));
    match line.map(|n| n.trim().parse()) {
        Some(Ok(n)) => Reading::Value(n),
        _ => crate::text::garbled("aer_dev", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_last_line() {
        let text = "Receiver Error 2\nBad TLP 0\nTOTAL_ERR_COR 2\n";
        assert_eq!(sum(text, "TOTAL_ERR_COR"), Reading::Value(2));
        assert!(matches!(sum("Bad TLP 0\n", "TOTAL_ERR_COR"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = sum(&text, "TOTAL_ERR_COR");
        }
    }
}
