use super::{HostNetwork, PAIR_SETUP, VmTopology};

/// An Intel IOMMU before the NICs, for vfio-pci. Without intremap and snoop-control vfio finds no IOMMU type.
pub const IOMMU: VmTopology = VmTopology {
    name: "iommu",
    summary: "two e1000e behind an IOMMU, vfio-pci loaded",
    cpus: 2,
    machine: &[
        // In place of the 2 GiB of other guests: above 4 GiB, where q35 puts what is beyond the first two of them, are whole free
        // gigabytes for pages of 1 GiB (pdpe1gb, which TCG's `max` has).
        "-m",
        "6144",
        "-device",
        "intel-iommu,intremap=on,caching-mode=on,snoop-control=on",
        "-device",
        "pcie-root-port,id=rp1,bus=pcie.0,chassis=1,slot=1",
        "-device",
        "pcie-root-port,id=rp2,bus=pcie.0,chassis=2,slot=2",
        "-netdev",
        "hubport,id=a0,hubid=0",
        "-device",
        "e1000e,netdev=a0,bus=rp1,mac=52:54:00:00:00:01,romfile=",
        "-netdev",
        "hubport,id=a1,hubid=0",
        "-device",
        "e1000e,netdev=a1,bus=rp2,mac=52:54:00:00:00:02,romfile=",
    ],
    cmdline: "intel_iommu=on iommu=pt",
    modules: &["e1000e", "vfio_iommu_type1", "vfio-pci"],
    setup: PAIR_SETUP,
    min_qemu: 9,
    host_network: HostNetwork::None,
};
