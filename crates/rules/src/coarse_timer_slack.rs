//! Timers that may fire late on purpose.

use lowlat_model::defaults;

use crate::look::{chosen, few, finding, thread};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that waits with a timeout and lets the kernel end the wait late.
    /// ## Why it matters
    /// To save power the kernel may end sleeps, polls and other waits with a timeout later than asked by the thread's
    /// timer slack, 50 µs unless it is set; poll, select and epoll_wait by a thousandth of the timeout where that is
    /// more. A program that sends on a schedule is late by as much.
    /// ## Threshold
    /// A slack of 50 µs or more, on a thread that was seen in a wait with a timeout and is not of a real-time class,
    /// whose timers have none. recvmmsg is no such wait: its timeout is looked at only after a datagram came. Without a
    /// goal that is only worth knowing.
    /// ## Remedy
    /// prctl(PR_SET_TIMERSLACK, 1) in each such thread; threads that it starts inherit it. The thousandth stays: wait
    /// for a timerfd in place of a long timeout of poll, select or epoll_wait. Or spin on the clock for the last
    /// 100 µs.
    pub CoarseTimerSlack = "coarse-timer-slack";
    sources [
        "man 2 prctl (PR_SET_TIMERSLACK)",
        "man 5 proc (/proc/pid/timerslack_ns)",
        "fs/select.c in linux 6.12: select_estimate_accuracy, __estimate_accuracy",
        "fs/timerfd.c in linux 6.12: timerfd_setup",
        "net/socket.c in linux 6.12: do_recvmmsg",
        "kernel/sched/syscalls.c in linux 6.12: __setscheduler_params (none for real-time threads)",
    ];
}

/// init's slack, which every process inherits.
const SLACK: &str = "timer slack of a thread, ns";

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(application) = &input.facts.application else { return };
    let Some(default_ns) = defaults::number(SLACK, 0, None, None) else { return };
    let mut evidence = Vec::new();
    for process in &application.processes {
        for t in &process.threads {
            let timed = t.doing.iter().filter_map(|d| d.value()).find(|d| d.timed);
            let Some(doing) = timed.filter(|_| !matches!(t.policy.as_str(), "fifo" | "rr" | "deadline")) else {
                continue;
            };
            let fact = format!("timer slack of {}[{}]", process.command, process.pid);
            let Some(slack) = seen.need(fact, &t.timer_slack_ns) else { continue };
            if *slack >= default_ns {
                evidence.push(format!(
                    "{}: timer slack {} µs, seen in {}",
                    thread(process, t),
                    slack / 1_000,
                    doing.call
                ));
            }
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        chosen(input),
        "timeouts of the application may end late by its timer slack".to_owned(),
        few(evidence),
        "prctl(PR_SET_TIMERSLACK, 1) in each thread that waits with a timeout",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::application::Doing;
    use lowlat_model::{Reading, Severity};
    use lowlat_testkit::application::only_thread;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule, rule_for};

    #[test]
    fn a_timed_wait_with_the_default() {
        let mut facts = healthy();
        only_thread(&mut facts).timer_slack_ns = Reading::Value(50_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "it spins");
        only_thread(&mut facts).doing[0] = Reading::Value(Doing { call: "clock_nanosleep".into(), timed: true });
        only(NAME, &facts, &["feed[812]: timer slack 50 µs, seen in clock_nanosleep"], &[]);
        assert_eq!(rule_for(NAME, &facts, 50_000).findings[0].severity, Severity::Warning);
        only_thread(&mut facts).timer_slack_ns = Reading::Denied("x".into());
        blind(NAME, &facts, "timer slack of feed[812]", "denied");
        only_thread(&mut facts).timer_slack_ns = Reading::Value(49_999);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }
}
