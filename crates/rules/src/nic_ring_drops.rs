//! Packets the device had nowhere to put.

use std::collections::BTreeMap;

use lowlat_model::op::Target;
use lowlat_model::{Severity, Window};

use crate::look::{finding, on_path, set, with, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Packets that the device dropped because the host had given it no free receive descriptor.
    /// ## Why it matters
    /// The packet reached the machine and was lost before the kernel saw it. Either the CPU that empties the ring is
    /// too busy or sleeps too long, or the ring is too small for the bursts.
    /// ## Threshold
    /// Any growth in the counter window of the kernel's `rx_missed_errors`, `rx_fifo_errors` or `rx_over_errors`, of
    /// `rx-hw-drop-overruns` in the statistics of its queues, or of the driver's own counter: `rx_no_dma_resources`
    /// (ixgbe), `rx_out_of_buffer` (mlx5), `port_rx_nodesc_drops` (sfc), `port.rx_dropped` (i40e; newer kernels call it
    /// `port.rx_discards`), `rx_dropped.nic` (ice), `pkts rx OOB` (vmxnet3), `rx_no_buffers_posted` (gve),
    /// `rx_discards` (bnxt, bnx2x), a queue's `_drops` (igb), `_rx_drops` (bna), `hc_rx_discards_no_wqe` (mana),
    /// `no_buff_discards` (qede), `rx_no_bufs` (enic), `[hw] rx nobuffer discards` (dpaa2), `rx_drops_no_frags` and
    /// `rx_drops_no_erx_descr` (be2net), `InDroppedDma` (atlantic), `rxbds_empty` and `rx_discards` (tg3), `rx_missed`
    /// (r8169), `rx_resource_errors` (macb), `IEEE_rx_macerr` (fec), `rx_nodesc_drop_cnt` (older sfc devices). `iavf`,
    /// `ena`, `atlantic` and an `i40e` with the older name count these losses as the kernel's `rx_dropped` (on `ena`
    /// together with what an XDP program drops), a counter that means something else on other drivers.
    /// `rx_no_buffer_count` of Intel's 1 Gbit/s devices is not a loss: the packet waited in the device.
    /// ## Remedy
    /// Reduce the load of the CPU that takes the interrupt. Then raise the receive ring to its next size, one step at a
    /// time: a large ring hides the fault and pollutes the cache. Changing the ring resets the device.
    pub NicRingDrops = "nic-ring-drops";
    sources [
        "include/uapi/linux/if_link.h in linux 6.12: struct rtnl_link_stats64 (rx_missed_errors, rx_fifo_errors, rx_over_errors)",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: qstats (rx-hw-drop-overruns)",
        "Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst in linux 6.12: rx_out_of_buffer, rx_discards_phy",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_gstrings_stats",
        "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.12: igb_update_stats (E1000_RQDPC to rx_fifo_errors, E1000_MPC to rx_missed_errors)",
        "drivers/net/ethernet/intel/i40e/i40e_main.c in linux 6.12: i40e_update_vsi_stats (rx_discards to rx_missed_errors)",
        "linux commit 5337d294973331660e84e41836a54014de22e5b0: i40e: Add rx_missed_errors for buffer exhaustion (rx_dropped before it)",
        "drivers/net/ethernet/intel/iavf/iavf_virtchnl.c in linux 6.12: iavf_virtchnl_completion (rx_discards to rx_dropped)",
        "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: rx_dropped.nic",
        "drivers/net/vmxnet3/vmxnet3_ethtool.c in linux 6.12: vmxnet3_rq_dev_stats (pkts rx OOB)",
        "drivers/net/ethernet/google/gve/gve_ethtool.c in linux 6.12: rx_no_buffers_posted",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_ring_rx_stats_str",
        "drivers/net/ethernet/amazon/ena/ena_netdev.c in linux 6.12: ena_get_stats64 (rx_drops and what XDP drops, to rx_dropped)",
        "https://github.com/the-tcpdump-group/libpcap/issues/1328 (vmxnet3 reports no rx_missed_errors)",
        "https://github.com/ccfos/huatuo/pull/26 (which counter holds hardware drops, by driver)",
        "drivers/net/ethernet/sfc/ef10.c in linux 6.12: port_rx_nodesc_drops",
        "drivers/net/ethernet/broadcom/bnx2x/bnx2x_ethtool.c in linux 6.12: bnx2x_q_stats_arr (no_buff_discard_hi)",
        "drivers/net/ethernet/microsoft/mana/mana_ethtool.c in linux 6.12: mana_eth_stats (hc_rx_discards_no_wqe)",
        "drivers/net/ethernet/qlogic/qede/qede_ethtool.c in linux 6.12: qede_stats_arr (no_buff_discards)",
        "drivers/net/ethernet/cisco/enic/enic_ethtool.c in linux 6.12: enic_rx_stats (rx_no_bufs)",
        "drivers/net/ethernet/freescale/dpaa2/dpaa2-ethtool.c in linux 6.12: dpaa2_ethtool_stats",
        "drivers/net/ethernet/emulex/benet/be_ethtool.c in linux 6.12: et_stats, et_rx_stats",
        "drivers/net/ethernet/aquantia/atlantic/aq_ethtool.c in linux 6.12: aq_ethtool_stat_names (InDroppedDma)",
        "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_get_nstats (rxbds_empty, rx_discards)",
        "drivers/net/ethernet/realtek/r8169_main.c in linux 6.12: rtl8169_gstrings (rx_missed)",
        "drivers/net/ethernet/cadence/macb_main.c in linux 6.12: gem_get_stats (rx_resource_errors)",
        "drivers/net/ethernet/freescale/fec_main.c in linux 6.12: fec_stats (IEEE_rx_macerr)",
    ];
    follows ["steal-time", "thermal-throttling", "interrupts-on-one-cpu"];
}

