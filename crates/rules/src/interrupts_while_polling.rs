//! Interrupts that fire although somebody polls.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, joint, number, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A device whose interrupts keep firing while programs busy-poll it.
    /// ## Why it matters
    /// Poller and interrupt then take turns on the same queue: the interrupt stops a program, often the poller itself,
    /// for packets that the poller would have taken anyway. With a deferral the kernel keeps the interrupt off as long
    /// as a program polls, and a timer starts the processing when no program does.
    /// ## Threshold
    /// Packets were received by busy polling in the counter window, the device's lines fired more than 1000 times a
    /// second (a heuristic), and its `napi_defer_hard_irqs` is 0.
    /// ## Remedy
    /// Set `napi_defer_hard_irqs` to 2 and `gro_flush_timeout` to 200 µs on the interface as one step, and set
    /// `SO_PREFER_BUSY_POLL` in the program that polls. All traffic on this interface that no program polls, logins
    /// included, then waits for that timer.
    pub InterruptsWhilePolling = "interrupts-while-polling";
    sources [
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation (napi_defer_hard_irqs, gro_flush_timeout, SO_PREFER_BUSY_POLL)",
        "net/core/dev.c in linux 6.12: napi_complete_done, busy_poll_stop",
        "https://github.com/firedancer-io/firedancer/issues/10371 (logins on a shared interface wait for the timer)",
        "heuristic: 1000 a second; a deferral of 2 polls and 200 µs",
    ];
}

const PER_SECOND: f64 = 1_000.0;
/// Two empty polls, and a timer longer than a poller stays away between two packets.
const DEFER: u32 = 2;
const TIMER_NS: u32 = 200_000;

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    let busy = ["net.core.busy_read", "net.core.busy_poll"].map(|key| number(seen, facts, key).unwrap_or(0));
    let engine = input.baseline.is_some_and(|b| b.engine == "busy-poll");
    if busy == [0, 0] && !engine {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    if !engine && seen.growth(window, "netstat", "TcpExt.BusyPollRxPackets").is_none_or(|by| by == 0) {
        return;
    }
    let Some(irqs) = seen.need("interrupts of the interfaces", &facts.irqs) else { return };
    for (name, iface) in on_path(facts) {
        let defer = seen.need_of(facts, format!("{name} napi_defer_hard_irqs"), &iface.napi_defer_hard_irqs);
        if defer.is_none_or(|n| *n > 0) {
            continue;
        }
        let of = |line: u32| {
            let group = format!("irq/{line}");
            let cpus = window.after.groups.get(&group).and_then(|g| g.value()).into_iter().flat_map(|g| g.keys());
            cpus.filter_map(|cpu| window.rate(&group, cpu)).sum::<f64>()
        };
        let rate: f64 = irqs.iter().filter(|irq| irq.iface == name).map(|irq| of(irq.irq)).sum();
        if rate <= PER_SECOND {
            continue;
        }
        let iface = || Target::Iface(name.to_owned());
        let found = finding(
            NAME,
            Severity::Warning,
            format!("{name} interrupts although somebody polls it"),
            vec![format!("{name}: {rate:.0} interrupts a second"), format!("{name} napi_defer_hard_irqs = 0")],
            "defer its interrupts while somebody polls, and set SO_PREFER_BUSY_POLL in the program; what nobody polls then waits for the timer",
        );
        let settings =
            vec![set("nic.napi-defer-hard-irqs", iface(), DEFER), set("nic.gro-flush-timeout", iface(), TIMER_NS)];
        seen.found(with(found, joint(&format!("deferral of {name}"), settings)));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn poller_and_interrupt_take_turns() {
        let mut facts = healthy();
        facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("50".into()));
        grow(&mut facts, "netstat", "TcpExt.BusyPollRxPackets", 5_000);
        assert_eq!(rule(NAME, &facts), Seen::default(), "few interrupts");
        grow(&mut facts, "irq/40", "cpu0", 4_000);
        only(NAME, &facts, &["eth0: 4002 interrupts a second", "eth0 napi_defer_hard_irqs = 0"], &[]);
        let settings = rule(NAME, &facts).findings.remove(0).remedy.settings;
        assert!(settings.len() == 2 && settings.iter().all(|s| s.joint.as_deref() == Some("deferral of eth0")));
        facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("0".into()));
        assert_eq!(rule(NAME, &facts), Seen::default(), "nobody polls");
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("50".into()));
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
