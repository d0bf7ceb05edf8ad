//! Processes and threads, from `/proc`.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::application::{Grown, Owner, Process, Thread};
use lowlat_sys::Sys;

use super::{ApplicationProblem, calls};
use crate::text::{cpu_list, garbled, trimmed};

/// A tick of `utime` and `stime`, ns: `USER_HZ` is 100 on both machines (include/asm-generic/param.h in linux 6.12).
const TICK_NS: u64 = 10_000_000;
/// A thread of the kernel (include/linux/sched.h in linux 6.12).
const PF_KTHREAD: u64 = 0x0020_0000;

/// Numbers of all processes.
pub(super) fn all(sys: &dyn Sys) -> Vec<u32> {
    sys.list("/proc").into_value().into_iter().flatten().filter_map(|name| name.parse().ok()).collect()
}

/// Refuses what is no running program.
pub(super) fn is_a_program(sys: &dyn Sys, pid: u32) -> Result<(), ApplicationProblem> {
    let gone = ApplicationProblem::NoProcess(pid);
    let Some(stat) = sys.read(&format!("/proc/{pid}/stat")).into_value().and_then(|t| Stat::parse(&t)) else {
        return Err(gone);
    };
    if stat.flags & PF_KTHREAD != 0 {
        return Err(ApplicationProblem::Kernel(pid));
    }
    if matches!(stat.state, 'Z' | 'X') {
        return Err(gone);
    }
    let of = sys.read(&format!("/proc/{pid}/status")).into_value();
    match of.as_deref().and_then(|text| field(text, "Tgid")).and_then(|t| t.parse().ok()) {
        Some(group) if group != pid => Err(ApplicationProblem::Thread(pid, group)),
        _ => Ok(()),
    }
}

/// What a process does, by its first thread (proc(5), /proc/pid/stat); `None` where it has ended.
pub(super) fn state(sys: &dyn Sys, pid: u32) -> Option<&'static str> {
    let stat = sys.read(&format!("/proc/{pid}/stat")).into_value().and_then(|t| Stat::parse(&t))?;
    Some(match stat.state {
        'R' => "running",
        'S' | 'I' => "sleeping",
        'D' => "waiting for a device",
        'T' => "stopped",
        't' => "stopped by a debugger",
        'Z' | 'X' => return None,
        _ => "in a state without a name here",
    })
}

/// The sockets among a process's descriptors, by inode.
pub(super) fn descriptors(sys: &dyn Sys, pid: u32) -> Reading<Vec<(u32, Owner)>> {
    let command = trimmed(sys.read(&format!("/proc/{pid}/comm"))).into_value().unwrap_or_default();
    sys.list(&format!("/proc/{pid}/fd")).map(|names| {
        let socket = |name: String| {
            let target = sys.link_target(&format!("/proc/{pid}/fd/{name}")).into_value()?;
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
            Some((inode, Owner { pid, fd: name.parse().ok()?, command: command.clone() }))
        };
        names.into_iter().filter_map(socket).collect()
    })
}

/// A process at its first reading.
pub(super) struct Look {
    machine: String,
    started: u64,
    process: Process,
    threads: BTreeMap<u32, Counts>,
}

/// What of a thread grows.
struct Counts {
    cpu_ns: u64,
    minor: u64,
    major: u64,
    sleeps: Reading<u64>,
    preemptions: Reading<u64>,
    migrations: Reading<u64>,
    waited_ns: Reading<u64>,
}

/// Looks at a process.
pub(super) fn look(sys: &dyn Sys, pid: u32, machine: &str) -> Result<Look, ApplicationProblem> {
    let gone = || ApplicationProblem::NoProcess(pid);
    let stat = sys.read(&format!("/proc/{pid}/stat")).into_value().and_then(|t| Stat::parse(&t)).ok_or_else(gone)?;
    let status = sys.read(&format!("/proc/{pid}/status"));
    let memory = |key: &str| kb(&status, key);
    let (threads, counts) = threads(sys, pid, machine);
    if threads.is_empty() {
        return Err(gone());
    }
    let process = Process {
        pid,
        command: stat.name,
        locked_kb: memory("VmLck"),
        resident_kb: memory("VmRSS"),
        swapped_kb: memory("VmSwap"),
        groups: sys.read(&format!("/proc/{pid}/net/igmp")).and_then(|text| crate::interfaces::multicast_groups(&text)),
        threads: threads.into_values().collect(),
    };
    Ok(Look { machine: machine.to_owned(), started: stat.started, process, threads: counts })
}

