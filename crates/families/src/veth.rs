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
    /// - A program is refused where the other end's MTU does not fit a page (3,506 bytes on pages of 4 KiB; more with a
    ///   program that takes frames of several buffers), and where the other end has more transmit queues than this one has
    ///   receive queues. While it is there, the other end takes no larger MTU and loses its software segmentation.
    /// - The speed of 10 Gbit/s that it reports means nothing.
    "veth";
    drivers ["veth"];
    also ["containers", "container", "docker", "kubernetes"];
    sources [
        "drivers/net/veth.c in linux 6.12: veth_open, veth_napi_enable, veth_xmit, veth_get_link_ksettings, veth_set_xdp_features, veth_xdp_set",
    ];
}
