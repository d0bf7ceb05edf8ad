//! What each driver resets, read in its source.
//!
//! A driver that calls `netif_carrier_off` on the way counts as resetting the link, whether or not the wire goes down:
//! the kernel sends nothing meanwhile, and everything that watches the link (bonds, routing daemons) sees it.

use lowlat_model::tune::Resets::{self, Link, Nothing, Queues};

use crate::Part::{self, Channels, Coalesce, Eee, Feature, HwTimestamp, Pause, PrivateFlag, Ring, Xdp};

/// One row: what a setting resets on a driver.
#[derive(Debug)]
pub struct Row {
    /// As `ethtool -i` names it.
    pub driver: &'static str,
    /// The part of the driver.
    pub part: Part,
    /// Its parameter, feature or flag; empty for all of the part.
    pub only: &'static str,
    /// Which changes of it.
    pub when: When,
    /// What resets.
    pub resets: Resets,
    /// What the driver does, for people.
    pub why: &'static str,
    /// Where it says so.
    pub source: &'static str,
}

/// Whether a change of value is one of those that reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every change.
    Any,
    /// Changes of `ixgbe`'s delay that cross from the adaptive mode (1) or 10 µs and more to 0 or 2 to 9 µs, or back:
    /// they change TXDCTL.WTHRESH (`IXGBE_100K_ITR` is 10 µs).
    IxgbeWriteThreshold,
    /// Changes of `ixgbe`'s delay that cross from the adaptive mode (1) or 7 µs and more to 0 or 2 to 6 µs, or back,
    /// while LRO is on: they switch receive-side coalescing (`IXGBE_MIN_RSC_ITR` is 6 µs).
    IxgbeReceiveSideCoalescing,
    /// Changes of hardware time stamping while `mlx5` compresses completions.
    Mlx5CqeCompression,
}

/// Rows as text: drivers, part, its one parameter, its condition, what resets, what the driver does, and where it says
/// so.
macro_rules! table {
    ($($driver:literal $part:ident $($only:literal)? $(if $when:ident)? => $resets:ident: $why:literal from $source:literal;)+) => {
        &[$(Row {
            driver: $driver,
            part: $part,
            only: table!(@only $($only)?),
            when: table!(@when $($when)?),
            resets: $resets,
            why: $why,
            source: $source,
        }),+]
    };
    (@only $only:literal) => { $only };
    (@only) => { "" };
    (@when $when:ident) => { When::$when };
    (@when) => { When::Any };
}

