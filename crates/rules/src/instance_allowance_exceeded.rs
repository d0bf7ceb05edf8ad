//! Limits of a cloud instance.

use lowlat_model::Severity;

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets that the cloud queued or dropped because the instance had used up what its size allows.
    /// ## Why it matters
    /// The limit is the instance's, not the host's: bandwidth, packets per second, tracked connections, or traffic to
    /// link-local services. Packets above the limit are queued or dropped.
    /// ## Threshold
    /// Any growth in the counter window of an `*_allowance_exceeded` counter of the `ena` driver, or of the drops that
    /// a device's queues count because a rate limit was exceeded (`virtio_net` has them where its host counts them).
    /// ## Remedy
    /// Use a larger instance, or one with a higher network allowance; or send less traffic and open fewer connections.
    /// Nothing on the host fixes it.
    pub InstanceAllowanceExceeded = "instance-allowance-exceeded";
    sources [
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: qstats (rx-hw-drop-ratelimits, tx-hw-drop-ratelimits)",
        "drivers/net/virtio_net.c in linux 6.12: virtnet_stats_rx_speed_desc_qstat, virtnet_stats_tx_speed_desc_qstat",
        "drivers/net/ethernet/amazon/ena/ena_ethtool.c in linux 6.12: ena_stats_eni_strings",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (queue_stops; pps_allowance_exceeded)",
        "not confirmed: the meaning of each counter by Amazon's own manual, which was not opened",
    ];
}

/// What the names of the `ena` driver's counters end with.
pub(crate) const ALLOWANCE: &str = "_allowance_exceeded";
/// The kernel's names in the statistics of each queue.
pub(crate) const RATE_LIMITS: [&str; 2] = ["rx-hw-drop-ratelimits", "tx-hw-drop-ratelimits"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let line = |key: &str, by: u64, whose: &str| format!("{key} grew by {by} {} ({whose} counter)", within(window));
        let mut evidence = Vec::new();
        for (key, by) in seen.driver_grown(window, name).iter().filter(|(key, _)| key.ends_with(ALLOWANCE)) {
            evidence.push(line(key, *by, "driver"));
        }
        for key in RATE_LIMITS {
            evidence.extend(seen.queues_grown(window, name, key).map(|by| line(key, by, "queue")));
        }
        if evidence.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Critical,
            format!("{name} exceeds the allowance of its cloud instance"),
            evidence,
            "take a larger instance or send less: the limit is the cloud's or the hypervisor's, and nothing on this host fixes it",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn any_of_the_allowances() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "pps_allowance_exceeded", 12);
        grow(&mut facts, "ethtool/eth0", "conntrack_allowance_available", 12);
        only(NAME, &facts, &["pps_allowance_exceeded grew by 12 in 1000 ms (driver counter)"], &[]);
    }

    #[test]
    fn a_rate_limit_of_the_hypervisor() {
        let mut facts = healthy();
        grow(&mut facts, "queues/eth0", "tx0.tx-hw-drop-ratelimits", 4);
        only(NAME, &facts, &["tx-hw-drop-ratelimits grew by 4 in 1000 ms (queue counter)"], &[]);
    }

    #[test]
    fn blind_where_the_driver_may_not_be_asked() {
        let mut facts = healthy();
        deny_group(&mut facts, "ethtool/eth0");
        blind(NAME, &facts, "ethtool/eth0", "denied");
    }
}
