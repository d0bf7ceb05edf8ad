crate::family! {
    /// ## Devices
    /// Intel gigabit: 82575, 82576, 82580, I210, I211, I350, I354, and their virtual functions.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0`. Judge it on P50 *and* P99: with the delay at one end only, the median may not show
    ///   it.
    /// - `nic.eee off` where it is active.
    /// - `nic.hw-timestamping` where timestamps are wanted: the device has transmit and receive timestamps and one PTP
    ///   clock.
    /// ## Leave
    /// - `nic.channels.combined`: changing it resets the queues and with them the interrupt affinities.
    /// ## Know
    /// - `rx-usecs` 1 and 3 are modes that adapt the delay to the load, not microseconds (2 and 3 on `igbvf`). 2 and 4
    ///   to 9 are refused, so 10 is the smallest delay other than 0. Where receive and transmit share a vector, the
    ///   usual case, a `tx-usecs` other than 0 is refused and `rx-usecs` sets both.
    /// - The driver's documentation asks for a delay at least as long as handling one interrupt takes, to prevent an
    ///   interrupt storm: at high packet rates try 10 µs as well as 0.
    /// - Of the received packets the 82576 can timestamp only PTP ones; the 82580 and later can timestamp all.
    /// - On I210 the credit-based shaper can run in the controller.
    "igb";
    drivers ["igb", "igbvf"];
    also ["i210", "i211", "i350", "82576"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/igb.rst in linux 6.12: Additional Features and Configurations",
        "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_coalesce, IGB_MIN_ITR_USECS",
        "drivers/net/ethernet/intel/igb/igb_ptp.c in linux 6.12: igb_ptp_set_timestamp_mode",
        "drivers/net/ethernet/intel/igbvf/ethtool.c in linux 6.12: igbvf_set_coalesce",
        "measured: an emulated 82576 under QEMU 10.0: rx-usecs 500 on the near end moved P99 to 2058 µs, P50 to 102 µs",
    ];
}
