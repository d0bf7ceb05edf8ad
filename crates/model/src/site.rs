//! What one measurement depends on: facts of one interface and of a few CPUs, so that reading them is quick on a host with
//! a thousand interfaces. Each is read by the collector that reads it for [`Facts`](crate::Facts).

use std::collections::BTreeMap;

use crate::Reading;
use crate::conditions::Ptp;
#[cfg(doc)]
use crate::facts::Interface;
use crate::facts::{Feature, IdleState, Irq, Qdisc, RxQueue, Timestamping};

/// Which CPUs there are and what they share.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuTopology {
    /// Online processors.
    pub online: Reading<Vec<u32>>,
    /// `isolcpus=`, and isolated partitions of cpusets.
    pub isolated: Reading<Vec<u32>>,
    /// `nohz_full=`.
    pub nohz_full: Reading<Vec<u32>>,
    /// CPU → its SMT siblings, itself included.
    pub siblings: BTreeMap<u32, Vec<u32>>,
    /// CPU → NUMA node.
    pub node_of: BTreeMap<u32, u32>,
}

/// Where a prober can be placed: the CPUs, and where the path's interface is received.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// The CPUs.
    pub topology: CpuTopology,
    /// CPU → those that share its third-level cache, itself included.
    pub caches: BTreeMap<u32, Vec<u32>>,
    /// The interface of the path first, then those below it (a bond's slaves, a VLAN's device); empty without one.
    pub links: Vec<SiteLink>,
}

/// Where one interface is received.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteLink {
    /// Interface name.
    pub name: String,
    /// NUMA node of the device.
    pub numa_node: Reading<u32>,
    /// Its interrupt lines.
    pub irqs: Reading<Vec<Irq>>,
    /// Receive queues, by index.
    pub rx_queues: Vec<RxQueue>,
}

impl Irq {
    /// CPUs where the line fires or, where the kernel does not say, where it may.
    pub fn cpus(&self) -> &[u32] {
        self.effective.value().or(self.affinity.value()).map_or(&[], Vec::as_slice)
    }
}

/// The state of a host that affects one measurement, at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteState {
    /// CPUs and interface.
    pub site: Site,
    /// cpufreq governors of the prober's CPUs.
    pub governors: BTreeMap<u32, Reading<String>>,
    /// Idle states of the prober's first CPU.
    pub idle_states: Reading<Vec<IdleState>>,
    /// The wake-up latency limit the system holds, µs; 2000000000 means no limit.
    pub dma_latency_us: Reading<i64>,
    /// The clocksource in use.
    pub clocksource: Reading<String>,
    /// `net.core.busy_read`, µs.
    pub busy_read_us: Reading<u64>,
    /// `true` if `adjtimex` calls the clock synchronized.
    pub synchronized: Reading<bool>,
    /// Estimated error by `adjtimex`, ns.
    pub estimated_error_ns: Reading<u64>,
    /// PTP on this host.
    pub ptp: Reading<Ptp>,
    /// Of the path's interface, where it is known.
    pub iface: Option<SiteIface>,
}

/// Settings of the path's interface that affect a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteIface {
    /// Coalescing, as [`Interface::coalesce`].
    pub coalesce: Reading<BTreeMap<String, u32>>,
    /// Queue disciplines of every interface.
    pub qdiscs: Reading<Vec<Qdisc>>,
    /// Feature → state, as [`Interface::features`].
    pub features: Reading<BTreeMap<String, Feature>>,
    /// Stamping mode (`SIOCGHWTSTAMP`): `tx`, `rx` → the kernel's number.
    pub hardware_stamps: Reading<BTreeMap<String, u32>>,
    /// What the driver can stamp.
    pub timestamping: Reading<Timestamping>,
}
