//! Clocks and the daemons that steer them.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_model::facts::TimeSync;
use lowlat_sys::{Sys, query};

use crate::text::trimmed;

crate::collector! {
    /// PTP hardware clocks, whether the kernel's clock counts as synchronized and how large it thinks its error is,
    /// and which of the daemons run that steer clocks or interrupts.
    ///
    /// Daemons are found by the command name of each process, so one that runs in another PID namespace is not seen,
    /// nor is one that `hidepid` hides from this user.
    pub TIMESYNC = "timesync";
    reads ["/sys/class/ptp/*/clock_name", "net:clock", "/proc/*/comm"];
    sources [
        "man 2 adjtimex",
        "Documentation/driver-api/ptp.rst in linux 6.12: PTP hardware clock infrastructure for Linux",
        "man 5 proc (/proc/pid/comm)",
    ];
}

/// Command names are cut to 15 bytes by the kernel (TASK_COMM_LEN, include/linux/sched.h).
const DAEMONS: &[(&str, &str)] = &[
    ("ptp4l", "ptp4l"),
    ("phc2sys", "phc2sys"),
    ("ts2phc", "ts2phc"),
    ("chronyd", "chronyd"),
    ("systemd-timesyn", "systemd-timesyncd"),
    ("ntpd", "ntpd"),
];

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> TimeSync {
    let clock = query::clock(sys);
    let commands = commands(sys);
    TimeSync {
        ptp_clocks: ptp_clocks(sys),
        synchronized: clock.as_ref().map(|c| c.synchronized),
        estimated_error_ns: clock.map(|c| c.estimated_error_ns),
        daemons: commands.as_ref().map(|running| {
            DAEMONS.iter().filter(|(comm, _)| running.contains(*comm)).map(|(_, name)| (*name).to_owned()).collect()
        }),
        irqbalance: commands.map(|running| running.contains("irqbalance")),
    }
}

fn ptp_clocks(sys: &dyn Sys) -> Reading<BTreeMap<String, String>> {
    sys.list("/sys/class/ptp").map(|names| {
        names
            .into_iter()
            .map(|name| {
                let clock = match trimmed(sys.read(&format!("/sys/class/ptp/{name}/clock_name"))) {
                    Reading::Value(clock) => clock,
                    other => other.why_not().map(|(kind, why)| format!("{kind}: {why}")).unwrap_or_default(),
                };
                (name, clock)
            })
            .collect()
    })
}

/// The command names of all processes. One that ended between the listing and the read is not an answer and is left
/// out.
fn commands(sys: &dyn Sys) -> Reading<BTreeSet<String>> {
    sys.list("/proc").map(|entries| {
        entries
            .iter()
            .filter(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()))
            .filter_map(|pid| trimmed(sys.read(&format!("/proc/{pid}/comm"))).into_value())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    #[test]
    fn daemons_by_their_cut_names() {
        let sys = FakeSys::new()
            .file("/proc/1/comm", "systemd\n")
            .file("/proc/40/comm", "systemd-timesyn\n")
            .file("/proc/41/comm", "irqbalance\n");
        let time = read(&sys);
        assert_eq!(time.daemons, Reading::Value(vec!["systemd-timesyncd".into()]));
        assert_eq!(time.irqbalance, Reading::Value(true));
        assert!(matches!(time.ptp_clocks, Reading::Absent(_)));
    }
}
