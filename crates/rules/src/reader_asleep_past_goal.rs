//! A goal that is missed while the reader sleeps for each packet's interrupt.

use lowlat_model::Severity;
use lowlat_model::op::Target;
use lowlat_model::units::us;

use crate::look::{finding, number, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A median above the goal, measured by a reader that sleeps, on a device with interrupts, where nobody busy-polls.
    /// ## Why it matters
    /// Each packet then waits for the device's interrupt (which the device may delay), for the softirq and for the
    /// wake-up of the reader. A reader that polls the device's queue itself takes all three out of the path.
    /// ## Threshold
    /// The measured median is above the goal, the probe was sent by an engine that sleeps (`block`, `epoll`),
    /// `net.core.busy_read` and `busy_poll` are 0, and the interface has interrupt lines of its own: without a device
    /// queue there is nothing to poll.
    /// ## Remedy
    /// Set `SO_BUSY_POLL` on the sockets that matter (socket.busy-poll), for as long as the wait is worth a core. For
    /// the whole host use `net.core.busy_read` and `busy_poll`; the kernel's documentation recommends 50 µs, and 100 µs
    /// for several hundred sockets. A reader that stops polling before its answer arrives has spun for nothing, so
    /// lowlat proposes the host's setting only where the median is no longer than that.
    pub ReaderAsleepPastGoal = "reader-asleep-past-goal";
    sources [
        "https://docs.kernel.org/networking/napi.html (busy polling)",
        "https://docs.kernel.org/admin-guide/sysctl/net.html (busy_read, busy_poll)",
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: busy_read (50), busy_poll (50, for several hundreds 100)",
    ];
}

/// What the kernel's documentation recommends for the whole host (admin-guide/sysctl/net.rst, busy_read).
const SPIN_US: u32 = 50;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let (Some(goal), Some(baseline)) = (input.goal_ns, input.baseline) else { return };
    let Some(p50) = baseline.rtt.p50_ns.filter(|p50| *p50 > goal) else { return };
    if !matches!(baseline.engine.as_str(), "block" | "epoll") {
        return;
    }
    let facts = input.facts;
    let keys = ["net.core.busy_read", "net.core.busy_poll"];
    if keys.iter().any(|key| number(seen, facts, key).is_none_or(|us| us > 0)) {
        return;
    }
    let Some(irqs) = seen.need("interrupts of the interfaces", &facts.irqs) else { return };
    for (name, _) in on_path(facts) {
        if !irqs.iter().any(|irq| irq.iface == name) {
            continue;
        }
        let evidence = vec![
            format!("measured with {}, which sleeps: P50 {} µs; the goal is {} µs", baseline.engine, us(p50), us(goal)),
            "net.core.busy_read = 0, busy_poll = 0".to_owned(),
        ];
        let found = finding(
            NAME,
            Severity::Warning,
            format!("the reader sleeps for each interrupt of {name} while the goal is missed"),
            evidence,
            "set SO_BUSY_POLL on the sockets that matter; for the whole host busy_read and busy_poll take 50 to 100 µs; a waiting reader costs a core",
        );
        // The longest wait worth spinning through is the round trip itself: a reader that gives up before has spun for
        // nothing.
        let spin = SPIN_US.max(u32::try_from(p50.div_ceil(1_000)).unwrap_or(u32::MAX));
        let host = (spin <= LONGEST_US).then(|| set("sysctl.net.core.busy_read", Target::Host, spin));
        seen.found(with(found, host));
        return;
    }
}

/// The longest that the kernel's documentation recommends for a whole host (busy_poll, for several hundred sockets).
const LONGEST_US: u32 = 100;

#[cfg(test)]
mod tests {
    use lowlat_model::{Measurement, Reading};
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::find;
    use crate::tests::baseline;

    fn run(facts: &lowlat_model::Facts, measured: &Measurement, goal_ns: Option<u64>) -> Seen {
        find(NAME).unwrap().check(&Input { facts, baseline: Some(measured), goal_ns })
    }

    fn measured(p50_ns: u64) -> Measurement {
        let mut measured = baseline(Some(3));
        measured.rtt.p50_ns = Some(p50_ns);
        measured
    }

    #[test]
    fn a_missed_goal_with_a_sleeping_reader() {
        let facts = healthy();
        let found = run(&facts, &measured(80_000), Some(50_000)).findings.remove(0);
        assert_eq!(
            found.evidence,
            [
                "measured with block, which sleeps: P50 80.0 µs; the goal is 50.0 µs",
                "net.core.busy_read = 0, busy_poll = 0"
            ]
        );
        let set: Vec<_> = found.remedy.settings.iter().map(|s| (s.knob.as_str(), s.value.as_str())).collect();
        assert_eq!(set, [("sysctl.net.core.busy_read", "80")]);
        assert_eq!(run(&facts, &measured(20_000), Some(10_000)).findings[0].remedy.settings[0].value, "50");
        assert_eq!(
            run(&facts, &measured(120_000), Some(10_000)).findings[0].remedy.settings,
            [],
            "a whole host does not spin that long"
        );
    }

    #[test]
    fn silent_where_the_goal_is_met_or_somebody_polls() {
        let mut facts = healthy();
        assert_eq!(run(&facts, &measured(40_000), Some(50_000)), Seen::default());
        assert_eq!(run(&facts, &measured(120_000), None), Seen::default());
        let mut spins = measured(120_000);
        spins.engine = "spin".into();
        assert_eq!(run(&facts, &spins, Some(50_000)), Seen::default());
        facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("50".into()));
        assert_eq!(run(&facts, &measured(120_000), Some(50_000)), Seen::default());
    }

    #[test]
    fn silent_where_there_is_no_queue_and_blind_where_none_is_seen() {
        let mut facts = healthy();
        facts.irqs = Reading::Value(Vec::new());
        assert_eq!(run(&facts, &measured(120_000), Some(50_000)), Seen::default());
        facts.irqs = Reading::Denied("for the test".into());
        assert_eq!(run(&facts, &measured(120_000), Some(50_000)).not_seen.len(), 1);
    }
}
