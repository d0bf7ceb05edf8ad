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
    /// Any growth of `carrier_changes` in the counter window. A healthy link does not go down.
    /// ## Remedy
    /// The kernel log (`dmesg`) gives the reason: cable, transceiver, link partner, or a driver that resets its device.
    /// Tune afterwards: each reset hides the effect of a setting.
    pub LinkGoesDown = "link-goes-down";
    sources [
        "Documentation/ABI/testing/sysfs-class-net in linux 6.12: carrier_changes",
        "net/sched/sch_generic.c in linux 6.12: netif_carrier_on, netif_carrier_off",
    ];
    follows ["transmit-timeouts", "link-errors"];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, _) in on_path(input.facts) {
        let group = format!("link/{name}");
        // A stored host of an older version has the counters without this one.
        let Some(by) = window.delta(&group, "carrier_changes").filter(|by| *by > 0) else { continue };
        seen.found(finding(
            NAME,
            Severity::Critical,
            format!("the link of {name} goes down and comes back"),
            vec![format!("{name} carrier_changes grew by {by} {} (/sys/class/net)", within(window))],
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
