crate::family! {
    /// ## Devices
    /// VMware's paravirtual NIC, in guests of ESXi, Workstation and QEMU.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0` and `nic.coalesce.rx-frames 0`: only all zeros
    ///   switch coalescing off; one frame would select its mode with a fixed number of packets. Devices before version
    ///   3 refuse all of these.
    /// - `nic.feature.lro off`: it is on by default and holds packets to merge them.
    /// - At the hypervisor: `ethernetX.coalescingScheme = disabled` for the virtual machine, or latency sensitivity
    ///   `high`, which switches coalescing and LRO off and reserves its processors.
    /// ## Leave
    /// - EEE, pause, link speed, hardware timestamps: there are none in the guest.
    /// - Guest settings as a remedy for a busy host: look at steal time first.
    /// ## Know
    /// - Without a setting in the guest the hypervisor coalesces by rate, at 4000 interrupts a second by default: a
    ///   packet may wait 250 µs. `ethtool -c` then shows zeros and does not reveal it.
    /// - Only one mode at a time: a delay together with `adaptive-rx` or frames is refused.
    /// - Packets that found no descriptor are counted as `pkts rx OOB`; the kernel's `rx_missed_errors` stays 0.
    /// - XDP runs in the driver; there is no zero-copy. Ring changes and XDP reset the device.
    "vmxnet3";
    drivers ["vmxnet3"];
    also ["vmware", "esxi", "vsphere"];
    sources [
        "drivers/net/vmxnet3/vmxnet3_ethtool.c in linux 6.12: vmxnet3_set_coalesce, vmxnet3_rq_dev_stats",
        "drivers/net/vmxnet3/vmxnet3_drv.c in linux 6.12: vmxnet3_probe_device (VMXNET3_COALESCE_DISABLED, default_coal_mode), vmxnet3_declare_features",
        "https://docs.vmware.com/en/VMware-vSphere/7.0/com.vmware.vsphere.networking.doc/GUID-F07634C7-4D90-4EFD-841F-8743F5DF36BF.html (coalescingScheme, 4000 interrupts per second)",
        "https://docs.vmware.com/en/VMware-vCloud-NFV-OpenStack-Edition/3.0/vmwa-vcloud-nfv30-performance-tunning/GUID-E2271E36-12BB-47CE-A765-5ECB5BBE7CC7.html (latencySensitivity disables coalescing and LRO)",
    ];
}