/// Every row; the first that fits decides.
pub static TABLE: &[Row] = table! {
    // ixgbe
    "ixgbe" Coalesce if IxgbeWriteThreshold => Link:
        "this change of the delay changes TXDCTL.WTHRESH, for which the driver resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_coalesce";
    "ixgbe" Coalesce if IxgbeReceiveSideCoalescing => Link:
        "with LRO on, this change of the delay switches receive-side coalescing, for which the driver resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_update_rsc";
    "ixgbe" Coalesce => Nothing:
        "this change of the delay is one register"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_coalesce";
    "ixgbe" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_ringparam";
    "ixgbe" Channels => Link:
        "closes and opens the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_setup_tc";
    "ixgbe" Feature "rx-lro" => Link:
        "receive-side coalescing follows LRO, for which the driver resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_set_features";
    "ixgbe" Feature "rx-ntuple-filter" => Link:
        "Flow Director changes its mode, for which the driver resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_set_features";
    "ixgbe" Pause => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_pauseparam";
    "ixgbe" Eee => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_eee";
    "ixgbe" PrivateFlag => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_priv_flags";
    "ixgbe" HwTimestamp => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_ptp.c in linux 6.12: ixgbe_ptp_set_timestamp_mode";
    "ixgbe" Xdp => Link:
        "the first program and the end of the last one close and open the device"
        from "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_xdp_setup";

    // ixgbevf
    "ixgbevf" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/ixgbevf/ethtool.c in linux 6.12: ixgbevf_set_coalesce";
    "ixgbevf" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/ixgbevf/ethtool.c in linux 6.12: ixgbevf_set_ringparam";
    "ixgbevf" Xdp => Link:
        "the first program and the end of the last one close and open the device"
        from "drivers/net/ethernet/intel/ixgbevf/ixgbevf_main.c in linux 6.12: ixgbevf_xdp_setup";

    // igb, igbvf
    "igb" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_coalesce";
    "igb" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_ringparam";
    "igb" Channels => Link:
        "closes and opens the device, with new interrupts"
        from "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.12: igb_reinit_queues";
    "igb" Feature "rx-ntuple-filter" => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.12: igb_set_features";
    "igb" Pause => Link:
        "negotiates the link anew when pause is negotiated, before or after the change"
        from "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_pauseparam";
    "igb" Eee => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_eee";
    "igb" PrivateFlag => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_priv_flags";
    "igb" HwTimestamp => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/igb/igb_ptp.c in linux 6.12: igb_ptp_set_timestamp_mode";
    "igb" Xdp => Link:
        "the first program and the end of the last one close and open the device"
        from "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.12: igb_xdp_setup";
    "igbvf" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/igbvf/ethtool.c in linux 6.12: igbvf_set_ringparam";

    // igc
    "igc" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.12: igc_ethtool_set_coalesce";
    "igc" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.12: igc_ethtool_set_ringparam";
    "igc" Channels => Link:
        "closes and opens the device, with new interrupts"
        from "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.12: igc_ethtool_set_channels";
    "igc" Feature "rx-ntuple-filter" => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/igc/igc_main.c in linux 6.12: igc_set_features";
    "igc" Pause => Link:
        "negotiates the link anew when pause is negotiated, before or after the change"
        from "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.12: igc_ethtool_set_pauseparam";
    "igc" Eee => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.12: igc_ethtool_set_eee";
    "igc" PrivateFlag => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.12: igc_ethtool_set_priv_flags";
    "igc" HwTimestamp => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/igc/igc_ptp.c in linux 6.12: igc_ptp_set_timestamp_mode";
    "igc" Xdp => Link:
        "every attached and detached program closes and opens the device"
        from "drivers/net/ethernet/intel/igc/igc_xdp.c in linux 6.12: igc_xdp_set_prog";

    // e1000e, e1000
    "e1000e" Coalesce => Nothing:
        "writes a register"
        from "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000_set_coalesce";
    "e1000e" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000_set_ringparam";
    "e1000e" Pause => Link:
        "negotiates the link anew when pause is negotiated, before or after the change"
        from "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000_set_pauseparam";
    "e1000e" Eee => Link:
        "resets the device"
        from "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000e_set_eee";
    "e1000e" HwTimestamp => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/e1000e/netdev.c in linux 6.12: e1000e_config_hwtstamp";
    "e1000e" Xdp => Nothing:
        "the driver has no XDP of its own, and the generic one touches no queue"
        from "drivers/net/ethernet/intel/e1000e/netdev.c in linux 6.12: e1000e_netdev_ops";
    "e1000" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/e1000/e1000_ethtool.c in linux 6.12: e1000_set_ringparam";

    // i40e, ice, iavf
    "i40e" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: __i40e_set_coalesce";
    "i40e" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: i40e_set_ringparam";
    "i40e" Channels => Link:
        "resets the function and builds it anew"
        from "drivers/net/ethernet/intel/i40e/i40e_main.c in linux 6.12: i40e_reconfig_rss_queues";
    "i40e" Feature "rx-ntuple-filter" => Link:
        "resets the function"
        from "drivers/net/ethernet/intel/i40e/i40e_main.c in linux 6.12: i40e_set_ntuple, i40e_set_features";
    "i40e" Pause => Link:
        "takes the carrier off and negotiates anew"
        from "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: i40e_set_pauseparam";
    "i40e" Eee => Link:
        "gives the link a new configuration"
        from "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: i40e_set_eee";
    "i40e" PrivateFlag => Link:
        "several flags reset the function (legacy-rx, disable-source-pruning, disable-fw-lldp)"
        from "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: i40e_set_priv_flags";
    "i40e" HwTimestamp => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/i40e/i40e_ptp.c in linux 6.12: i40e_ptp_set_timestamp_mode";
    "i40e" Xdp => Link:
        "the first program and the end of the last one reset the function"
        from "drivers/net/ethernet/intel/i40e/i40e_main.c in linux 6.12: i40e_xdp_setup";
    "ice" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: __ice_set_coalesce";
    "ice" Ring => Link:
        "takes the device down and up"
        from "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: ice_set_ringparam";
    "ice" Channels => Link:
        "closes the device and builds its queues anew"
        from "drivers/net/ethernet/intel/ice/ice_main.c in linux 6.12: ice_vsi_recfg_qs";
    "ice" Feature "rx-ntuple-filter" => Nothing:
        "rules are added or flushed, queues stay"
        from "drivers/net/ethernet/intel/ice/ice_main.c in linux 6.12: ice_set_features";
    "ice" Pause => Link:
        "negotiates the link anew"
        from "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: ice_set_pauseparam";
    "ice" PrivateFlag => Link:
        "several flags take the device down and up (legacy-rx) or negotiate anew (fw-lldp-agent)"
        from "drivers/net/ethernet/intel/ice/ice_ethtool.c in linux 6.12: ice_set_priv_flags";
    "ice" Xdp => Link:
        "the first program and the end of the last one take the device down and up"
        from "drivers/net/ethernet/intel/ice/ice_main.c in linux 6.12: ice_xdp_setup_prog";
    "iavf" Ring => Link:
        "resets the virtual function"
        from "drivers/net/ethernet/intel/iavf/iavf_ethtool.c in linux 6.12: iavf_set_ringparam";
    "iavf" Channels => Link:
        "resets the virtual function"
        from "drivers/net/ethernet/intel/iavf/iavf_ethtool.c in linux 6.12: iavf_set_channels";

    // mlx5, mlx4
    "mlx5_core" Coalesce => Nothing:
        "the completion queues are modified in place"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: mlx5e_ethtool_set_coalesce";
    "mlx5_core" Ring => Link:
        "opens new channels and takes the carrier off while it changes over"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_switch_priv_channels";
    "mlx5_core" Channels => Link:
        "opens new channels and takes the carrier off while it changes over"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_switch_priv_channels";
    "mlx5_core" Feature "rx-lro" => Link:
        "opens new channels unless the receive queues keep their form"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: set_feature_lro";
    "mlx5_core" Feature "rx-ntuple-filter" => Nothing:
        "steering tables are added or removed, queues stay"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: set_feature_arfs";
    "mlx5_core" Pause => Nothing:
        "writes the port's pause register"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: mlx5e_ethtool_set_pauseparam";
    "mlx5_core" PrivateFlag => Link:
        "opens new channels and takes the carrier off while it changes over"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: set_pflag_rx_striding_rq";
    "mlx5_core" HwTimestamp if Mlx5CqeCompression => Link:
        "a receive filter switches CQE compression off, which opens new channels"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_hwstamp_config_no_ptp_rx";
    "mlx5_core" HwTimestamp if Mlx5CqeCompression => Nothing:
        "a receive filter switches CQE compression off, which opens new channels"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_hwstamp_config_no_ptp_rx";
    "mlx5_core" Xdp => Link:
        "the first program and the end of the last one open new channels"
        from "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_xdp_set";
    "mlx4_en" Coalesce => Nothing:
        "the completion queues are modified in place"
        from "drivers/net/ethernet/mellanox/mlx4/en_ethtool.c in linux 6.12: mlx4_en_set_coalesce";
    "mlx4_en" Ring => Link:
        "closes and opens the port"
        from "drivers/net/ethernet/mellanox/mlx4/en_ethtool.c in linux 6.12: mlx4_en_set_ringparam";

    // bnxt, tg3
    "bnxt_en" Coalesce "stats-block-usecs" => Link:
        "closes and opens the device"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_coalesce";
    "bnxt_en" Coalesce => Nothing:
        "tells the firmware"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_coalesce";
    "bnxt_en" Ring => Link:
        "closes and opens the device"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_ringparam";
    "bnxt_en" Channels => Link:
        "closes and opens the device, with new interrupts"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_channels";
    "bnxt_en" Feature "rx-lro" => Link:
        "closes and opens the device"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt.c in linux 6.12: bnxt_set_features";
    "bnxt_en" Feature "rx-ntuple-filter" => Link:
        "closes and opens the device, with new interrupts"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt.c in linux 6.12: bnxt_set_features";
    "bnxt_en" Pause => Link:
        "forces a change of the link when pause stops being negotiated"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_pauseparam";
    "bnxt_en" Xdp => Link:
        "closes and opens the device"
        from "drivers/net/ethernet/broadcom/bnxt/bnxt_xdp.c in linux 6.12: bnxt_xdp_set";
    "tg3" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_coalesce";
    "tg3" Ring => Link:
        "halts and restarts the device; three seconds without carrier were seen"
        from "https://github.com/systemd/systemd/issues/28696 (tg3: three seconds without carrier after rings are set)";
    "tg3" Channels => Link:
        "stops and starts the device"
        from "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_channels";
    "tg3" Pause => Link:
        "halts and restarts the device"
        from "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_pauseparam";
    "tg3" Eee => Link:
        "resets the PHY"
        from "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_eee";

    // r8169
    "r8169" Coalesce => Nothing:
        "writes registers"
        from "drivers/net/ethernet/realtek/r8169_main.c in linux 6.12: rtl_set_coalesce";
    "r8169" Pause => Link:
        "the PHY negotiates anew"
        from "drivers/net/ethernet/realtek/r8169_main.c in linux 6.12: rtl8169_set_pauseparam";
    "r8169" Eee => Link:
        "the PHY negotiates anew"
        from "drivers/net/ethernet/realtek/r8169_main.c in linux 6.12: rtl8169_set_eee";

    // virtual machines
    "virtio_net" Coalesce => Nothing:
        "tells the device"
        from "drivers/net/virtio_net.c in linux 6.12: virtnet_set_coalesce";
    "virtio_net" Ring => Queues:
        "each queue is reset and filled anew, the link stays up"
        from "drivers/net/virtio_net.c in linux 6.12: virtnet_rx_resize, virtnet_tx_resize";
    "virtio_net" Channels => Queues:
        "queues are added or left out and their affinity is set anew, the link stays up"
        from "drivers/net/virtio_net.c in linux 6.12: virtnet_set_channels";
    "virtio_net" Feature => Nothing:
        "tells the device"
        from "drivers/net/virtio_net.c in linux 6.12: virtnet_set_features";
    "virtio_net" Xdp => Queues:
        "polling stops while queues are added, the link stays up"
        from "drivers/net/virtio_net.c in linux 6.12: virtnet_xdp_set";
    "ena" Coalesce => Nothing:
        "writes the interrupt registers"
        from "drivers/net/ethernet/amazon/ena/ena_ethtool.c in linux 6.12: ena_set_coalesce";
    "ena" Ring => Link:
        "closes the device and takes it up again"
        from "drivers/net/ethernet/amazon/ena/ena_netdev.c in linux 6.12: ena_update_queue_params";
    "ena" Channels => Link:
        "closes and opens the device"
        from "drivers/net/ethernet/amazon/ena/ena_netdev.c in linux 6.12: ena_update_queue_count";
    "ena" Xdp => Link:
        "the first program and the end of the last one take the device down and up"
        from "drivers/net/ethernet/amazon/ena/ena_xdp.c in linux 6.12: ena_xdp_set";
    "gve" Ring => Link:
        "closes the device and starts new queues"
        from "drivers/net/ethernet/google/gve/gve_main.c in linux 6.12: gve_adjust_config";
    "gve" Channels => Link:
        "closes the device and starts new queues"
        from "drivers/net/ethernet/google/gve/gve_main.c in linux 6.12: gve_adjust_config";
    "gve" Feature "rx-lro" => Link:
        "closes the device and starts new queues"
        from "drivers/net/ethernet/google/gve/gve_main.c in linux 6.12: gve_set_features";
    "gve" Xdp => Link:
        "every attached and detached program takes the queues down and up"
        from "drivers/net/ethernet/google/gve/gve_main.c in linux 6.12: gve_set_xdp";
    "vmxnet3" Ring => Link:
        "quiesces and resets the device"
        from "drivers/net/vmxnet3/vmxnet3_ethtool.c in linux 6.12: vmxnet3_set_ringparam";
    "vmxnet3" Xdp => Link:
        "quiesces and resets the device"
        from "drivers/net/vmxnet3/vmxnet3_xdp.c in linux 6.12: vmxnet3_xdp_set";
    "hv_netvsc" Ring => Link:
        "removes the synthetic device and adds it again"
        from "drivers/net/hyperv/netvsc_drv.c in linux 6.12: netvsc_set_ringparam, netvsc_attach";
    "hv_netvsc" Channels => Link:
        "removes the synthetic device and adds it again"
        from "drivers/net/hyperv/netvsc_drv.c in linux 6.12: netvsc_set_channels, netvsc_attach";

    // virtual links
    "veth" Channels => Link:
        "takes the carrier off at both ends"
        from "drivers/net/veth.c in linux 6.12: veth_set_channels";
    "veth" Feature "rx-gro" => Queues:
        "GRO brings NAPI instances with it and takes them away, the link stays up"
        from "drivers/net/veth.c in linux 6.12: veth_set_features";
    "veth" Xdp => Queues:
        "the first program brings NAPI instances with it, the end of the last one takes them away; the link stays up"
        from "drivers/net/veth.c in linux 6.12: veth_enable_xdp, veth_disable_xdp";
    "netdevsim" Ring => Nothing:
        "a number is stored"
        from "drivers/net/netdevsim/ethtool.c in linux 6.12: nsim_set_ringparam";
    "netdevsim" Channels => Nothing:
        "a number is stored"
        from "drivers/net/netdevsim/ethtool.c in linux 6.12: nsim_set_channels";
    "netdevsim" Coalesce => Nothing:
        "a number is stored"
        from "drivers/net/netdevsim/ethtool.c in linux 6.12: nsim_set_coalesce";
    "netdevsim" Pause => Nothing:
        "a number is stored"
        from "drivers/net/netdevsim/ethtool.c in linux 6.12: nsim_set_pauseparam";
};
