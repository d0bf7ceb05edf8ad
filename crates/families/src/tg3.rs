crate::family! {
    /// ## Devices
    /// Broadcom NetXtreme, 1 Gbit/s: BCM57xx, on many servers' boards.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 1` with `nic.coalesce.rx-frames 1`: the driver refuses 0, and with one frame to wait
    ///   for, the delay never runs. The default is 20 µs (50 on old devices) or 5 frames.
    /// - `nic.eee off` where it is active.
    /// ## Leave
    /// - `nic.ring.rx`, `nic.channels.combined` and `nic.pause`: each change halts and restarts the device; three
    ///   seconds without carrier were seen.
    /// ## Know
    /// - The driver refuses `rx-usecs` and `tx-usecs` of 0, and `rx-usecs` above 1023.
    /// - There is no adaptive mode, no XDP in the driver and so no zero-copy.
    /// - Only PTP packets get hardware receive timestamps.
    "tg3";
    drivers ["tg3"];
    also ["netxtreme", "bcm57xx", "bcm5720"];
    sources [
        "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_coalesce, tg3_init_coal, tg3_get_ts_info",
        "drivers/net/ethernet/broadcom/tg3.h in linux 6.12: LOW_RXCOL_TICKS_CLRTCKS, LOW_RXMAX_FRAMES, MAX_RXCOL_TICKS",
        "https://github.com/systemd/systemd/issues/28696 (tg3: three seconds without carrier after rings are set)",
    ];
}
