crate::family! {
    /// ## Devices
    /// Intel gigabit: 82571 to 82583, and the on-board I217, I218, I219.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0`.
    /// - `nic.eee off` where it is active.
    /// - `socket.busy-poll`: a spinning reader takes the interrupt out of the path.
    /// ## Leave
    /// - Channels, ntuple rules and native XDP: the driver has none. AF_XDP runs in the generic (skb) mode.
    /// ## Know
    /// - `rx-usecs` 1 and 3 are modes that adapt the delay to the load, and 4 is a simplified one; none of them is a
    ///   number of microseconds. 3 is the default. 2 and 5 to 9 are refused, so 10 is the smallest delay other than 0.
    /// - Receive and transmit share that one delay: `tx-usecs` is not a parameter of this driver.
    /// - With an emulated 82574L the driver accepts hardware timestamping, but no timestamp ever arrives. A driver that
    ///   advertises timestamps does not always deliver them, so lowlat counts those that arrive.
    "e1000e";
    drivers ["e1000e"];
    also ["i217", "i218", "i219", "82574"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/e1000e.rst in linux 6.12: InterruptThrottleRate",
        "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000_set_coalesce, e1000_ethtool_ops",
        "drivers/net/ethernet/intel/e1000e/param.c in linux 6.12: DEFAULT_ITR",
        "measured: an emulated 82574L under QEMU 10.0, linux 6.12: SIOCSHWTSTAMP accepted, 0 stamps",
    ];
}
