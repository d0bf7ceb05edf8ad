crate::family! {
    /// ## Devices
    /// Synopsys DesignWare Ethernet (GMAC, QoS, XGMAC), in systems on a chip: Intel Elkhart Lake, NXP, Rockchip,
    /// Allwinner, and STM32.
    /// ## Set
    /// - `nic.coalesce.rx-frames 1`: each packet then raises an interrupt, and the timer does not run. The default is 0
    ///   frames, with which the timer alone decides.
    /// - `nic.eee off` where it is active.
    /// - `nic.hw-timestamping` where timestamps are wanted: most of these devices have a PTP clock.
    /// ## Leave
    /// - `nic.coalesce.rx-usecs 0`: refused. The timer (RIWT) counts units of 256 cycles of the device's clock and
    ///   accepts 16 to 255 of them: 17 to 262 µs at 250 MHz.
    /// ## Know
    /// - Transmit completions are reported after 25 frames or 5 ms at the latest.
    /// - XDP runs in the driver, and AF_XDP without copies on devices that it is built for.
    /// - `ethtool -i` calls the driver `st_gmac`, `st_mac100` or `st_xgmac`; the module and sysfs have the name of the
    ///   board's glue driver (`dwmac-…`).
    "stmmac";
    drivers ["st_gmac", "st_mac100", "st_xgmac"];
    also ["designware", "dwmac"];
    sources [
        "drivers/net/ethernet/stmicro/stmmac/stmmac_ethtool.c in linux 6.12: __stmmac_set_coalesce, stmmac_usec2riwt, stmmac_ethtool_getdrvinfo",
        "drivers/net/ethernet/stmicro/stmmac/stmmac_main.c in linux 6.12: stmmac_rx_refill (use_rx_wd), stmmac_dvr_probe (xdp_features)",
        "drivers/net/ethernet/stmicro/stmmac/common.h in linux 6.12: MIN_DMA_RIWT, MAX_DMA_RIWT, STMMAC_COAL_TX_TIMER, STMMAC_RX_FRAMES",
        "Documentation/networking/device_drivers/ethernet/stmicro/stmmac.rst in linux 6.12: Feature List",
    ];
}
