//! A receiver that stops the sender.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Pause frames that the device sent or received.
    /// ## Why it matters
    /// A pause frame stops the whole link for a while: every flow waits for the one receiver that does not keep up.
    /// Received pause frames hold back this host's packets, sent ones those of the link partner.
    /// ## Threshold
    /// Any growth in the counter window of a driver's counter whose name contains `pause` or `xoff`
    /// (`rx_flow_control_xoff` of ixgbe, igb and igc, `port.link_xoff_rx` of i40e, `rx_pause_ctrl_phy` of mlx5,
    /// `rx_pause` of mlx4, `rx_pause_frames` of bnxt), including those per priority, or whose name abbreviates flow
    /// control (`IEEE_rx_fdxfc` of fec, `good_fc_received` of mvneta). Counters of XON and of durations do not count. Where
    /// receivers keep up, there are no pause frames.
    /// ## Remedy
    /// Find the receiver that is too slow. Where this host sends the pause frames, reduce the load of the CPU that
    /// empties its ring. Then try the path without pause. Lossless fabrics (RoCE, FCoE) need pause on.
    pub PauseFrames = "pause-frames";
    sources [
        "IEEE 802.3-2018 (annex 31B, PAUSE)",
        "include/linux/ethtool.h in linux 6.12: struct ethtool_pause_stats",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_gstrings_stats",
        "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: port.link_xoff_rx",
        "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: link_xoff_rx.nic",
        "drivers/net/ethernet/mellanox/mlx5/core/en_stats.c in linux 6.12: rx_pause_ctrl_phy",
        "drivers/net/ethernet/mellanox/mlx4/en_ethtool.c in linux 6.12: main_strings (rx_pause)",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: rx_pause_frames",
        "drivers/net/ethernet/freescale/fec_main.c in linux 6.12: fec_stats (IEEE_rx_fdxfc, IEEE_tx_fdxfc)",
        "drivers/net/ethernet/marvell/mvneta.c in linux 6.12: mvneta_statistics (fc_sent, good_fc_received)",
        "https://github.com/ryran/xsos/issues/112 (rx_pause_frames; rx_constant_pause_events next to it is a name of bnx2x)",
        "https://github.com/NVIDIA/daqiri/issues/250 (pause with no drop counter growing)",
        "not confirmed: the text of the IEEE standard was not opened",
    ];
    follows ["nic-ring-drops", "steal-time", "thermal-throttling", "interrupts-on-one-cpu"];
}

/// What the kernel's own statistics of pause frames begin with.
pub(crate) const STANDARD: &str = "pause.";

/// Whether a driver's counter counts frames that stop the link: its name speaks of pause or XOFF. One that lets it go on
/// (XON), how long it stood, and what the pause of something else is, are no such counts.
pub(crate) fn counts(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let none = ["xon", "duration", "transition", "storm", "admin_q", "unpause", "cycles", "usec", "timeout"];
    let stops = ["pause", "xoff", "fdxfc", "fc_sent", "fc_received", "fc_rcvd"];
    stops.iter().any(|part| key.contains(part)) && !none.iter().any(|part| key.contains(part))
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, iface) in on_path(input.facts) {
        let line = |key: &str, by: u64, whose: &str| format!("{key} grew by {by} {} ({whose} counter)", within(window));
        let mut evidence: Vec<String> = Vec::new();
        for (key, by) in seen.all_grown(window, &format!("standard/{name}")) {
            if key.starts_with(STANDARD) {
                evidence.push(line(&key, by, "standard"));
            }
        }
        for (key, by) in seen.driver_grown(window, name).into_iter().filter(|(key, _)| counts(key)) {
            evidence.push(line(key.trim(), by, "driver"));
        }
        if evidence.is_empty() {
            continue;
        }
        let pause = seen.need_of(input.facts, format!("{name} pause"), &iface.pause);
        let on = pause.is_some_and(|p| ["rx", "tx"].iter().any(|side| p.get(*side) == Some(&true)));
        let found = finding(
            NAME,
            Severity::Warning,
            format!("pause frames stop the link of {name}"),
            evidence,
            "find the receiver that is too slow; then try the path without pause, unless its fabric must not lose packets",
        );
        seen.found(with(found, on.then(|| set("nic.pause", Target::Iface(name.to_owned()), "off"))));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn frames_and_the_switch_only_where_it_is_on() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "rx_flow_control_xoff", 9);
        only(NAME, &facts, &["rx_flow_control_xoff grew by 9 in 1000 ms (driver counter)"], &[]);
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings, []);
        iface(&mut facts).pause = Reading::Value(BTreeMap::from([("rx".into(), true), ("tx".into(), false)]));
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "off");
    }

    #[test]
    fn what_the_kernel_counts_itself() {
        let mut facts = healthy();
        grow(&mut facts, "standard/eth0", "pause.rx_frames", 9);
        only(NAME, &facts, &["pause.rx_frames grew by 9 in 1000 ms (standard counter)"], &[]);
    }

    #[test]
    fn names_of_other_drivers() {
        for key in [
            "rx_pause_frames",
            "rx_pause",
            "tx_xoff_sent",
            "rx_prio3_pause",
            "mmc_rx_pause_frames",
            "MacRxPause",
            "IEEE_rx_fdxfc",
            "fc_received",
        ] {
            assert!(counts(key), "{key}");
        }
        for key in
            ["rx_pause_duration", "tx_flow_control_xon", "rx_prio0_pause_transition", "admin_q_pause", "rx_packets"]
        {
            assert!(!counts(key), "{key}");
        }
    }

    #[test]
    fn blind_where_the_driver_may_not_be_asked() {
        let mut facts = healthy();
        deny_group(&mut facts, "ethtool/eth0");
        blind(NAME, &facts, "ethtool/eth0", "denied");
    }
}
