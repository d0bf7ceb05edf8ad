//! Interrupts put off for a poller that is not there.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, joint, number, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// `gro_flush_timeout` set on an interface while nobody busy-polls.
    /// ## Why it matters
    /// With this timeout, NAPI holds segments that GRO could merge until the timer expires or a program polls; with
    /// `napi_defer_hard_irqs` it also keeps the interrupt off until then. Both are meant for programs that poll.
    /// Without such a program each packet may wait for the timer.
    /// ## Threshold
    /// A timeout above zero, `net.core.busy_poll` and `busy_read` both zero, and no packet received by busy polling in
    /// the counter window. A program that polls through `SO_BUSY_POLL` or epoll shows in that counter only while it
    /// receives. It is a warning with `napi_defer_hard_irqs` above zero. Otherwise it is `info`: only segments that GRO
    /// can merge are held. A deferral of 1 with 20 µs is the default of `r8169`, `macb` and `ravb`, and is `info` too.
    /// ## Remedy
    /// Set the timeout and the deferral back to 0, or have the program poll (`SO_PREFER_BUSY_POLL`).
    pub GroFlushWithoutPoller = "gro-flush-without-poller";
    sources [
        "Documentation/networking/napi.rst in linux 6.12: Software IRQ coalescing, IRQ mitigation",
        "net/core/dev.c in linux 6.12: napi_complete_done, netdev_sw_irq_coalesce_default_on (20000, 1)",
    ];
}

/// What some drivers start with, ns and polls.
const DRIVERS_OWN: (u64, u64) = (20_000, 1);

fn look(input: &Input<'_>, seen: &mut Seen) {
    let facts = input.facts;
    for (name, iface) in on_path(facts) {
        let timeout = seen.need_of(facts, format!("{name} gro_flush_timeout"), &iface.gro_flush_timeout_ns);
        let Some(timeout) = timeout.copied().filter(|t| *t > 0) else { continue };
        let busy = ["net.core.busy_poll", "net.core.busy_read"].map(|key| number(seen, facts, key));
        if busy.iter().any(|b| b.is_none_or(|us| us > 0)) {
            continue;
        }
        let mut evidence = vec![
            format!("{name} gro_flush_timeout = {timeout} ns"),
            "net.core.busy_poll = 0, busy_read = 0".to_owned(),
        ];
        if let Some(window) = seen.window(input) {
            match seen.growth(window, "netstat", "TcpExt.BusyPollRxPackets") {
                Some(0) => evidence.push(format!("no packet was received by busy polling {}", within(window))),
                Some(_) => continue,
                None => {}
            }
        }
        let iface_target = || Target::Iface(name.to_owned());
        let mut settings = vec![set("nic.gro-flush-timeout", iface_target(), 0)];
        let mut severity = Severity::Info;
        if let Some(defer) = iface.napi_defer_hard_irqs.value().filter(|d| **d > 0) {
            evidence.push(format!("{name} napi_defer_hard_irqs = {defer}"));
            let by_driver = (timeout, *defer) == DRIVERS_OWN;
            severity = if by_driver { Severity::Info } else { Severity::Warning };
            settings.push(set("nic.napi-defer-hard-irqs", iface_target(), 0));
        }
        let found = finding(
            NAME,
            severity,
            format!("{name} defers packets for a poller that does not run"),
            evidence,
            "set the timeout back to 0, or have the program poll (SO_PREFER_BUSY_POLL)",
        );
        seen.found(with(found, joint(&format!("deferral of {name}"), settings)));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{grow, healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_timer_and_no_poller() {
        let mut facts = healthy();
        iface(&mut facts).gro_flush_timeout_ns = Reading::Value(200_000);
        iface(&mut facts).napi_defer_hard_irqs = Reading::Value(2);
        only(
            NAME,
            &facts,
            &[
                "eth0 gro_flush_timeout = 200000 ns",
                "net.core.busy_poll = 0, busy_read = 0",
                "no packet was received by busy polling in 1000 ms",
                "eth0 napi_defer_hard_irqs = 2",
            ],
            &[],
        );
        let settings = rule(NAME, &facts).findings.remove(0).remedy.settings;
        assert!(settings.len() == 2 && settings.iter().all(|s| s.joint.as_deref() == Some("deferral of eth0")));
        grow(&mut facts, "netstat", "TcpExt.BusyPollRxPackets", 5);
        assert_eq!(rule(NAME, &facts), Seen::default(), "somebody polls");
    }

    #[test]
    fn what_a_driver_starts_with_is_worth_knowing() {
        let mut facts = healthy();
        iface(&mut facts).gro_flush_timeout_ns = Reading::Value(20_000);
        iface(&mut facts).napi_defer_hard_irqs = Reading::Value(1);
        assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Info);
    }

    #[test]
    fn blind_without_the_file() {
        let mut facts = healthy();
        iface(&mut facts).gro_flush_timeout_ns = Reading::Denied("x".into());
        blind(NAME, &facts, "eth0 gro_flush_timeout", "denied");
    }
}
