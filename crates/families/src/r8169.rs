crate::family! {
    /// ## Devices
    /// Realtek 8169, 8168 and 8111 (1 Gbit/s), 8125 (2.5 Gbit/s), 8126 (5 Gbit/s): most desktop boards.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0` with `nic.coalesce.rx-frames 1`, on devices of 1 Gbit/s: the driver refuses more
    ///   frames without a delay.
    /// - `nic.gro-flush-timeout 0` and `nic.napi-defer-hard-irqs 0`, to try: the driver's defaults are 20 µs and 1,
    ///   which keep the interrupt off for 20 µs after packets arrive.
    /// - `nic.eee off` where it is active. Keep the device's PCI Express link awake (pci-express-link-sleeps).
    /// ## Leave
    /// - Coalescing of the 8125 and 8126: this driver refuses it. Realtek's own driver (`r8125`) is a different one.
    /// - Channels, RSS and flow rules: there is one queue.
    /// ## Know
    /// - The delay has steps that depend on the speed of the link: at 1 Gbit/s 5 µs on most devices, 0.32 µs on the
    ///   oldest. Values are rounded up.
    /// - There is no XDP in the driver, and no hardware timestamping.
    /// - A kernel with PREEMPT_RT does not set the 20 µs by default.
    "r8169";
    drivers ["r8169"];
    also ["realtek", "rtl8111", "rtl8168", "rtl8125", "r8125", "r8168", "rtl8169"];
    sources [
        "drivers/net/ethernet/realtek/r8169_main.c in linux 6.12: rtl_set_coalesce, rtl_coalesce_info_8168_8136, rtl8169_ethtool_ops",
        "net/core/dev.c in linux 6.12: netdev_sw_irq_coalesce_default_on (20000 ns, 1)",
    ];
}
