//! The guests' machines and networks, one file each.

mod e1000e_pair;
mod host_network;
mod igb_four;
mod igb_pair;
mod iommu;
mod isolated;
mod numa;
mod virtio_mq;

pub use e1000e_pair::E1000E_PAIR;
pub use host_network::HostNetwork;
pub use igb_four::IGB_FOUR;
pub use igb_pair::IGB_PAIR;
pub use iommu::IOMMU;
pub use isolated::ISOLATED;
pub use numa::NUMA;
pub use virtio_mq::VIRTIO_MQ;

/// A machine as data.
#[derive(Debug)]
pub struct VmTopology {
    /// Name, as a user writes it.
    pub name: &'static str,
    /// One line on what it is for.
    pub summary: &'static str,
    /// CPUs of the guest.
    pub cpus: u32,
    /// QEMU arguments for the devices.
    pub machine: &'static [&'static str],
    /// Kernel command line.
    pub cmdline: &'static str,
    /// Modules loaded before the setup, in this order: it decides the interfaces' numbers.
    pub modules: &'static [&'static str],
    /// Shell commands before the script.
    pub setup: &'static str,
    /// First QEMU major version that has the devices.
    pub min_qemu: u32,
    /// What QEMU's end needs on the host.
    pub host_network: HostNetwork,
}

/// All topologies.
pub const ALL: [&VmTopology; 7] = [&E1000E_PAIR, &IGB_PAIR, &IGB_FOUR, &VIRTIO_MQ, &NUMA, &ISOLATED, &IOMMU];

/// Finds a topology by its name.
pub fn by_name(name: &str) -> Option<&'static VmTopology> {
    ALL.into_iter().find(|t| t.name == name)
}

/// The common setup of two interfaces of the guest that are linked: `eth0` (10.77.0.1) stays, `eth1` (10.77.0.2)
/// moves into the namespace `far`, so that traffic must leave through the driver.
const PAIR_SETUP: &str = "\
ip netns add far
ip link set eth1 netns far
ip addr add 10.77.0.1/24 dev eth0
ip link set eth0 up
ip netns exec far ip link set lo up
ip netns exec far ip addr add 10.77.0.2/24 dev eth1
ip netns exec far ip link set eth1 up
i=0
while [ \"$(cat /sys/class/net/eth0/carrier 2>/dev/null)\" != 1 ]; do
\ti=$((i + 1)); [ $i -lt 100 ] || { echo 'eth0 has no carrier'; exit 1; }
\tsleep 0.1
done
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topology_is_found_by_its_name() {
        for topology in ALL {
            assert_eq!(by_name(topology.name).map(|t| t.name), Some(topology.name));
            assert!(!topology.summary.is_empty());
        }
        assert!(by_name("nope").is_none());
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/vm/topology")).unwrap().count();
        assert_eq!(files, ALL.len() + 2, "a file that is not in ALL");
    }
}
