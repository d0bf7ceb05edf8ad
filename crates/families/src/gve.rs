crate::family! {
    /// ## Devices
    /// Google Virtual Ethernet (gVNIC), on Compute Engine.
    /// ## Set
    /// - `irq.affinity`: each notification block has its own interrupt and its own NAPI instance.
    /// - `socket.busy-poll` for the program that waits.
    /// - `nic.coalesce.rx-usecs 0` where the queue format is DQO; with GQI the driver refuses coalescing. Ring sizes
    ///   change only where the device allows it. `lowlat facts` shows which parameters the device accepts; plans
    ///   contain only those.
    /// ## Leave
    /// - The queue format (GQI or DQO) and the addressing mode (QPL or RDA): the device and the driver agree on them at
    ///   start.
    /// - Settings of the physical link (EEE, pause, speed): the device is virtual and has none.
    /// ## Know
    /// - With GQI queues and the addressing mode QPL the driver copies each sent packet into a registered FIFO before
    ///   the device sees it; with RDA it does not.
    /// - The device can be reset at any time; queue settings may need to be set again.
    "gve";
    drivers ["gve"];
    also ["gvnic", "google", "gcp"];
    sources [
        "Documentation/networking/device_drivers/ethernet/google/gve.rst in linux 6.12: Descriptor Formats, Addressing Mode, Device Resets, Interrupts",
        "drivers/net/ethernet/google/gve/gve_ethtool.c in linux 6.12: gve_set_coalesce, gve_set_ringparam",
    ];
}
