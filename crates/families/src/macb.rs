crate::family! {
    /// ## Devices
    /// Cadence MACB and GEM, in systems on a chip: Raspberry Pi 5, Xilinx Zynq, Microchip SAMA5 and PolarFire, SiFive.
    /// ## Set
    /// - `nic.gro-flush-timeout 0` and `nic.napi-defer-hard-irqs 0`, to try: the driver's defaults are 20 µs and 1,
    ///   which keep the interrupt off for 20 µs after packets arrive.
    /// - `nic.eee off` where it is active: on a Raspberry Pi 5 it is, and the first packet after each pause waits until
    ///   the link wakes.
    /// - `cpu.governor performance`: these boards start with a governor that follows the load.
    /// ## Leave
    /// - `nic.coalesce.rx-usecs`: the driver in 6.12 has no device coalescing to set.
    /// - Channels: each queue has one interrupt line, and most boards have one queue.
    /// ## Know
    /// - There is no XDP in the driver.
    /// - A GEM with PTP timestamps all received packets and has a PTP clock.
    /// - A kernel with PREEMPT_RT does not set the 20 µs by default.
    /// - A few `rx_dropped` are packets of protocols that nobody listens to, as on any host.
    "macb";
    drivers ["macb"];
    also ["cadence", "raspberry pi 5"];
    sources [
        "drivers/net/ethernet/cadence/macb_main.c in linux 6.12: macb_init (netdev_sw_irq_coalesce_default_on), gem_get_ts_info",
        "net/core/dev.c in linux 6.12: netdev_sw_irq_coalesce_default_on (20000 ns, 1)",
        "https://github.com/raspberrypi/linux/issues/6855 (EEE of a Raspberry Pi 5)",
    ];
}
