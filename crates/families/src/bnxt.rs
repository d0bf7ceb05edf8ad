crate::family! {
    /// ## Devices
    /// Broadcom NetXtreme-C and NetXtreme-E, 10 to 200 Gbit/s, and their virtual functions.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0` and `nic.coalesce.rx-frames 1`. The defaults are 10 µs or 30
    ///   frames, which the driver changes with the load while `adaptive-rx` is on.
    /// - `nic.feature.lro off` where it is on: it holds packets to merge them. The device is closed and opened for it.
    /// - `nic.feature.ntuple on` with a rule for the hot flow. It closes and opens the device too.
    /// ## Leave
    /// - `nic.ring.rx` and `nic.channels.combined`, unless drops grow: each closes and opens the device.
    /// - `stats-block-usecs`: the one parameter of coalescing for which the driver closes and opens the device.
    /// ## Know
    /// - A request that switches `adaptive-rx` off ignores every other value in it: the delay has to be set in a second one.
    /// - The delay runs differently while an interrupt is pending (`rx-usecs-irq`, 1 µs, `rx-frames-irq`, 2 by default).
    /// - XDP runs in the driver (native, with packets of several buffers); AF_XDP copies: there is no zero-copy in 6.12.
    /// - Receive stamps are of PTP packets alone, on newer devices of all.
    /// - It counts each queue for the kernel (`netdev-genl`), and what found no descriptor as `rx_discards` of each ring.
    "bnxt";
    drivers ["bnxt_en"];
    also ["broadcom", "netxtreme-e", "thor"];
    sources [
        "drivers/net/ethernet/broadcom/bnxt/bnxt.c in linux 6.12: bnxt_init_dflt_coal, bnxt_set_features",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c in linux 6.12: bnxt_set_coalesce (reset_coalesce), bnxt_get_ts_info",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_xdp.c in linux 6.12: bnxt_xdp_set",
    ];
}
