crate::family! {
    /// ## Devices
    /// virtio-net: KVM and QEMU guests, and clouds built on them.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0` where the host offers notification coalescing (`VIRTIO_NET_F_NOTF_COAL`).
    /// - `irq.affinity`: the lines are named `virtioN-input.0`, not after the interface; lowlat finds them through the
    ///   device.
    /// - `steer.xps`, `steer.rps`: one queue pair for each CPU that sends or receives, where the host provides that
    ///   many.
    /// ## Leave
    /// - EEE, pause, link speed, hardware timestamps: there are none in the guest.
    /// - Guest settings as a remedy for a busy host: look at steal time first, and at the host's own vhost thread.
    /// ## Know
    /// - Each packet crosses the host's kernel or vhost as well: the guest sees and tunes only one half of the path.
    /// - In sysfs the NUMA node and the interrupts are one level above the interface's own `device`, at the PCI
    ///   function.
    /// - Native XDP needs one more transmit queue for each CPU; with fewer, packets that an XDP program sends take a
    ///   slower path with a lock.
    "virtio";
    drivers ["virtio_net"];
    also ["kvm", "qemu", "vhost"];
    sources [
        "https://docs.oasis-open.org/virtio/virtio/v1.2/virtio-v1.2.html (5.1 Network Device)",
        "drivers/net/virtio_net.c in linux 6.12: virtnet_xdp_set, virtnet_set_coalesce",
        "measured: QEMU 7.2 and 10.0 guests: names of the interrupt lines, missing numa_node at the virtio device",
    ];
}
