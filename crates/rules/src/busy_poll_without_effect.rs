//! Busy polling that takes no packet.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, joint, number, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A host that is configured to busy-poll and receives packets, but none of them by busy polling.
    /// ## Why it matters
    /// The setting then costs CPU time in every waiting program and gains nothing. Possible causes: the driver has no
    /// NAPI instance that can be polled (virtual links), programs sleep in epoll with sockets that are not marked for
    /// busy polling, or programs never wait.
    /// ## Threshold
    /// `net.core.busy_read` or `busy_poll` is above zero, the interface received packets in the counter window, and
    /// `BusyPollRxPackets` did not grow.
    /// ## Remedy
    /// Set both back to 0 and set socket.busy-poll in the program that gains from it; or find out why the device cannot
    /// be polled.
    pub BusyPollWithoutEffect = "busy-poll-without-effect";
    sources [
        "net/core/dev.c in linux 6.12: napi_busy_loop (BusyPollRxPackets)",
        "Documentation/networking/napi.rst in linux 6.12: Busy polling",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let set_to =
        ["net.core.busy_read", "net.core.busy_poll"].map(|key| (key, number(seen, input.facts, key).unwrap_or(0)));
    if set_to.iter().all(|(_, us)| *us == 0) {
        return;
    }
    let Some(window) = seen.window(input) else { return };
    let received: u64 = on_path(input.facts)
        .into_iter()
        .filter_map(|(name, _)| window.delta(&format!("link/{name}"), "rx_packets"))
        .sum();
    let Some(polled) = seen.growth(window, "netstat", "TcpExt.BusyPollRxPackets") else { return };
    if received == 0 || polled > 0 {
        return;
    }
    let mut evidence: Vec<String> =
        set_to.iter().filter(|(_, us)| *us > 0).map(|(key, us)| format!("{key} = {us}")).collect();
    evidence.push(format!("{received} packets received, none of them by busy polling {}", within(window)));
    let found = finding(
        NAME,
        Severity::Info,
        "busy polling is on but receives no packet".to_owned(),
        evidence,
        "set busy_read and busy_poll back to 0, and let the program that benefits set it on its own socket",
    );
    let back = set_to.into_iter().filter(|(_, us)| *us > 0);
    let back = back.map(|(key, _)| set(&format!("sysctl.{key}"), Target::Host, 0)).collect();
    seen.found(with(found, joint("busy polling", back)));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn told_to_poll_and_nothing_polled() {
        let mut facts = healthy();
        facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("50".into()));
        only(
            NAME,
            &facts,
            &["net.core.busy_read = 50", "1000 packets received, none of them by busy polling in 1000 ms"],
            &[],
        );
        let settings = &rule(NAME, &facts).findings[0].remedy.settings;
        assert_eq!((settings.len(), settings[0].knob.as_str()), (1, "sysctl.net.core.busy_read"));
        grow(&mut facts, "netstat", "TcpExt.BusyPollRxPackets", 5);
        assert_eq!(rule(NAME, &facts), Seen::default());
        deny_group(&mut facts, "netstat");
        blind(NAME, &facts, "netstat", "denied");
    }
}
