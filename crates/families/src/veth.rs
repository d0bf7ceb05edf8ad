crate::family! {
    /// ## Devices
    /// The kernel's own pair of virtual links: containers, namespaces, test paths.
    /// ## Set
    /// - No device settings: there is no interrupt, no ring and no delay. Settings of the path beneath and of the CPUs
    ///   help: sched.cpu-affinity of both ends, cpu.governor, cpu.dma-latency.
    /// - `steer.rps` only to take work off a busy CPU: without it a packet is handled on the CPU that sent it.
    /// ## Leave
    /// - `nic.feature.gro on` for latency: it gives the pair NAPI polling of its own, and each packet then waits for a
    ///   poll.
    /// - `socket.busy-poll` without GRO or an XDP program: the pair then has nothing to poll.
    /// ## Know
    /// - A packet goes through the whole stack twice, once on each side.
    /// - With GRO on (it is off by default) or an XDP program each side has NAPI instances, one for each receive queue,
    ///   and can be busy-polled.
    /// - XDP runs in the driver; a program that redirects to the other side needs one there too, or GRO on.
    /// - The speed of 10 Gbit/s that it reports means nothing.
    "veth";
    drivers ["veth"];
    also ["containers"];
    sources [
        "drivers/net/veth.c in linux 6.12: veth_open, veth_napi_enable, veth_xmit, veth_get_link_ksettings, veth_set_xdp_features",
    ];
}
