//! Packets the device had nowhere to put.

use std::collections::BTreeMap;

use lowlat_model::Severity;
use lowlat_model::op::Target;

use crate::look::{finding, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets that the device dropped because the host had given it no free receive descriptor.
    /// ## Why it matters
    /// The packet reached the machine and was lost before the kernel saw it. Either the processor that empties the ring
    /// is too busy or asleep too long, or the ring is too small for the bursts.
    /// ## Threshold
    /// Any growth in the counter window of the kernel's `rx_missed_errors` or `rx_fifo_errors`, or of the driver's own
    /// counter for it: `rx_no_buffer_count` (igb, igc, ixgbe), `rx_no_dma_resources` (ixgbe), `rx_out_of_buffer` and
    /// `rx_discards_phy` (mlx5), `port_rx_nodesc_drops` (sfc), or a queue's counter that ends in `_rx_drops`.
    /// ## Remedy
    /// Relieve the processor that takes the interrupt. Then the next size of the receive ring: a large ring hides the
    /// fault and spoils the cache, so one step at a time. Changing it resets the device.
    pub NicRingDrops = "nic-ring-drops";
    sources [
        "include/uapi/linux/if_link.h in linux 6.12: struct rtnl_link_stats64 (rx_missed_errors, rx_fifo_errors)",
        "Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst in linux 6.12: rx_out_of_buffer, rx_discards_phy",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_gstrings_stats",
        "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_gstrings_stats",
        "drivers/net/ethernet/sfc/ef10.c in linux 6.12: port_rx_nodesc_drops",
    ];
}

/// Names that mean the same in different drivers. `rx_missed_errors` of a driver is the kernel's own again.
const KERNEL: [&str; 2] = ["rx_missed_errors", "rx_fifo_errors"];
const DRIVER: [&str; 5] =
    ["rx_no_buffer_count", "rx_no_dma_resources", "rx_out_of_buffer", "rx_discards_phy", "port_rx_nodesc_drops"];

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    for (name, iface) in on_path(input.facts) {
        let link = format!("link/{name}");
        let mut grown: BTreeMap<String, (u64, &str)> = BTreeMap::new();
        for key in KERNEL {
            if let Some(by) = seen.growth(window, &link, key).filter(|by| *by > 0) {
                grown.insert(key.to_owned(), (by, "kernel"));
            }
        }
        // What a driver does not count is not a fact missed: the kernel's counters above stand for all of them.
        let driver = format!("ethtool/{name}");
        let keys = window.after.groups.get(&driver).and_then(|g| g.value()).into_iter().flat_map(|g| g.keys());
        for key in keys.filter(|k| DRIVER.contains(&k.as_str()) || k.ends_with("_rx_drops")) {
            if let Some(by) = window.delta(&driver, key).filter(|by| *by > 0) {
                grown.entry(key.clone()).or_insert((by, "driver"));
            }
        }
        if grown.is_empty() {
            continue;
        }
        let mut evidence: Vec<String> = grown
            .iter()
            .map(|(key, (by, whose))| format!("{name} {key} grew by {by} {} ({whose} counter)", within(window)))
            .collect();
        let ring = seen.need_of(input.facts, format!("{name} rings"), &iface.rings).and_then(|r| r.get("rx"));
        if let Some(ring) = ring {
            evidence.push(format!("{name} receive ring: {} of {} at most", ring.current, ring.max));
        }
        let larger = ring
            .filter(|r| r.current < r.max)
            .map(|r| set("nic.ring.rx", Target::Iface(name.to_owned()), r.current.saturating_mul(2).clamp(1, r.max)));
        let found = finding(
            NAME,
            Severity::Critical,
            format!("{name} drops received packets for lack of free descriptors"),
            evidence,
            "relieve the CPU that takes its interrupts; then enlarge the receive ring by one step, which resets the device",
        );
        seen.found(with(found, larger));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn no_free_descriptor() {
        let mut facts = healthy();
        grow(&mut facts, "ethtool/eth0", "rx_no_dma_resources", 8);
        only(
            NAME,
            &facts,
            &[
                "eth0 rx_no_dma_resources grew by 8 in 1000 ms (driver counter)",
                "eth0 receive ring: 512 of 4096 at most",
            ],
            &[],
        );
        assert_eq!(rule(NAME, &facts).findings[0].remedy.settings[0].value, "1024");
    }

    #[test]
    fn the_kernels_counter_where_the_driver_has_none() {
        let mut facts = healthy();
        deny_group(&mut facts, "ethtool/eth0");
        grow(&mut facts, "link/eth0", "rx_missed_errors", 2);
        assert_eq!(
            rule(NAME, &facts).findings[0].evidence[0],
            "eth0 rx_missed_errors grew by 2 in 1000 ms (kernel counter)"
        );
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "link/eth0");
        blind(NAME, &facts, "link/eth0", "denied");
    }
}
