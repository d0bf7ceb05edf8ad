//! A receiver that stops the sender.

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, on_path, set, with};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Pause frames that the device sent or received.
    /// ## Why it matters
    /// A pause frame stops the whole link for a while: every flow waits for the one receiver that does not keep up.
    /// Received ones hold this host's packets back, sent ones the other side's.
    /// ## Threshold
    /// Any growth in the counter window of what the driver counts of them (`rx_flow_control_xoff` and `tx_…` of ixgbe,
    /// igb and igc, `port.link_xoff_rx` of i40e, `link_xoff_rx.nic` of ice, `rx_pause_ctrl_phy` of mlx5). Where
    /// receivers keep up there are none.
    /// ## Remedy
    /// Find the receiver that is too slow; where this host sends them, relieve the processor that empties its ring.
    /// Then try the path without pause. Fabrics that must not lose (RoCE, FCoE) need it on.
    pub PauseFrames = "pause-frames";
    sources [
        "IEEE 802.3-2018 (annex 31B, PAUSE)",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_gstrings_stats",
        "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: port.link_xoff_rx",
        "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: link_xoff_rx.nic",
        "drivers/net/ethernet/mellanox/mlx5/core/en_stats.c in linux 6.12: rx_pause_ctrl_phy",
        "not confirmed: the text of the IEEE standard was not opened",
    ];
}

const FRAMES: [&str; 8] = [
    "rx_flow_control_xoff",
    "tx_flow_control_xoff",
    "port.link_xoff_rx",
    "port.link_xoff_tx",
    "link_xoff_rx.nic",
    "link_xoff_tx.nic",
    "rx_pause_ctrl_phy",
    "tx_pause_ctrl_phy",
];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, iface) in on_path(input.facts) {
        let group = format!("ethtool/{name}");
        if !seen.counted(window, &group) {
            continue;
        }
        let grown = |key: &&&str| window.delta(&group, key).is_some_and(|by| by > 0);
        let keys: Vec<&str> = FRAMES.iter().filter(grown).copied().collect();
        if keys.is_empty() {
            continue;
        }
        let evidence = seen.grown(window, &group, &keys, "driver counter");
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
    fn blind_where_the_driver_may_not_be_asked() {
        let mut facts = healthy();
        deny_group(&mut facts, "ethtool/eth0");
        blind(NAME, &facts, "ethtool/eth0", "denied");
    }
}
