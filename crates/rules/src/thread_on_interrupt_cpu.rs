//! A busy thread on a CPU that takes the NIC's interrupts.

use lowlat_model::{Counters, Severity, Window};

use crate::look::{few, finding, per_second, thread, watched};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A thread of the application that runs most of the time on a CPU where interrupts of the path's interface fire.
    /// ## Why it matters
    /// Each interrupt and the softirq after it stop the thread, by some microseconds. Under load ksoftirqd takes over
    /// and shares the CPU with the thread; a real-time thread that spins keeps it from running.
    /// ## Threshold
    /// The thread had more than half of a CPU, and an interrupt line of the interface fired a hundred times a second or
    /// more on the one it was on last (a heuristic). A thread that polls the queue itself, so that the interrupts
    /// stay off, may well share the CPU: then they do not fire.
    /// ## Remedy
    /// Pin the thread to a neighbour of that CPU on the same node, or the interrupt elsewhere (irq.affinity).
    pub ThreadOnInterruptCpu = "thread-on-interrupt-cpu";
    sources [
        "man 5 proc (/proc/interrupts; /proc/pid/stat, processor)",
        "Documentation/core-api/irq/irq-affinity.rst in linux 6.12: SMP IRQ affinity",
        "kernel/softirq.c in linux 6.12: handle_softirqs, wakeup_softirqd",
        "heuristic: half of a CPU, a hundred interrupts a second",
    ];
}

const BUSY_NS_PER_SECOND: f64 = 5e8;
const PER_SECOND: f64 = 100.0;

/// How often a line fired on a CPU in the host's window, and its length in seconds.
fn fired(window: &Window, irq: u32, cpu: u32) -> Option<(u64, f64)> {
    let by = window.delta(&format!("irq/{irq}"), &format!("cpu{cpu}"))?;
    let ns = |c: &Counters| c.at_ns;
    #[allow(clippy::cast_precision_loss)] // a window is far below 2^53 ns
    let seconds = ns(&window.after).saturating_sub(ns(&window.before)) as f64 / 1e9;
    (seconds > 0.0).then_some((by, seconds))
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some((seconds, threads)) = watched(seen, input) else { return };
    let busy: Vec<_> =
        threads.into_iter().filter(|(_, _, g)| per_second(g.cpu_ns, seconds) > BUSY_NS_PER_SECOND).collect();
    if busy.is_empty() {
        return;
    }
    let Some(irqs) = seen.need("interrupts of the interfaces", &input.facts.irqs) else { return };
    let Some(window) = seen.window(input) else { return };
    let mut evidence = Vec::new();
    for (process, t, _) in busy {
        for irq in irqs {
            let Some((by, seconds)) = fired(window, irq.irq, t.last_cpu) else { continue };
            if per_second(by, seconds) >= PER_SECOND {
                let who = thread(process, t);
                evidence.push(format!(
                    "{who} runs on CPU {}, where {} of {} fired {by} times",
                    t.last_cpu, irq.action, irq.iface
                ));
            }
        }
    }
    if evidence.is_empty() {
        return;
    }
    seen.found(finding(
        NAME,
        Severity::Warning,
        "the application runs on a CPU that takes the NIC's interrupts".to_owned(),
        few(evidence),
        "pin the thread to another CPU of the same node, or the interrupt elsewhere",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::application::grown;
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_busy_thread_and_the_interrupts_of_its_cpu() {
        let mut facts = healthy();
        grow(&mut facts, "irq/41", "cpu1", 98);
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "irq/41", "cpu1", 100);
        only(NAME, &facts, &["feed[812] runs on CPU 1, where eth0-TxRx-1 of eth0 fired 199 times"], &[]);
        grown(&mut facts).cpu_ns = 500_000_000;
        assert_eq!(rule(NAME, &facts), Seen::default(), "mostly asleep");
    }

    #[test]
    fn blind_without_the_interrupts() {
        let mut facts = healthy();
        facts.irqs = Reading::Denied("x".into());
        blind(NAME, &facts, "interrupts of the interfaces", "denied");
    }
}