impl Look {
    /// The second reading.
    pub(super) fn again(&mut self, sys: &dyn Sys) -> Result<(), ApplicationProblem> {
        let pid = self.process.pid;
        let stat = sys.read(&format!("/proc/{pid}/stat")).into_value().and_then(|t| Stat::parse(&t));
        // The number may be another program's by now.
        if stat.is_none_or(|s| s.started != self.started || matches!(s.state, 'Z' | 'X')) {
            return Err(ApplicationProblem::Ended(pid));
        }
        let (mut now, counts) = threads(sys, pid, &self.machine);
        for thread in &mut self.process.threads {
            let (Some(later), Some(is), Some(was)) =
                (now.remove(&thread.tid), counts.get(&thread.tid), self.threads.get(&thread.tid))
            else {
                continue;
            };
            let doing = thread.doing.iter().cloned().chain(later.doing).collect();
            *thread = Thread { doing, grown: Some(is.since(was)), ..later };
        }
        // Threads that came since have nothing that grew.
        self.process.threads.extend(now.into_values());
        self.process.threads.sort_by_key(|t| t.tid);
        Ok(())
    }

    /// The process as it was read.
    pub(super) fn done(self) -> Process {
        self.process
    }
}

impl Counts {
    fn since(&self, was: &Self) -> Grown {
        let by = |is: &Reading<u64>, was: &Reading<u64>| {
            is.as_ref().and_then(|is| was.as_ref().map(|was| is.saturating_sub(*was)))
        };
        Grown {
            cpu_ns: self.cpu_ns.saturating_sub(was.cpu_ns),
            sleeps: by(&self.sleeps, &was.sleeps),
            preemptions: by(&self.preemptions, &was.preemptions),
            migrations: by(&self.migrations, &was.migrations),
            waited_ns: by(&self.waited_ns, &was.waited_ns),
            minor_faults: self.minor.saturating_sub(was.minor),
            major_faults: self.major.saturating_sub(was.major),
        }
    }
}

/// Every thread of a process. One that ends while it is read is left out.
fn threads(sys: &dyn Sys, pid: u32, machine: &str) -> (BTreeMap<u32, Thread>, BTreeMap<u32, Counts>) {
    let (mut threads, mut all) = (BTreeMap::new(), BTreeMap::new());
    let tids = sys.list(&format!("/proc/{pid}/task")).into_value().unwrap_or_default();
    for tid in tids.iter().filter_map(|name| name.parse::<u32>().ok()) {
        let file = |name: &str| sys.read(&format!("/proc/{pid}/task/{tid}/{name}"));
        let Some(stat) = file("stat").into_value().and_then(|text| Stat::parse(&text)) else { continue };
        let status = file("status");
        all.insert(
            tid,
            Counts {
                cpu_ns: stat.ticks.saturating_mul(TICK_NS),
                minor: stat.minor,
                major: stat.major,
                sleeps: number(&status, "voluntary_ctxt_switches"),
                preemptions: number(&status, "nonvoluntary_ctxt_switches"),
                migrations: file("sched").and_then(|text| migrations(&text)),
                waited_ns: file("schedstat").and_then(|text| waited(&text)),
            },
        );
        let thread = Thread {
            tid,
            name: stat.name,
            policy: policy(stat.policy),
            priority: stat.priority,
            nice: stat.nice,
            last_cpu: stat.cpu,
            allowed: status.and_then(|text| match field(&text, "Cpus_allowed_list") {
                Some(list) => cpu_list(list),
                None => garbled("a thread's status without Cpus_allowed_list", &text),
            }),
            timer_slack_ns: sys.read(&format!("/proc/{tid}/timerslack_ns")).parse("timer slack"),
            doing: vec![file("syscall").and_then(|text| calls::doing(&text, machine))],
            grown: None,
        };
        threads.insert(tid, thread);
    }
    (threads, all)
}

/// Part of `/proc/PID/stat`.
struct Stat {
    name: String,
    state: char,
    flags: u64,
    minor: u64,
    major: u64,
    ticks: u64,
    nice: i32,
    started: u64,
    cpu: u32,
    priority: u32,
    policy: u32,
}

