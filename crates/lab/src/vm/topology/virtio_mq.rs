use super::{HostNetwork, PAIR_SETUP, VmTopology};

/// Two virtio NICs with four queue pairs each. QEMU gives several queues only to taps, so these are bridged in a
/// private namespace.
pub const VIRTIO_MQ: VmTopology = VmTopology {
    name: "virtio-mq",
    summary: "two virtio NICs with four queues each",
    cpus: 4,
    machine: &[
        "-netdev",
        "tap,id=a0,ifname=lab0,queues=4,script=no,downscript=no,vhost=off",
        "-device",
        "virtio-net-pci,netdev=a0,mq=on,vectors=10,mac=52:54:00:00:00:01,romfile=",
        "-netdev",
        "tap,id=a1,ifname=lab1,queues=4,script=no,downscript=no,vhost=off",
        "-device",
        "virtio-net-pci,netdev=a1,mq=on,vectors=10,mac=52:54:00:00:00:02,romfile=",
    ],
    cmdline: "",
    modules: &["virtio_net"],
    setup: PAIR_SETUP,
    min_qemu: 7,
    host_network: HostNetwork::BridgedTaps,
};
