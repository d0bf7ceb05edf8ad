crate::family! {
    /// ## Devices
    /// Broadcom NetXtreme-C and NetXtreme-E, 10 to 200 Gbit/s, and their virtual functions.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0` and `nic.coalesce.rx-frames 1`. The defaults are
    ///   10 µs or 30 frames, which the driver changes with the load while `adaptive-rx` is on.
    /// - `nic.feature.lro off` where it is on: it holds packets to merge them. The driver closes and reopens the device
    ///   for this change.
    /// - `nic.feature.ntuple on` with a rule for the hot flow. This change closes and reopens the device too.
    /// ## Leave
    /// - `nic.ring.rx` and `nic.channels.combined`, unless drops grow: each change closes and reopens the device.
    /// - `stats-block-usecs`: the only coalescing parameter for which the driver closes and reopens the device.
    /// ## Know
    /// - In a request that switches `adaptive-rx` off the driver ignores every other value: set the delay in a second
    ///   request.
    /// - While an interrupt is pending other limits apply (by default `rx-usecs-irq` 1 µs and `rx-frames-irq` 2).
    /// - XDP runs in the driver (native, also for packets in several buffers); AF_XDP copies: the driver in 6.12 has no
    ///   zero-copy.
    /// - Only PTP packets get hardware receive timestamps; on newer devices all packets do.
    /// - The driver reports statistics of each queue to the kernel (`netdev-genl`), and counts packets that found no
    ///   descriptor as `rx_discards` of each ring.
    "bnxt";
    drivers ["bnxt_en"];
    also ["broadcom", "netxtreme-e", "thor"];
    sources [
        "drivers/net/ethernet/broadcom/bnxt/bnxt.c in linux 6.12: bnxt_init_dflt_coal, bnxt_set_features",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_coalesce (reset_coalesce), bnxt_get_ts_info",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_xdp.c in linux 6.12: bnxt_xdp_set",
    ];
}
