crate::family! {
    /// ## Devices
    /// Hyper-V's synthetic NIC, in guests of Windows Server and Azure.
    /// ## Set
    /// - Accelerated networking (SR-IOV), in the cloud's settings: packets then use a virtual function (`mlx5_core`,
    ///   `mlx4_en`, `mana`), and its page says what to set, on the function and not on this interface.
    /// - `nic.feature.lro off`: the virtual switch merges TCP segments (RSC), by default on newer hosts.
    /// - `irq.affinity` of the function's lines. The synthetic NIC has no lines: it uses VMBus channels.
    /// ## Leave
    /// - Addresses, routes and filters of the virtual function: they belong on the synthetic NIC. The exceptions are
    ///   queue disciplines and steering, which act on the function.
    /// - Coalescing, EEE, pause: the synthetic NIC has none.
    /// ## Know
    /// - The function and the synthetic NIC have the same hardware address, and the function is the lower interface of
    ///   the NIC: lowlat follows the path down to it.
    /// - The data path moves to the function when it is up, and back when the host removes the function for
    ///   maintenance; the median changes at that moment.
    /// - `net.core` counters of the synthetic NIC say little while the function carries the packets.
    /// - Attach an XDP program to the synthetic NIC, which attaches it to the function too. XDP needs LRO off, and
    ///   according to the documentation redirection is not supported on the synthetic path.
    /// - On Azure, fragmented UDP is often lost with hashing by port; hashing by address (`rx-flow-hash udp4 sd`) is
    ///   advised.
    "netvsc";
    drivers ["hv_netvsc"];
    also ["hyper-v", "hyperv", "azure", "accelerated-networking"];
    sources [
        "Documentation/networking/device_drivers/ethernet/microsoft/netvsc.rst in linux 6.12: SR-IOV support, XDP support, Receive Side Scaling, Large Receive Offload",
        "drivers/net/hyperv/netvsc_drv.c in linux 6.12: netvsc_vf_changed, netvsc_set_features",
    ];
}
