use super::{HostNetwork, VmTopology};

/// Four igb: `eth0` and `eth2` make an active-backup bond of the near end, linked with `eth1` at the far end; `eth3`
/// stands alone next to them. Path and addresses are those of [`super::IGB_PAIR`], but on a VLAN of the bond,
/// `bond0.5`. macvlan, WireGuard, team and ipvlan are loaded for who asks. A hub joins the first three, so the bond's backup hears
/// what the active one does, as on a switch that floods.
pub const IGB_FOUR: VmTopology = VmTopology {
    name: "igb-four",
    summary: "a VLAN on a bond of two igb, a third far away, a fourth beside",
    cpus: 2,
    machine: &[
        "-device",
        "pcie-root-port,id=rp1,bus=pcie.0,chassis=1,slot=1",
        "-device",
        "pcie-root-port,id=rp2,bus=pcie.0,chassis=2,slot=2",
        "-device",
        "pcie-root-port,id=rp3,bus=pcie.0,chassis=3,slot=3",
        "-device",
        "pcie-root-port,id=rp4,bus=pcie.0,chassis=4,slot=4",
        "-netdev",
        "hubport,id=a0,hubid=0",
        "-device",
        "igb,netdev=a0,bus=rp1,mac=52:54:00:00:00:01,romfile=",
        "-netdev",
        "hubport,id=a1,hubid=0",
        "-device",
        "igb,netdev=a1,bus=rp2,mac=52:54:00:00:00:02,romfile=",
        "-netdev",
        "hubport,id=a2,hubid=0",
        "-device",
        "igb,netdev=a2,bus=rp3,mac=52:54:00:00:00:03,romfile=",
        "-netdev",
        "hubport,id=b0,hubid=1",
        "-device",
        "igb,netdev=b0,bus=rp4,mac=52:54:00:00:00:04,romfile=",
    ],
    cmdline: "",
    modules: &["igb", "bonding", "8021q", "macvlan", "wireguard", "team", "ipvlan"],
    setup: "\
ip netns add far
ip link set eth1 netns far
ip link add bond0 type bond mode active-backup miimon 100
for slave in eth0 eth2; do ip link set $slave master bond0; done
ip link set bond0 up
ip link add link bond0 name bond0.5 type vlan id 5
ip addr add 10.77.0.1/24 dev bond0.5
ip link set bond0.5 up
ip addr add 10.79.0.1/24 dev eth3
ip link set eth3 up
ip netns exec far sh -ec '
ip link set lo up
ip link set eth1 up
ip link add link eth1 name eth1.5 type vlan id 5
ip addr add 10.77.0.2/24 dev eth1.5
ip link set eth1.5 up
'
i=0
while [ \"$(cat /sys/class/net/bond0.5/carrier 2>/dev/null)\" != 1 ]; do
\ti=$((i + 1)); [ $i -lt 100 ] || { echo 'bond0.5 has no carrier'; exit 1; }
\tsleep 0.1
done
echo eth0 > /sys/class/net/bond0/bonding/active_slave
",
    min_qemu: 8,
    host_network: HostNetwork::None,
};
