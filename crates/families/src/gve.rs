crate::family! {
    /// ## Devices
    /// Google Virtual Ethernet (gVNIC), on Compute Engine.
    /// ## Set
    /// - `irq.affinity`: each notification block has its own interrupt and its own NAPI.
    /// - `socket.busy-poll` for the program that waits.
    /// - What the driver offers of coalescing and rings differs with its version and queue format: `lowlat facts` shows
    ///   which parameters this one takes, and only those are planned.
    /// ## Leave
    /// - The queue format (GQI or DQO) and the addressing mode (QPL or RDA): the device and the driver agree on them at
    ///   start.
    /// - Settings of the physical link (EEE, pause, speed): the device is virtual and has none.
    /// ## Know
    /// - In GQI queues the driver copies each sent packet into a registered FIFO before the device sees it.
    /// - The device can be reset at any time; queue settings may need to be set again.
    "gve";
    drivers ["gve"];
    sources ["https://docs.kernel.org/networking/device_drivers/ethernet/google/gve.html"];
}