/// Names that mean the same in different drivers.
pub(crate) const KERNEL: [&str; 2] = ["rx_missed_errors", "rx_fifo_errors"];
/// An older name of the kernel for `rx_fifo_errors` (include/uapi/linux/if_link.h, rx_over_errors: the two were used
/// interchangeably). Not every stored host has it.
pub(crate) const OLDER: &str = "rx_over_errors";
/// The kernel's name for them in the statistics of each queue.
pub(crate) const OVERRUNS: &str = "rx-hw-drop-overruns";
/// Drivers that count these losses as the kernel's `rx_dropped`.
const AS_DROPPED: [&str; 4] = ["i40e", "iavf", "ena", "atlantic"];
/// Where `i40e` has this counter, its `rx_dropped` holds other losses, and those for want of descriptors are in
/// `rx_missed_errors` (linux commit 5337d2949733).
const I40E_APART: &str = "port.rx_discards";
/// A driver's own name for them, and the drivers where it means them; none named where it is one driver's alone.
const OWN: [(Name, &[&str]); 23] = [
    (Name::Is("rx_no_dma_resources"), &[]),
    (Name::Is("rx_out_of_buffer"), &[]),
    (Name::Is("port_rx_nodesc_drops"), &[]),
    (Name::Is("port.rx_dropped"), &[]),
    (Name::Is(I40E_APART), &[]),
    (Name::Is("rx_dropped.nic"), &[]),
    (Name::Is("pkts rx OOB"), &[]),
    (Name::Begins("rx_no_buffers_posted"), &["gve"]),
    (Name::Is("hc_rx_discards_no_wqe"), &[]),
    (Name::Is("no_buff_discards"), &[]),
    (Name::Is("rx_no_bufs"), &["enic"]),
    (Name::Is("[hw] rx nobuffer discards"), &[]),
    (Name::Is("rx_drops_no_erx_descr"), &[]),
    (Name::Ends("rx_drops_no_frags"), &[]),
    (Name::Is("InDroppedDma"), &[]),
    (Name::Is("rxbds_empty"), &[]),
    (Name::Is("rx_missed"), &["r8169", "r8168", "r8125"]),
    (Name::Ends("rx_resource_errors"), &["macb"]),
    (Name::Is("IEEE_rx_macerr"), &[]),
    (Name::Is("rx_nodesc_drop_cnt"), &[]),
    (Name::Ends("rx_discards"), &["bnxt_en", "bnx2x", "tg3", "iavf"]),
    (Name::Ends("_drops"), &["igb", "igc"]),
    (Name::Ends("_rx_drops"), &["bna"]),
];

