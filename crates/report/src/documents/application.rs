//! One running application: its processes, threads and sockets, a line each.

use std::fmt::Display;

use lowlat_model::application::{Application, OpenSocket, Process, Thread};
use lowlat_model::{Reading, cpus};

use crate::figures::line;
use crate::page::{Block, Section};

/// Most threads, and most sockets, that are shown one by one; the document holds all of them.
const SHOWN: usize = 12;

/// The section.
pub(crate) fn application(a: &Application) -> Section {
    let mut lines = Vec::new();
    for process in &a.processes {
        lines.push(of_process(process));
        lines.extend(few(process.threads.iter().map(of_thread).collect(), "threads"));
    }
    lines.extend(few(a.sockets.iter().map(of_socket).collect(), "sockets"));
    Section::new("Application", vec![Block::List(lines)])
}

fn few(mut lines: Vec<String>, what: &str) -> Vec<String> {
    if lines.len() > SHOWN {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("{more} more {what}: see --json"));
    }
    lines
}

/// A value, or that there is none: the reason is under what could not be checked.
fn shown<T: Display>(reading: &Reading<T>) -> String {
    reading.value().map_or_else(|| "n/a".to_owned(), ToString::to_string)
}

fn of_process(p: &Process) -> String {
    let groups = match &p.groups {
        Reading::Value(groups) if groups.is_empty() => "none".to_owned(),
        Reading::Value(groups) => {
            let of = |(iface, all): (&String, &Vec<String>)| format!("{} on {}", all.join(" "), line(iface));
            groups.iter().map(of).collect::<Vec<_>>().join(", ")
        }
        _ => "n/a".to_owned(),
    };
    format!(
        "{}[{}]: {} kB of memory in use, {} kB locked, {} kB swapped out; multicast groups: {groups}",
        line(&p.command),
        p.pid,
        shown(&p.resident_kb),
        shown(&p.locked_kb),
        shown(&p.swapped_kb)
    )
}

fn of_thread(t: &Thread) -> String {
    let class =
        if t.priority > 0 { format!("{} {}", t.policy, t.priority) } else { format!("{}, nice {}", t.policy, t.nice) };
    let allowed = t.allowed.value().map_or_else(|| "n/a".to_owned(), cpus::print_list);
    let slack = t.timer_slack_ns.value().map_or_else(|| "n/a".to_owned(), |ns| format!("{ns} ns"));
    let doing: Vec<&str> = t.doing.iter().map(|d| d.value().map_or("n/a", |d| d.call.as_str())).collect();
    let grown = t.grown.as_ref().map_or_else(String::new, |g| {
        format!(
            "; in the window {} ms of a CPU, {} sleeps, {} preemptions, {} moves, {} page faults, {} from a disk",
            g.cpu_ns / 1_000_000,
            shown(&g.sleeps),
            shown(&g.preemptions),
            shown(&g.migrations),
            g.minor_faults,
            g.major_faults
        )
    });
    format!(
        "thread {} ({}): {class}, CPU {} of {allowed}, timer slack {slack}, seen in {}{grown}",
        t.tid,
        line(&t.name),
        t.last_cpu,
        line(&doing.join(", "))
    )
}

fn of_socket(s: &OpenSocket) -> String {
    let owner = s
        .owners
        .first()
        .map_or_else(|| "no visible owner".to_owned(), |o| format!("{}[{}] fd {}", line(&o.command), o.pid, o.fd));
    let (receive, send) = s.queues.last().map_or((0, 0), |q| (q.receive, q.send));
    let options = match &s.options {
        Reading::Value(options) => {
            options.iter().map(|(k, v)| format!("{} {v}", line(k))).collect::<Vec<_>>().join(", ")
        }
        _ => "options n/a".to_owned(),
    };
    format!(
        "{owner}: {} {} to {}, {}: {receive} bytes to read, {send} to send; buffers {} and {} bytes; {} drops; {options}",
        s.protocol,
        line(&s.local),
        line(&s.remote),
        s.state,
        shown(&s.receive_buffer),
        shown(&s.send_buffer),
        shown(&s.drops)
    )
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::application::quiet;

    use super::*;

    #[test]
    fn each_thread_and_socket_has_its_line_and_what_was_not_seen_is_no_zero() {
        let mut a = quiet();
        let lines = |a: &Application| match application(a).blocks.remove(0) {
            Block::List(lines) => lines,
            other => panic!("{other:?}"),
        };
        let all = lines(&a);
        assert_eq!(
            all[0],
            "feed[812]: 30000 kB of memory in use, 40000 kB locked, 0 kB swapped out; multicast groups: 239.1.1.10 on eth0"
        );
        assert!(
            all[1].starts_with(
                "thread 812 (feed): other, nice 0, CPU 1 of 1, timer slack 1 ns, seen in running, running"
            )
        );
        assert!(all[2].contains("TCP_NODELAY 1") && all[3].contains("udp 0.0.0.0:6000"), "{all:#?}");
        a.sockets[0].drops = Reading::Denied("x".into());
        a.sockets[0].options = Reading::Denied("x".into());
        a.sockets = vec![a.sockets[0].clone(); SHOWN + 3];
        let all = lines(&a);
        assert!(all[2].ends_with("n/a drops; options n/a"), "{}", all[2]);
        assert_eq!(all.last().unwrap(), "3 more sockets: see --json");
    }
}
