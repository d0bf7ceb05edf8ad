use super::{HostNetwork, PAIR_SETUP, VmTopology};

/// CPU 1 kept free of the scheduler, of the tick and of RCU callbacks.
pub const ISOLATED: VmTopology = VmTopology {
    name: "isolated",
    summary: "two e1000e, CPU 1 isolated",
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
    cmdline: "isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1",
    modules: &["e1000e"],
    setup: PAIR_SETUP,
    min_qemu: 7,
    host_network: HostNetwork::None,
};