/// How a counter's name is known.
enum Name {
    Is(&'static str),
    Begins(&'static str),
    Ends(&'static str),
}

/// Whether a counter of this driver counts packets that found no descriptor. `vmxnet3` indents its names. Some drivers show
/// the kernel's own again.
pub(crate) fn counts(driver: &str, key: &str) -> bool {
    let key = key.trim();
    KERNEL.contains(&key)
        || key == OLDER
        || OWN.iter().any(|(name, drivers)| {
            let named = match name {
                Name::Is(name) => key == *name,
                Name::Begins(name) => key.starts_with(name),
                Name::Ends(name) => key.ends_with(name),
            };
            named && (drivers.is_empty() || drivers.contains(&driver))
        })
}

/// Whether the kernel's `rx_dropped` of this interface counts packets that found no descriptor.
pub(crate) fn as_dropped(window: &Window, iface: &str, driver: &str) -> bool {
    let own = window.after.groups.get(&format!("ethtool/{iface}")).and_then(|g| g.value());
    AS_DROPPED.contains(&driver) && !own.is_some_and(|g| g.contains_key(I40E_APART))
}

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
        if let Some(by) = window.delta(&link, OLDER).filter(|by| *by > 0) {
            grown.insert(OLDER.to_owned(), (by, "kernel"));
        }
        if let Some(by) = seen.queues_grown(window, name, OVERRUNS) {
            grown.insert(OVERRUNS.to_owned(), (by, "queue"));
        }
        let driver = iface.driver.value().map_or("", String::as_str);
        if as_dropped(window, name, driver)
            && let Some(by) = window.delta(&link, "rx_dropped").filter(|by| *by > 0)
        {
            grown.insert("rx_dropped".to_owned(), (by, "kernel"));
        }
        // What a driver does not count is not a fact missed: the kernel's counters above stand for all of them.
        let keys = window.after.groups.get(&format!("ethtool/{name}")).and_then(|g| g.value());
        for key in keys.into_iter().flat_map(|g| g.keys()).filter(|key| counts(driver, key)) {
            if let Some(by) = window.delta(&format!("ethtool/{name}"), key).filter(|by| *by > 0) {
                grown.entry(key.trim().to_owned()).or_insert((by, "driver"));
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
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy, iface};

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
    fn what_its_queues_count() {
        let mut facts = healthy();
        grow(&mut facts, "queues/eth0", "rx0.rx-hw-drop-overruns", 5);
        grow(&mut facts, "queues/eth0", "rx1.rx-hw-drop-overruns", 3);
        grow(&mut facts, "queues/eth0", "rx1.rx-packets", 3_000);
        only(NAME, &facts, &["eth0 rx-hw-drop-overruns grew by 8 in 1000 ms (queue counter)", RING], &[]);
    }

    #[test]
    fn each_drivers_own_name() {
        for (driver, group, key) in [
            ("tg3", "link/eth0", "rx_over_errors"),
            ("vmxnet3", "ethtool/eth0", "  pkts rx OOB"),
            ("i40e", "link/eth0", "rx_dropped"),
            ("i40e", "ethtool/eth0", "port.rx_dropped"),
            ("i40e", "ethtool/eth0", "port.rx_discards"),
            ("ice", "ethtool/eth0", "rx_dropped.nic"),
            ("ena", "link/eth0", "rx_dropped"),
            ("gve", "ethtool/eth0", "rx_no_buffers_posted[3]"),
            ("bnxt_en", "ethtool/eth0", "[0]: rx_discards"),
            ("igb", "ethtool/eth0", "rx_queue_0_drops"),
            ("mlx5_core", "ethtool/eth0", "rx_out_of_buffer"),
            ("bnx2x", "ethtool/eth0", "[0]: rx_discards"),
            ("mana", "ethtool/eth0", "hc_rx_discards_no_wqe"),
            ("qede", "ethtool/eth0", "no_buff_discards"),
            ("enic", "ethtool/eth0", "rx_no_bufs"),
            ("e1000e", "ethtool/eth0", "rx_missed_errors"),
            ("be2net", "ethtool/eth0", "rxq0: rx_drops_no_frags"),
            ("be2net", "ethtool/eth0", "rx_drops_no_erx_descr"),
            ("atlantic", "ethtool/eth0", "InDroppedDma"),
            ("atlantic", "link/eth0", "rx_dropped"),
            ("tg3", "ethtool/eth0", "rxbds_empty"),
            ("tg3", "ethtool/eth0", "rx_discards"),
            ("iavf", "ethtool/eth0", "rx_discards"),
            ("r8169", "ethtool/eth0", "rx_missed"),
            ("macb", "ethtool/eth0", "rx_resource_errors"),
            ("fec", "ethtool/eth0", "IEEE_rx_macerr"),
            ("sfc_falcon", "ethtool/eth0", "rx_nodesc_drop_cnt"),
            ("fsl_dpaa2_eth", "ethtool/eth0", "[hw] rx nobuffer discards"),
        ] {
            let mut facts = healthy();
            iface(&mut facts).driver = Reading::Value(driver.into());
            grow(&mut facts, group, key, 8);
            let whose = if group.starts_with("link") { "kernel" } else { "driver" };
            only(NAME, &facts, &[&format!("eth0 {} grew by 8 in 1000 ms ({whose} counter)", key.trim()), RING], &[]);
        }
    }

    const RING: &str = "eth0 receive ring: 512 of 4096 at most";

    #[test]
    fn what_is_not_a_loss_for_lack_of_descriptors() {
        for (driver, group, key) in [
            ("igb", "ethtool/eth0", "rx_no_buffer_count"),
            ("mlx5_core", "ethtool/eth0", "rx_discards_phy"),
            ("macb", "link/eth0", "rx_dropped"),
            ("mlx5_core", "ethtool/eth0", "rx0_xdp_drops"),
        ] {
            let mut facts = healthy();
            iface(&mut facts).driver = Reading::Value(driver.into());
            grow(&mut facts, group, key, 8);
            assert_eq!(rule(NAME, &facts), Seen::default(), "{driver} {key}");
        }
    }

    #[test]
    fn an_i40e_that_counts_them_apart_has_other_losses_in_rx_dropped() {
        let mut facts = healthy();
        iface(&mut facts).driver = Reading::Value("i40e".into());
        grow(&mut facts, "ethtool/eth0", "port.rx_discards", 0);
        grow(&mut facts, "link/eth0", "rx_dropped", 8);
        assert_eq!(rule(NAME, &facts), Seen::default());
    }

    #[test]
    fn blind_without_counters() {
        let mut facts = healthy();
        deny_group(&mut facts, "link/eth0");
        blind(NAME, &facts, "link/eth0", "denied");
    }
}
