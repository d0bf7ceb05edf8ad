crate::family! {
    /// ## Devices
    /// Intel gigabit: 82575, 82576, 82580, I210, I211, I350, I354, and their virtual functions.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0`. Judge it on P50 *and* P99: with the delay on one end only, the median can hide it.
    /// - `nic.eee off` where it is active.
    /// - `nic.hw-timestamping` where stamps are wanted: transmit and receive stamps, one PTP clock.
    /// ## Leave
    /// - `nic.channels.combined`: changing it resets the queues and the affinities with them.
    /// ## Know
    /// - `rx-usecs` 1 and 3 are modes that adapt the delay to the load, not microseconds (2 and 3 on `igbvf`). 2 and 4
    ///   to 9 are refused, so that 10 is the smallest delay beside 0. Where receive and transmit share a vector, the
    ///   usual case, `tx-usecs` other than 0 is refused and `rx-usecs` sets both.
    /// - The driver's documentation wants a moderation at least as long as the handling of one interrupt takes, lest an
    ///   interrupt storm follow: at high packet rates try 10 µs beside 0.
    /// - The 82576 cannot stamp all received packets, only PTP ones; 82580 and later can.
    /// - On I210 the credit-based shaper can run in the controller.
    "igb";
    drivers ["igb", "igbvf"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/igb.rst in linux 6.12: Additional Features and Configurations",
        "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_coalesce, IGB_MIN_ITR_USECS",
        "drivers/net/ethernet/intel/igb/igb_ptp.c in linux 6.12: igb_ptp_set_timestamp_mode",
        "drivers/net/ethernet/intel/igbvf/ethtool.c in linux 6.12: igbvf_set_coalesce",
        "measured: an emulated 82576 under QEMU 10.0: rx-usecs 500 on the near end moved P99 to 2058 µs, P50 to 102 µs",
    ];
}
