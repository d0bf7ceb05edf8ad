crate::family! {
    /// ## Devices
    /// Amazon Elastic Network Adapter, on EC2 instances.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0`, `nic.coalesce.tx-usecs 0`: transmit completions
    ///   wait 64 µs by default; receive interrupts are adaptive on some instance types and not moderated on others.
    /// - `sysctl.net.core.busy_read` and `sysctl.net.core.busy_poll`, or `socket.busy-poll` for one program (Amazon's
    ///   guide names 70 µs).
    /// - `irq.affinity` and the application's core: Amazon's guide puts both on the same vCPU; another core of the same
    ///   node is the alternative to measure.
    /// - `cpu.dma-latency`: it keeps the CPUs out of deep idle states.
    /// ## Leave
    /// - irqbalance running, with the path's CPUs banned in its configuration: the driver gives no affinity hints, and
    ///   without irqbalance several interrupts may land on one CPU after a device reset.
    /// - `nic.ring.rx` and `nic.channels.combined`, unless drops grow: changing either interrupts traffic for less than
    ///   a millisecond.
    /// ## Know
    /// - `*_allowance_exceeded` counters are limits of the instance size: nothing on the host fixes them.
    /// - Low-latency queues (LLQ) push descriptors and the first 96 bytes of each packet into the device; the size is
    ///   negotiated at start, and `ethtool -G IF tx-push-buf-len` changes it (6.4 and later). Packets with headers
    ///   above 96 bytes (IPv6 with extensions and TCP options) are dropped unless large LLQ is on.
    /// - The driver in 6.12 has no PTP clock; newer drivers have one that is off until it is switched on (`devlink`).
    /// - The device can reset itself; a reset lasts less than a millisecond and may lose packets.
    "ena";
    drivers ["ena"];
    also ["aws", "amazon", "ec2", "nitro"];
    sources [
        "Documentation/networking/device_drivers/ethernet/amazon/ena.rst in linux 6.12: Data Path Interface, Interrupt Moderation",
        "linux commit b0c59e53968b55f6add088319bd31ca7dcdd8484: net: ena: Add support to changing tx_push_buf_len (6.4)",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (Performance Optimizations FAQs; CPU starvation)",
        "not confirmed: the limit of 125 reads a second of the PTP clock, which only newer drivers than 6.12 have",
    ];
}
