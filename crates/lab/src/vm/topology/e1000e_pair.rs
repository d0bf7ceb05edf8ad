use super::{HostNetwork, PAIR_SETUP, VmTopology};

/// Two e1000e linked in QEMU: exact coalescing (rx-usecs), rings, MSI-X, a PHC; stamps accepted but never delivered.
pub const E1000E_PAIR: VmTopology = VmTopology {
    name: "e1000e-pair",
    summary: "two e1000e back to back",
    cpus: 2,
    machine: &[
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
    cmdline: "",
    modules: &["e1000e"],
    setup: PAIR_SETUP,
    min_qemu: 7,
    host_network: HostNetwork::None,
};
