crate::family! {
    /// ## Devices
    /// Intel I225 and I226, 2.5 Gbit/s.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0`.
    /// - `nic.eee off` where it is active: the link sleeps and each first packet pays for its waking.
    /// - `nic.hw-timestamping`: the device stamps both ways and has a PTP clock.
    /// ## Leave
    /// - `nic.coalesce.tx-usecs`: a queue pair has one delay, so that changing it changes `rx-usecs` too; older kernels
    ///   refuse it.
    /// ## Know
    /// - `rx-usecs` 1 and 3 are modes that adapt the delay to the load, not microseconds; 2 is refused.
    /// - There are four registers for transmit stamps: a fast sender gets stamps for some packets only. lowlat counts the
    ///   stamps that came and reports the share.
    "igc";
    drivers ["igc"];
    sources [
        "drivers/net/ethernet/intel/igc/igc_ethtool.c igc_ethtool_set_coalesce (6.12)",
        "https://github.com/Linutronix/RTC-Testbench/pull/34",
    ];
}
