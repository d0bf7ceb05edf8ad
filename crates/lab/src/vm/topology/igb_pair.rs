use super::{HostNetwork, PAIR_SETUP, VmTopology};

/// Two igb linked in QEMU: channels, RSS, rx/tx-usecs (four times nominal in QEMU), TX hardware stamps. igb is in QEMU
/// since 8.0.
pub const IGB_PAIR: VmTopology = VmTopology {
    name: "igb-pair",
    summary: "two igb back to back",
    cpus: 2,
    machine: &[
        "-device",
        "pcie-root-port,id=rp1,bus=pcie.0,chassis=1,slot=1",
        "-device",
        "pcie-root-port,id=rp2,bus=pcie.0,chassis=2,slot=2",
        "-netdev",
        "hubport,id=a0,hubid=0",
        "-device",
        "igb,netdev=a0,bus=rp1,mac=52:54:00:00:00:01,romfile=",
        "-netdev",
        "hubport,id=a1,hubid=0",
        "-device",
        "igb,netdev=a1,bus=rp2,mac=52:54:00:00:00:02,romfile=",
    ],
    cmdline: "",
    modules: &["igb"],
    setup: PAIR_SETUP,
    min_qemu: 8,
    host_network: HostNetwork::None,
};
