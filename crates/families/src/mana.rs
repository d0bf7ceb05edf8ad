crate::family! {
    /// ## Devices
    /// Microsoft Azure Network Adapter: the virtual function of newer Azure instance sizes, beneath an `hv_netvsc`
    /// interface.
    /// ## Set
    /// - `irq.affinity` and the application's core: each queue has one interrupt.
    /// - `socket.busy-poll` for the program that waits.
    /// ## Leave
    /// - `nic.coalesce.rx-usecs`: the driver in 6.12 has no coalescing to set.
    /// - Pause, EEE, link speed: the device is virtual and has none.
    /// ## Know
    /// - The path uses the synthetic NIC above this function: addresses and filters belong there (netvsc).
    /// - `rx_coalesced_err` counts completions that the driver could not take, not interrupts.
    /// - XDP runs in the driver (pass, drop, send back, redirect); there is no zero-copy in 6.12.
    /// - The driver in 6.12 has no hardware timestamps.
    "mana";
    drivers ["mana"];
    also ["azure-boost"];
    sources [
        "drivers/net/ethernet/microsoft/mana/mana_ethtool.c in linux 6.12: mana_ethtool_ops, mana_eth_stats",
        "drivers/net/ethernet/microsoft/mana/mana_bpf.c in linux 6.12: mana_bpf",
        "Documentation/networking/device_drivers/ethernet/microsoft/netvsc.rst in linux 6.12: SR-IOV support",
    ];
}
