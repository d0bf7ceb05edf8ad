crate::family! {
    /// ## Devices
    /// Hyper-V's synthetic NIC, in guests of Windows Server and Azure.
    /// ## Set
    /// - Accelerated networking (SR-IOV), at the cloud: the packets then go by a virtual function (`mlx5_core`, `mlx4_en`,
    ///   `mana`), and its page says what to set, on the function and not here.
    /// - `nic.feature.lro off`: the switch merges TCP segments (RSC), by default on newer hosts.
    /// - `irq.affinity` of the function's lines. The synthetic NIC has none: its channels are VMBus's.
    /// ## Leave
    /// - Addresses, routes and filters of the virtual function: they belong on the synthetic NIC. The exceptions are queue
    ///   disciplines and steering, which act on the function.
    /// - Coalescing, EEE, pause: there are none here.
    /// ## Know
    /// - The function and the synthetic NIC have one hardware address, and the function is the other's lower interface:
    ///   lowlat follows the path down to it.
    /// - The data path goes over to the function when it is up, and back when the host takes it away for maintenance; the
    ///   median changes at that moment.
    /// - `net.core` counters of the synthetic NIC say little while the function carries the packets.
    /// - An XDP program is set on the synthetic NIC, which sets it on the function too; it wants LRO off, and redirection is not
    ///   supported on the synthetic path by the documentation.
    /// - Fragmented UDP is lost often on Azure with hashing by port; hashing by address (`rx-flow-hash udp4 sd`) is advised.
    "netvsc";
    drivers ["hv_netvsc"];
    also ["hyper-v", "hyperv", "azure"];
    sources [
        "Documentation/networking/device_drivers/ethernet/microsoft/netvsc.rst in linux 6.12: SR-IOV support, XDP support, Receive Side Scaling, Large Receive Offload",
        "drivers/net/hyperv/netvsc_drv.c in linux 6.12: netvsc_vf_changed, netvsc_set_features",
    ];
}
