//! Clocks and the daemons that steer them.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::facts::TimeSync;
use lowlat_sys::{Sys, query};

use crate::linuxptp;
use crate::text::trimmed;

crate::collector! {
    /// PTP hardware clocks, whether the kernel's clock is marked as synchronized and how large the kernel estimates its
    /// error, and which daemons run that steer clocks or interrupts.
    ///
    /// Of linuxptp's programs the command line is read, and the configuration file that `-f` names if it is in a folder of
    /// root's: which clocks each steers, by which stamps, in which domain and profile.
    ///
    /// Daemons are found by the command name of each process, so one that runs in another PID namespace is not seen,
    /// and neither is one that `hidepid` hides from this user.
    pub TIMESYNC = "timesync";
    reads [
        "/sys/class/ptp/*/clock_name", "net:clock", "/proc/*/comm", "/proc/*/cmdline",
        "the configuration file that a program of linuxptp names",
    ];
    sources [
        "man 2 adjtimex",
        "Documentation/driver-api/ptp.rst in linux 6.12: PTP hardware clock infrastructure for Linux",
        "man 5 proc (/proc/pid/comm, /proc/pid/cmdline)",
        "man 8 phc2sys (-a, -r, -E, -c, -n), man 8 chronyd (-x), man 8 ptp4l (-S, -i, -f, serverOnly), man 8 ts2phc (-c)",
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
    ("openntpd", "openntpd"),
    ("ntp-daemon", "ntpd-rs"),
    ("ptpd", "ptpd"),
    ("ptpd2", "ptpd2"),
    ("sfptpd", "sfptpd"),
];

/// All of it.
pub(crate) fn read(sys: &dyn Sys) -> TimeSync {
    let clock = query::clock(sys);
    let commands = commands(sys);
    TimeSync {
        system_clock: commands.as_ref().map(|running| {
            let steers = |name: &str, pids: &Vec<String>| pids.iter().any(|pid| steers_system_clock(sys, name, pid));
            DAEMONS
                .iter()
                .filter(|(comm, name)| running.get(*comm).is_some_and(|pids| steers(name, pids)))
                .map(|(_, name)| (*name).to_owned())
                .collect()
        }),
        ptp_clocks: ptp_clocks(sys),
        synchronized: clock.as_ref().map(|c| c.synchronized),
        estimated_error_ns: clock.map(|c| c.estimated_error_ns),
        daemons: commands.as_ref().map(|running| {
            DAEMONS.iter().filter(|(comm, _)| running.contains_key(*comm)).map(|(_, name)| (*name).to_owned()).collect()
        }),
        ptp_programs: commands.as_ref().map(|running| {
            let mut all = Vec::new();
            for name in ["ptp4l", "phc2sys", "ts2phc"] {
                for pid in running.get(name).into_iter().flatten() {
                    let line = sys.read(&format!("/proc/{pid}/cmdline")).into_value().unwrap_or_default();
                    all.push(linuxptp::program(sys, name, &line));
                }
            }
            all
        }),
        irqbalance: commands.map(|running| running.contains_key("irqbalance")),
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

/// Whether this process steers the system clock. A command line that cannot be read leaves the program's usual part.
///
/// `phc2sys -E ntpshm` only feeds another daemon; `chronyd -x`, `phc2sys -a` without `-r` and `ptp4l` with hardware stamps leave
/// the system clock alone, and `ts2phc` steers PTP clocks.
fn steers_system_clock(sys: &dyn Sys, name: &str, pid: &str) -> bool {
    let line = sys.read(&format!("/proc/{pid}/cmdline")).into_value().unwrap_or_default();
    match name {
        "phc2sys" if line.is_empty() => true,
        "phc2sys" | "ptp4l" | "ts2phc" => linuxptp::program(sys, name, &line).system_clock,
        "chronyd" => !line.split('\0').skip(1).any(|w| flags(w).contains('x')),
        _ => true,
    }
}

/// `-xd` → `xd`; nothing for an operand or a long option.
fn flags(word: &str) -> &str {
    word.strip_prefix('-').filter(|f| !f.starts_with('-')).unwrap_or_default()
}

/// Command name → process numbers, of all processes. One that ended between the listing and the read is not an answer and is
/// left out.
fn commands(sys: &dyn Sys) -> Reading<BTreeMap<String, Vec<String>>> {
    sys.list("/proc").map(|entries| {
        let mut running: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pid in entries.into_iter().filter(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit())) {
            if let Some(comm) = trimmed(sys.read(&format!("/proc/{pid}/comm"))).into_value() {
                running.entry(comm).or_default().push(pid);
            }
        }
        running
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

    #[test]
    fn who_steers_the_system_clock() {
        let host = |phc2sys: &str, chronyd: &str| {
            let sys = FakeSys::new()
                .file("/proc/50/comm", "ptp4l\n")
                .file("/proc/50/cmdline", "/usr/sbin/ptp4l\0-i\0eth0\0")
                .file("/proc/51/comm", "phc2sys\n")
                .file("/proc/51/cmdline", phc2sys)
                .file("/proc/52/comm", "chronyd\n")
                .file("/proc/52/cmdline", chronyd);
            read(&sys).system_clock.into_value().unwrap()
        };
        assert_eq!(host("phc2sys\0-a\0-r\0", "chronyd\0-d\0"), ["phc2sys", "chronyd"]);
        assert_eq!(host("phc2sys\0-a\0-r\0-E\0ntpshm\0", "chronyd\0"), ["chronyd"], "a reference clock of the other");
        assert_eq!(host("phc2sys\0-a\0-r\0", "chronyd\0-xd\0"), ["phc2sys"]);
        assert_eq!(host("phc2sys\0-a\0", "chronyd\0"), ["chronyd"], "ptp4l's clocks alone");
        assert_eq!(host("", "chronyd\0-x\0"), ["phc2sys"], "what cannot be read has its usual part");
    }
}
