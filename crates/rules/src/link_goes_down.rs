//! A link that comes and goes.

use lowlat_model::Severity;

use crate::look::{finding, on_path, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A link that went down or came up within the counter window.
    /// ## Why it matters
    /// While the link is down nothing passes, and both ends need seconds to negotiate again. Routes, neighbour entries
    /// and bonds change with it. A driver that resets its device also takes the link down.
    /// ## Threshold
    /// Any growth in the counter window of `carrier_changes`, or of a driver's counter of its link going down
    /// (`link_down_events_phy` of mlx5, `link_down_events` of bnxt). A healthy link does not go down.
    /// ## Remedy
    /// The kernel log (`dmesg`) gives the reason: cable, transceiver, link partner, or a driver that resets its device.
    /// Tune afterwards: each reset hides the effect of a setting.
    pub LinkGoesDown = "link-goes-down";
    sources [
        "Documentation/ABI/testing/sysfs-class-net in linux 6.12: carrier_changes",
        "net/sched/sch_generic.c in linux 6.12: netif_carrier_on, netif_carrier_off",
        "drivers/net/ethernet/mellanox/mlx5/core/en_stats.c in linux 6.12: link_down_events_phy",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: link_down_events",
    ];
    follows ["transmit-timeouts", "link-errors"];
}

/// Whether a driver's counter counts how often its link went down.
pub(crate) fn counts(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("link_down") || key.contains("link down")
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let mut evidence = Vec::new();
        // A stored host of an older version has the counters without this one.
        if let Some(by) = window.delta(&format!("link/{name}"), "carrier_changes").filter(|by| *by > 0) {
            evidence.push(format!("{name} carrier_changes grew by {by} {} (/sys/class/net)", within(window)));
        }
        for (key, by) in seen.driver_grown(window, name).into_iter().filter(|(key, _)| counts(key)) {
            evidence.push(format!("{name} {} grew by {by} {} (driver counter)", key.trim(), within(window)));
        }
        if evidence.is_empty() {
            continue;
        }
        seen.found(finding(
            NAME,
            Severity::Critical,
            format!("the link of {name} goes down and comes back"),
            evidence,
            "read the kernel log for the reason: cable, transceiver, far side, or a driver that resets its device",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_link_that_flaps() {
        let mut facts = healthy();
        assert_eq!(rule(NAME, &facts), Seen::default(), "changes before the window are history");
        grow(&mut facts, "link/eth0", "carrier_changes", 4);
        only(NAME, &facts, &["eth0 carrier_changes grew by 4 in 1000 ms (/sys/class/net)"], &[]);
    }

    #[test]
    fn blind_without_a_window() {
        let mut facts = healthy();
        facts.window = None;
        blind(NAME, &facts, "counter growth", "absent");
    }
}
