//! A device that stops sending.

use lowlat_model::Severity;

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A transmit queue that the kernel found stuck, after which the driver reset the device.
    /// ## Why it matters
    /// That queue sent nothing for seconds (five by default), and the reset that follows drops the packets in the rings
    /// and often takes the link down.
    /// ## Threshold
    /// Any growth in the counter window of the kernel's `tx_timeout` of a queue, or of a driver's counter whose name
    /// contains `tx_timeout` or `tx timeout`, or is `wd_expired` (ena: the device did not answer in time).
    /// ## Remedy
    /// This is a fault of device, firmware or driver: try newer firmware and a newer kernel first. For `e1000e`
    /// ("Detected Hardware Unit Hang") the known workaround is to switch segmentation offload off; other devices have
    /// other workarounds. No latency setting fixes it.
    pub TransmitTimeouts = "transmit-timeouts";
    sources [
        "Documentation/ABI/testing/sysfs-class-net-queues in linux 6.12: tx_timeout",
        "net/sched/sch_generic.c in linux 6.12: dev_watchdog",
        "drivers/net/ethernet/amazon/ena/ena_ethtool.c in linux 6.12: ena_stats_global_strings (tx_timeout, wd_expired)",
        "https://github.com/clearlinux/distribution/issues/2091 (e1000e, Detected Hardware Unit Hang)",
    ];
    follows ["pci-express-errors"];
}

/// Whether a driver's counter counts its timeouts: `tx_timeout_count` (Intel), `tx timeout count` (vmxnet3).
pub(crate) fn counts(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("tx_timeout") || key.contains("tx timeout") || key.trim() == "wd_expired"
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let mut evidence = Vec::new();
        if let Some(by) = window.delta(&format!("link/{name}"), "tx_timeout").filter(|by| *by > 0) {
            evidence.push(format!("{name} tx_timeout grew by {by} {} (kernel, all queues)", within(window)));
        }
        for (key, by) in seen.driver_grown(window, name) {
            if counts(&key) {
                evidence.push(format!("{name} {} grew by {by} {} (driver counter)", key.trim(), within(window)));
            }
        }
        if evidence.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Critical,
            format!("{name} stops sending and is reset"),
            evidence,
            "look for newer firmware and a newer kernel, and for the driver's own lines in the kernel log; tune afterwards",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_queue_that_is_stuck() {
        let mut facts = healthy();
        assert_eq!(rule(NAME, &facts), Seen::default());
        grow(&mut facts, "link/eth0", "tx_timeout", 1);
        grow(&mut facts, "ethtool/eth0", "tx timeout count", 1);
        let want = [
            "eth0 tx_timeout grew by 1 in 1000 ms (kernel, all queues)",
            "eth0 tx timeout count grew by 1 in 1000 ms (driver counter)",
        ];
        only(NAME, &facts, &want, &[]);
    }

    #[test]
    fn blind_without_a_window() {
        let mut facts = healthy();
        facts.window = None;
        blind(NAME, &facts, "counter growth", "absent");
    }
}
