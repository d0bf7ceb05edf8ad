crate::family! {
    /// ## Devices
    /// Intel I225 and I226, 2.5 Gbit/s.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0`.
    /// - `nic.eee off` where it is active: the link sleeps, and the first packet after each pause waits until it wakes.
    /// - `nic.hw-timestamping`: the device timestamps in both directions and has a PTP clock.
    /// ## Leave
    /// - `nic.coalesce.tx-usecs`: a queue pair has one delay, that of `rx-usecs`; a change of `tx-usecs` is refused.
    /// ## Know
    /// - `rx-usecs` 1 and 3 are modes that adapt the delay to the load, not microseconds; 2 and 4 to 9 are refused, so
    ///   10 is the smallest delay other than 0.
    /// - With any receive filter the device timestamps all packets.
    /// - There are four registers for transmit timestamps, so a fast sender gets timestamps for some packets only.
    ///   lowlat counts the timestamps that arrive and reports the share.
    "igc";
    drivers ["igc"];
    also ["i225", "i226"];
    sources [
        "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.1, 6.12: igc_ethtool_set_coalesce",
        "drivers/net/ethernet/intel/igc/igc.h in linux 6.12: IGC_MIN_ITR_USECS, IGC_MAX_TX_TSTAMP_REGS",
        "drivers/net/ethernet/intel/igc/igc_ptp.c in linux 6.12: igc_ptp_set_timestamp_mode",
    ];
}
