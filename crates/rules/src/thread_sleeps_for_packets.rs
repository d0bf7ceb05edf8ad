//! A thread that sleeps until a packet comes.

use crate::look::{chosen, few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that sleeps in a call that waits for input.
    /// ## Why it matters
    /// Each packet then waits for the wake-up: the scheduler, an idle state that the processor has to come out of, cold
    /// caches. That is some microseconds at best, and more than everything else on a fast path. Where the goal is not
    /// that near, sleeping is right.
    /// ## Threshold
    /// Ten sleeps a second or more, and at one of the readings the thread was in a call such as recvmsg, epoll_wait or poll
    /// (a heuristic). Without a goal that is only worth knowing.
    /// ## Remedy
    /// Spin on a CPU of its own: recv with MSG_DONTWAIT, or epoll_wait with a timeout of 0, in a loop. Or let the
    /// kernel poll the device's queue in the call: SO_BUSY_POLL, with SO_PREFER_BUSY_POLL, for a read
    /// (socket.busy-poll), EPIOCSPARAMS for epoll_wait (socket.epoll-busy-poll), SO_BUSY_POLL and net.core.busy_poll
    /// for poll and select.
    pub ThreadSleepsForPackets = "thread-sleeps-for-packets";
    sources [
        "man 5 proc (/proc/pid/syscall, voluntary_ctxt_switches)",
        "man 7 socket (SO_BUSY_POLL)",
        "Documentation/networking/napi.rst in linux 6.12: Busy polling, IRQ mitigation",
        "fs/eventpoll.c in linux 6.12: ep_busy_loop_on",
        "heuristic: ten sleeps a second",
    ];
}

const PER_SECOND: f64 = 10.0;
/// Calls that wait for input.
const INPUT: &[&str] = &[
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "io_uring_enter",
];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let mut evidence = Vec::new();
    for (process, t, grown) in threads {
        let who = thread(process, t);
        let Some(sleeps) = seen.need(format!("sleeps of {who}"), &grown.sleeps) else { continue };
        if per_second(*sleeps, seconds) < PER_SECOND {
            continue;
        }
        let mut calls = Vec::new();
        for doing in &t.doing {
            let Some(doing) = seen.need(format!("system calls of {}[{}]", process.command, process.pid), doing) else {
                continue;
            };
            if INPUT.contains(&doing.call.as_str()) && !calls.contains(&doing.call.as_str()) {
                calls.push(doing.call.as_str());
            }
        }
        if !calls.is_empty() {
            let cpu = per_second(grown.cpu_ns, seconds) / 1e7;
            evidence.push(format!(
                "{who} slept {sleeps} times in the window, in {}; {cpu:.0} % of a CPU",
                calls.join(", ")
            ));
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        chosen(input),
        "the application sleeps until each packet comes".to_owned(),
        few(evidence),
        "spin on a CPU of its own (MSG_DONTWAIT, epoll_wait with timeout 0), or set SO_BUSY_POLL on the sockets",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::application::Doing;
    use lowlat_model::{Reading, Severity};
    use lowlat_testkit::application::{grown, of, only_thread};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule, rule_for};

    #[test]
    fn a_reader_that_sleeps() {
        let mut facts = healthy();
        grown(&mut facts).sleeps = Reading::Value(10);
        assert_eq!(rule(NAME, &facts), Seen::default(), "it sleeps for something else");
        only_thread(&mut facts).doing[1] = Reading::Value(Doing { call: "epoll_wait".into(), timed: false });
        grown(&mut facts).cpu_ns = 30_000_000;
        only(NAME, &facts, &["feed[812] slept 10 times in the window, in epoll_wait; 3 % of a CPU"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Warning);
        grown(&mut facts).sleeps = Reading::Value(9);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_where_it_may_not_be_seen() {
        let mut facts = healthy();
        grown(&mut facts).sleeps = Reading::Value(100);
        only_thread(&mut facts).doing = vec![Reading::Denied("x".into())];
        blind(NAME, &facts, "system calls of feed[812]", "denied");
        of(&mut facts).window_ns = None;
        blind(NAME, &facts, "what the application's threads do", "absent");
    }
}
