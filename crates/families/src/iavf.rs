crate::family! {
    /// ## Devices
    /// Virtual functions of Intel's 700 and 800 series (formerly `i40evf`).
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.adaptive-tx off`, `nic.coalesce.rx-usecs 0`,
    ///   `nic.coalesce.tx-usecs 0`.
    /// - `nic.feature.ntuple on` with a rule for the hot flow, where the physical function allows it.
    /// - `irq.affinity`: to cores of the device's own node.
    /// ## Leave
    /// - `nic.ring.rx` and `nic.channels.combined`, unless drops grow: each resets the function.
    /// - Pause, EEE, FEC, link speed: they belong to the physical function, on the host.
    /// ## Know
    /// - The hardware counts delays in steps of 2 µs, 8160 at most. The adaptive mode is the default; its algorithm is
    ///   the driver's own.
    /// - The host's physical function limits what the guest may do (trust, rate limit, spoof checks). A rate limit of
    ///   the host (`ip link set PF vf N max_tx_rate`) shows nowhere in the guest.
    /// - Packets that found no descriptor are counted as `rx_dropped`.
    /// - The driver in 6.12 has no XDP, so AF_XDP runs in generic mode; it has no hardware timestamps either.
    "iavf";
    drivers ["iavf"];
    also ["i40evf", "vf", "sr-iov"];
    sources [
        "drivers/net/ethernet/intel/iavf/iavf_ethtool.c in linux 6.12: __iavf_set_coalesce, iavf_set_ringparam, iavf_set_channels",
        "drivers/net/ethernet/intel/iavf/iavf_txrx.h in linux 6.12: IAVF_MAX_ITR, IAVF_ITR_MASK, IAVF_ITR_RX_DEF",
        "drivers/net/ethernet/intel/iavf/iavf_virtchnl.c in linux 6.12: iavf_virtchnl_completion (rx_discards to rx_dropped)",
        "drivers/net/ethernet/intel/iavf/iavf_main.c in linux 6.12: iavf_pci_tbl (IAVF_DEV_ID_ADAPTIVE_VF), iavf_netdev_ops",
    ];
}
