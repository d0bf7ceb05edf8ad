//! Idle states.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::cpus;

crate::collector! {
    /// Per CPU and idle state, how often the CPU entered it and how long it stayed there in total.
    pub IDLE = "counters/idle";
    reads ["/sys/devices/system/cpu/cpu*/cpuidle/state*/{usage,time}"];
    sources [
        "Documentation/admin-guide/pm/cpuidle.rst in linux 6.12: Representation of Idle States",
    ];
}

pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    for cpu in cpus::online(sys).into_value().unwrap_or_default() {
        let states = match cpus::state_indexes(sys, cpu) {
            Reading::Value(states) => states,
            other => {
                groups.insert(format!("cpuidle/cpu{cpu}/*"), other.map(|_| BTreeMap::new()));
                continue;
            }
        };
        for n in states {
            let dir = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle/state{n}");
            let file = |name: &str| sys.read(&format!("{dir}/{name}")).parse::<u64>(name);
            let counters = file("usage").and_then(|usage| {
                file("time").map(|time| BTreeMap::from([("usage".to_owned(), usage), ("time_us".to_owned(), time)]))
            });
            groups.insert(format!("cpuidle/cpu{cpu}/state{n}"), counters);
        }
    }
}
