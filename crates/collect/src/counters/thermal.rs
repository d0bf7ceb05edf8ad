//! Thermal throttling.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::cpus;

crate::collector! {
    /// Per CPU, how often the core and its package were slowed down because they became too hot. Only Intel processors
    /// on bare metal have these counters.
    pub THERMAL = "counters/thermal";
    reads ["/sys/devices/system/cpu/cpu*/thermal_throttle/{core,package}_throttle_count"];
    sources ["drivers/thermal/intel/therm_throt.c in linux 6.12: thermal_attr_group"];
}

const KEYS: [&str; 2] = ["core_throttle_count", "package_throttle_count"];

/// Reads it.
pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    for cpu in cpus::online(sys).into_value().unwrap_or_default() {
        let dir = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle");
        let mut counters = BTreeMap::new();
        let mut why = None;
        for key in KEYS {
            match sys.read(&format!("{dir}/{key}")).parse::<u64>(key) {
                Reading::Value(n) => drop(counters.insert(key.to_owned(), n)),
                other @ Reading::Garbled(_) => {
                    counters.clear();
                    why = Some(other.map(|_| BTreeMap::new()));
                    break;
                }
                other => why = why.or(Some(other.map(|_| BTreeMap::new()))),
            }
        }
        // A processor may count one of the two alone (X86_FEATURE_PTS is the package's).
        let reading = if counters.is_empty() { why } else { None };
        groups.insert(format!("thermal/cpu{cpu}"), reading.unwrap_or(Reading::Value(counters)));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn one_of_the_two_is_enough_and_none_says_why() {
        let mut groups = Groups::new();
        let sys = FakeSys::new()
            .file("/sys/devices/system/cpu/online", "0-1\n")
            .file("/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "3\n");
        read(&sys, &mut groups);
        assert_eq!(groups["thermal/cpu0"], Reading::Value(BTreeMap::from([("core_throttle_count".into(), 3)])));
        assert!(matches!(groups["thermal/cpu1"], Reading::Absent(_)));
    }
}