impl Stat {
    /// The name is in parentheses and may hold anything, a parenthesis too: it ends at the last one (proc(5)).
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // proc(5) counts from 1, and the state is field 3.
        let at = |n: usize| fields.get(n - 3).copied();
        let number = |n: usize| at(n)?.parse::<u64>().ok();
        Some(Self {
            name,
            state: at(3)?.chars().next()?,
            flags: number(9)?,
            minor: number(10)?,
            major: number(12)?,
            ticks: number(14)?.saturating_add(number(15)?),
            nice: at(19)?.parse().ok()?,
            started: number(22)?,
            cpu: at(39)?.parse().ok()?,
            priority: at(40)?.parse().ok()?,
            policy: at(41)?.parse().ok()?,
        })
    }
}

/// include/uapi/linux/sched.h in linux 6.12.
fn policy(number: u32) -> String {
    match number {
        0 => "other".to_owned(),
        1 => "fifo".to_owned(),
        2 => "rr".to_owned(),
        3 => "batch".to_owned(),
        5 => "idle".to_owned(),
        6 => "deadline".to_owned(),
        7 => "ext".to_owned(),
        other => format!("policy {other}"),
    }
}

/// `Key:\tvalue` of a status file.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}

fn number(status: &Reading<String>, key: &str) -> Reading<u64> {
    status.clone().and_then(|text| match field(&text, key).map(str::parse) {
        Some(Ok(value)) => Reading::Value(value),
        _ => garbled(key, field(&text, key).unwrap_or_default()),
    })
}

/// `VmLck:\t     0 kB`
fn kb(status: &Reading<String>, key: &str) -> Reading<u64> {
    status.clone().and_then(|text| match field(&text, key).map(|v| v.trim_end_matches("kB").trim().parse()) {
        Some(Ok(value)) => Reading::Value(value),
        Some(Err(_)) => garbled(key, field(&text, key).unwrap_or_default()),
        None => Reading::Absent(format!("no {key} in the process's status: it has no memory of its own")),
    })
}

/// `se.nr_migrations   :    3`
fn migrations(text: &str) -> Reading<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("se.nr_migrations"));
    match line.map(|rest| rest.trim_start_matches([' ', ':']).trim().parse()) {
        Some(Ok(value)) => Reading::Value(value),
        Some(Err(_)) => garbled("se.nr_migrations", line.unwrap_or_default()),
        None => {
            Reading::Unsupported("this kernel does not count a thread's migrations (CONFIG_SCHED_DEBUG)".to_owned())
        }
    }
}

/// `/proc/PID/schedstat`: time on a CPU, time of waiting for one, turns (Documentation/scheduler/sched-stats.rst).
fn waited(text: &str) -> Reading<u64> {
    match text.split_whitespace().nth(1).map(str::parse) {
        Some(Ok(value)) => Reading::Value(value),
        _ => garbled("schedstat", text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let mut fields = vec!["0"; 39];
        fields[0] = "S";
        fields[36] = "3";
        fields[37] = "50";
        fields[38] = "1";
        let stat = Stat::parse(&format!("812 (a) b (c) {}", fields.join(" "))).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.cpu, stat.priority), ("a) b (c", 'S', 3, 50));
        assert_eq!(policy(stat.policy), "fifo");
        assert!(Stat::parse("812 (a) S 1 2").is_none());
    }

    #[test]
    fn what_is_not_counted_is_not_zero() {
        assert_eq!(migrations("se.nr_migrations                   :                    7\n"), Reading::Value(7));
        assert!(matches!(migrations("policy : 0\n"), Reading::Unsupported(_)));
        assert!(matches!(waited("12"), Reading::Garbled(_)));
        assert_eq!(waited("10 20 3\n"), Reading::Value(20));
        let status = Reading::Value("VmLck:\t    64 kB\nvoluntary_ctxt_switches:\t5\n".to_owned());
        assert_eq!(
            (kb(&status, "VmLck"), number(&status, "voluntary_ctxt_switches")),
            (Reading::Value(64), Reading::Value(5))
        );
        assert!(matches!(kb(&status, "VmSwap"), Reading::Absent(_)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_garbled(text in "\\PC*(\n\\PC*){0,3}") {
            let _ = (Stat::parse(&text), migrations(&text), waited(&text));
            let _ = kb(&Reading::Value(text), "VmLck");
        }
    }
}
