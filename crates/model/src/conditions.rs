//! Where a run took place, and what affects its figures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::NotSeen;

/// The conditions of one run. What could not be read is `null`, and named with its reason in `not_seen`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conditions {
    /// Interface of the path, given or by route.
    pub iface: Option<String>,
    /// CPUs the prober could run on.
    pub cpus: Vec<u32>,
    /// Who chose them, as text.
    pub placement: String,
    /// NUMA node of those CPUs; `null` where they are of several.
    pub node: Option<u32>,
    /// NUMA node of the NIC.
    pub nic_node: Option<u32>,
    /// `SCHED_FIFO` priority of the prober.
    pub rt_priority: Option<u8>,
    /// Memory was locked.
    pub memory_locked: bool,
    /// Why it was not.
    pub memory_refused: Option<String>,
    /// cpufreq governors of the prober's CPUs.
    pub governor: Option<String>,
    /// Idle states that these CPUs may enter, with their exit latency, µs.
    pub idle_states: Option<BTreeMap<String, u64>>,
    /// Wake-up latency limit the system holds, µs (`/dev/cpu_dma_latency`); `null` also for "no limit".
    pub cpu_dma_latency_us: Option<i64>,
    /// SMT siblings of the prober's CPU, itself left out; only where it was pinned to one.
    pub smt_siblings: Option<Vec<u32>>,
    /// Interrupts of the interface and the CPUs where they fire.
    pub irq_cpus: Option<BTreeMap<String, Vec<u32>>>,
    /// One of them fires on a CPU of the prober.
    pub irq_on_prober_cpu: Option<bool>,
    /// Coalescing.
    pub coalesce: Option<BTreeMap<String, u32>>,
    /// Root queue discipline of the interface.
    pub qdisc: Option<String>,
    /// GRO, LRO, TSO, GSO: on or off.
    pub offloads: Option<BTreeMap<String, bool>>,
    /// `TCP_NODELAY` of the prober's socket; `null` for other protocols.
    pub tcp_nodelay: Option<bool>,
    /// The clocksource in use.
    pub clocksource: Option<String>,
    /// `net.core.busy_read`, µs.
    pub busy_read_us: Option<u64>,
    /// Share of the run that the hypervisor gave to others, on the prober's CPUs.
    pub steal_ratio: Option<f64>,
    /// The NIC's stamping mode (`SIOCGHWTSTAMP`), as text.
    pub hardware_stamps: Option<String>,
    /// State of clock synchronization, as text.
    pub clock_sync: Option<String>,
    /// What a wake-up costs on the prober's CPU, measured right before the run without the path; `null` where it could not be
    /// measured, and in older documents.
    #[serde(default)]
    pub wake_up: Option<WakeUp>,
    /// PTP on this host; `null` where it could not be asked.
    #[serde(default)]
    pub ptp: Option<Ptp>,
    /// What could not be read, and why.
    pub not_seen: Vec<NotSeen>,
}

/// What a wake-up costs between two CPUs: half of the median round trip of two threads that wake each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WakeUp {
    /// The prober's CPU.
    pub cpu: u32,
    /// The one that it was measured with: the far end's on the same host, else where the interface's packets are received,
    /// else another one of this process, else the same.
    pub other_cpu: u32,
    /// Of a thread that sleeps, ns.
    pub sleeping_ns: u64,
    /// Of one that spins on the same word of memory, ns; `null` where both CPUs are one.
    pub spinning_ns: Option<u64>,
    /// Of a thread that sleeps, once more after the run, ns; `null` where it was not measured again.
    #[serde(default)]
    pub sleeping_after_ns: Option<u64>,
}

/// Clock synchronization by PTP on one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ptp {
    /// Hardware clocks.
    pub clocks: Vec<HardwareClock>,
    /// What ptp4l says of itself; `null` where none answers.
    pub ptp4l: Option<Ptp4l>,
    /// Why none does.
    pub ptp4l_why_not: Option<String>,
}

/// One PTP hardware clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HardwareClock {
    /// `ptp0`.
    pub name: String,
    /// It less `CLOCK_REALTIME`, ns.
    pub offset_ns: Option<i64>,
    /// The most that `offset_ns` may be off by, ns: half the time between the system clock's readings around it.
    pub error_ns: Option<u64>,
    /// Why it could not be read.
    pub why_not: Option<String>,
}

/// ptp4l's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ptp4l {
    /// Its first port's: `MASTER`, `SLAVE`, `LISTENING`, …
    pub state: String,
    /// Its clock less the master's as last measured, ns; it says nothing unless the state is `SLAVE`.
    pub offset_from_master_ns: i64,
    /// The grandmaster's identity, where there is one.
    pub master: Option<String>,
}
