//! What the host is: one document, written by `lowlat facts`.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Application, Counters, NotSeen, OsRelease, PathLink, PathRole, Reading, Schema, Window};

/// Everything that was read of a host. Pure data; rules read nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// `lowlat.facts`.
    pub schema: Schema,
    /// Version of the lowlat that read them.
    pub lowlat: String,
    /// Wall clock at the read, ns since the epoch; 0 for a captured tree that does not record it.
    pub taken_at_unix_ns: u64,
    /// The interface in focus, if one was named.
    pub iface: Option<String>,
    /// The path's interfaces, from the one in focus or the route's own down to the devices; empty where none is in
    /// focus.
    #[serde(default)]
    pub path: Vec<PathLink>,
    /// The target that the path leads to, if one was named: an address.
    #[serde(default)]
    pub target: Option<String>,
    /// What of the path could not be followed, and why.
    #[serde(default)]
    pub path_not_seen: Vec<NotSeen>,
    /// Interfaces by which packets of login sessions leave, where they are known.
    #[serde(default)]
    pub login_ifaces: Vec<String>,
    /// Kernel, machine, virtualization.
    pub host: Host,
    /// Processors.
    pub cpus: Cpus,
    /// Every interface of the namespace, by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// Interrupt lines of `/proc/interrupts` that belong to an interface.
    pub irqs: Reading<Vec<Irq>>,
    /// Action names of all interrupt lines of `/proc/interrupts`, whatever device they belong to.
    #[serde(default = "Reading::<BTreeMap<u32, String>>::unrecorded")]
    pub irq_actions: Reading<BTreeMap<u32, String>>,
    /// Key in dotted form → text as the kernel gave it, trailing newline cut.
    pub sysctls: BTreeMap<String, Reading<String>>,
    /// Queue disciplines of every interface.
    pub qdiscs: Reading<Vec<Qdisc>>,
    /// Packet filters on the path.
    pub filters: Filters,
    /// AF_XDP sockets.
    #[serde(default = "Reading::<Vec<XdpSocket>>::unrecorded")]
    pub xdp_sockets: Reading<Vec<XdpSocket>>,
    /// Live TCP sockets with their TCP_INFO.
    #[schemars(with = "Reading<Vec<TcpSocket>>")]
    pub sockets: Reading<Sockets>,
    /// Routes of the main table.
    #[serde(default = "Reading::<Vec<Route>>::unrecorded")]
    pub routes: Reading<Vec<Route>>,
    /// Clock synchronization.
    pub time: TimeSync,
    /// Counters at the (later) read.
    pub counters: Counters,
    /// Counter growth over a window, if one was taken.
    pub window: Option<Window>,
    /// One running application, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
}

/// Kernel, machine, virtualization, memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// `uname -r`.
    pub release: Reading<String>,
    /// `uname -v`.
    pub version: Reading<String>,
    /// `uname -m`.
    pub machine: Reading<String>,
    /// `CONFIG_…` → value, of the options that rules ask about (`/proc/config.gz` or `/boot/config-*`).
    pub config: Reading<BTreeMap<String, String>>,
    /// Boot parameters.
    pub cmdline: Reading<String>,
    /// `true` under PREEMPT_RT (`/sys/kernel/realtime`, else `uname -v`).
    pub realtime: Reading<bool>,
    /// `metal`, or the hypervisor's name (`kvm`, `qemu-tcg`, `vmware`, `xen`, `hyperv`, `amazon`, `google`, …).
    pub virtualization: Reading<String>,
    /// The clocksource in use.
    pub clocksource: Reading<String>,
    /// The name of the network namespace in focus, or `net:[inode]`.
    pub netns: Reading<String>,
    /// Hugepages, per node and size in kB: `node0/2048` → total.
    pub hugepages: Reading<BTreeMap<String, u64>>,
    /// Boot id of the running kernel.
    pub boot_id: Reading<String>,
    /// Transparent huge pages: `always`, `madvise`, `never`.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub thp: Reading<String>,
    /// What a page fault does where no huge page is free: `always`, `defer`, `defer+madvise`, `madvise`, `never`.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub thp_defrag: Reading<String>,
    /// Kernel same-page merging: 0 stopped, 1 runs, 2 stopped and taken apart.
    #[serde(default = "Reading::<u64>::unrecorded")]
    pub ksm: Reading<u64>,
    /// PCI Express power management policy: `default`, `performance`, `powersave`, `powersupersave`.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub aspm_policy: Reading<String>,
    /// Processor vulnerabilities and what the kernel does about each: `meltdown` → `Mitigation: PTI`.
    #[serde(default = "Reading::<BTreeMap<String, String>>::unrecorded")]
    pub vulnerabilities: Reading<BTreeMap<String, String>>,
    /// Where the kernel lets another task in: `none`, `voluntary`, `full`, `lazy`, `rt`.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub preemption: Reading<String>,
    /// The distribution.
    #[serde(default = "Reading::<OsRelease>::unrecorded")]
    pub distribution: Reading<OsRelease>,
}

/// Processors, their power policy and their isolation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cpus {
    /// Online processors.
    pub online: Reading<Vec<u32>>,
    /// Model name.
    pub model: Reading<String>,
    /// Taken out of the scheduler's load balancing: `isolcpus=`, and valid isolated partitions of cpusets.
    pub isolated: Reading<Vec<u32>>,
    /// Control groups that ask for CPUs of their own: group → its partition.
    #[serde(default = "Reading::<BTreeMap<String, CpusetPartition>>::unrecorded")]
    pub partitions: Reading<BTreeMap<String, CpusetPartition>>,
    /// `nohz_full=`.
    pub nohz_full: Reading<Vec<u32>>,
    /// `on`, `off`, `forceoff`, `notsupported`, `notimplemented`.
    pub smt: Reading<String>,
    /// CPU → its SMT siblings, itself included.
    pub siblings: BTreeMap<u32, Vec<u32>>,
    /// CPU → NUMA node.
    pub node_of: BTreeMap<u32, u32>,
    /// Per-CPU power policy.
    pub power: BTreeMap<u32, CpuPower>,
    /// Idle governor and driver.
    pub idle_driver: Reading<String>,
    /// The wake-up latency limit the system holds, µs (`/dev/cpu_dma_latency`); 2000000000 means no limit.
    pub dma_latency_us: Reading<i64>,
    /// Whether the processors may run above their base frequency (turbo, boost).
    #[serde(default = "Reading::<bool>::unrecorded")]
    pub boost: Reading<bool>,
    /// Where unbound kernel workqueues may run.
    #[serde(default = "Reading::<Vec<u32>>::unrecorded")]
    pub workqueue: Reading<Vec<u32>>,
    /// The frequency limits of what the cores of an Intel package share: `package_00_die_00` → limits.
    #[serde(default = "Reading::<BTreeMap<String, UncoreLimits>>::unrecorded")]
    pub uncore: Reading<BTreeMap<String, UncoreLimits>>,
    /// In a guest: how long an idle virtual CPU may poll before it halts, ns (module `haltpoll`).
    #[serde(default = "Reading::<u64>::unrecorded")]
    pub halt_poll_ns: Reading<u64>,
    /// The processor has MWAIT, as far as this kernel sees (`monitor` of an x86 processor's flags). In a guest: its host
    /// lets it wait without leaving to it.
    #[serde(default = "Reading::<bool>::unrecorded")]
    pub mwait: Reading<bool>,
    /// CPU → what ordinary tasks are given there while real-time tasks want it all (the fair server, Linux 6.12).
    #[serde(default = "Reading::<BTreeMap<u32, FairServer>>::unrecorded")]
    pub fair_server: Reading<BTreeMap<u32, FairServer>>,
}

/// A control group that asks for CPUs of its own (`cpuset.cpus.partition`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpusetPartition {
    /// What it asks for: `root`, or `isolated`, which also ends load balancing among its CPUs.
    pub kind: String,
    /// The CPUs that it has now.
    pub cpus: Vec<u32>,
    /// Why the kernel does not give it CPUs of its own; `None` where it does.
    pub invalid: Option<String>,
}

/// What ordinary tasks are given of a CPU that real-time tasks want for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FairServer {
    /// So much, ns; 0 where the server is off.
    pub runtime_ns: u64,
    /// Of each such time, ns.
    pub period_ns: u64,
}

/// Frequency limits of the parts that the cores of a package share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UncoreLimits {
    /// `min_freq_khz`.
    pub floor_khz: u64,
    /// `max_freq_khz`.
    pub ceiling_khz: u64,
}

/// One processor's power policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuPower {
    /// cpufreq governor.
    pub governor: Reading<String>,
    /// Energy/performance preference.
    pub epp: Reading<String>,
    /// Current frequency, kHz.
    pub cur_khz: Reading<u64>,
    /// Lowest allowed frequency, kHz.
    pub min_khz: Reading<u64>,
    /// Highest allowed frequency, kHz.
    pub max_khz: Reading<u64>,
    /// Highest frequency that the processor can run at, kHz.
    #[serde(default = "Reading::<u64>::unrecorded")]
    pub hardware_max_khz: Reading<u64>,
    /// Idle states.
    pub idle_states: Reading<Vec<IdleState>>,
    /// Per-CPU resume latency limit (`n/a` is the strictest, `0` is none).
    pub resume_latency: Reading<String>,
}

/// One idle state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdleState {
    /// `POLL`, `C1`, `C6`, …
    pub name: String,
    /// Exit latency, µs.
    pub latency_us: u64,
    /// Disabled by the administrator.
    pub disabled: bool,
    /// Times entered.
    pub usage: u64,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interface {
    /// Interface index.
    pub index: u32,
    /// `up`, `down`, `unknown`, `lowerlayerdown`, …
    pub operstate: Reading<String>,
    /// Administratively up.
    pub up: bool,
    /// MTU, bytes.
    pub mtu: u32,
    /// Driver kind of a virtual link (`veth`, `bridge`, `vlan`, …), `None` for a device.
    pub kind: Option<String>,
    /// Hardware address.
    pub mac: Reading<String>,
    /// IPv4 and IPv6 addresses with prefix, `10.0.0.1/24`.
    pub addresses: Vec<String>,
    /// Carries a default route.
    pub default_route: bool,
    /// Interfaces directly beneath: slaves, ports, a VLAN's device, the link that a tunnel is bound to or by which its
    /// far ends are reached.
    #[serde(default = "Reading::<Vec<String>>::unrecorded")]
    pub lower: Reading<Vec<String>>,
    /// Driver name.
    pub driver: Reading<String>,
    /// Driver version.
    pub driver_version: Reading<String>,
    /// Firmware version.
    pub firmware: Reading<String>,
    /// Bus address (`0000:00:03.0`, `virtio1`).
    pub bus: Reading<String>,
    /// What the device is attached to: `pci`, `usb`, `sdio`, or `platform` for any other bus.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub attachment: Reading<String>,
    /// `true` for a Wi-Fi link.
    #[serde(default = "Reading::<bool>::unrecorded")]
    pub wireless: Reading<bool>,
    /// PCI vendor:device, `8086:10d3`.
    pub pci_id: Reading<String>,
    /// NUMA node; -1 from the kernel is [`Reading::Unsupported`].
    pub numa_node: Reading<u32>,
    /// Speed, Mbit/s.
    pub speed_mbps: Reading<u32>,
    /// `full`, `half`.
    pub duplex: Reading<String>,
    /// Highest speed that the port supports, Mbit/s.
    pub max_speed_mbps: Reading<u32>,
    /// Highest speed that the link partner advertises, Mbit/s.
    #[serde(default = "Reading::<u32>::unrecorded")]
    pub peer_max_speed_mbps: Reading<u32>,
    /// Feature → state.
    pub features: Reading<BTreeMap<String, Feature>>,
    /// Parameter (`rx-usecs`, `adaptive-rx`, …) → value; booleans are 0 and 1. Only what the driver offers.
    pub coalesce: Reading<BTreeMap<String, u32>>,
    /// `rx`, `tx`, `rx-mini`, `rx-jumbo` → current and highest.
    pub rings: Reading<BTreeMap<String, Limit>>,
    /// `rx`, `tx`, `other`, `combined` → current and highest.
    pub channels: Reading<BTreeMap<String, Limit>>,
    /// Pause: `autoneg`, `rx`, `tx`.
    pub pause: Reading<BTreeMap<String, bool>>,
    /// Energy-efficient Ethernet: `enabled`, `active`, `tx-lpi-enabled`.
    pub eee: Reading<BTreeMap<String, bool>>,
    /// Private flags.
    pub private_flags: Reading<BTreeMap<String, bool>>,
    /// Timestamping.
    pub timestamping: Reading<Timestamping>,
    /// Receive queues, by index.
    pub rx_queues: Vec<RxQueue>,
    /// Transmit queues, by index.
    pub tx_queues: Vec<TxQueue>,
    /// XDP program on the interface: `native`, `generic`, `offload`, or `none`.
    pub xdp: Reading<String>,
    /// XDP abilities by netdev-genl: `basic`, `redirect`, `xsk-zerocopy`, …
    pub xdp_features: Reading<Vec<String>>,
    /// `gro_flush_timeout`, ns: how long NAPI holds segments and keeps interrupts off when a poll found none.
    pub gro_flush_timeout_ns: Reading<u64>,
    /// `napi_defer_hard_irqs`: empty polls before the interrupt is switched on again.
    pub napi_defer_hard_irqs: Reading<u64>,
    /// `threaded`: NAPI polls in a kernel thread.
    pub napi_threaded: Reading<bool>,
    /// PCI Express link, now and at most.
    pub pcie: Reading<PcieLink>,
    /// The device's PCI Express link may sleep in L1 (ASPM).
    #[serde(default = "Reading::<bool>::unrecorded")]
    pub aspm_l1: Reading<bool>,
    /// How the device's memory accesses are translated: `DMA` (strict), `DMA-FQ` (lazy), `identity`; absent without an
    /// IOMMU.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub iommu: Reading<String>,
    /// The forward error correction in use: `off`, `rs`, `baser`, `llrs`.
    #[serde(default = "Reading::<String>::unrecorded")]
    pub fec: Reading<String>,
    /// A Wi-Fi link saves power.
    #[serde(default = "Reading::<bool>::unrecorded")]
    pub power_save: Reading<bool>,
    /// How packets are spread over the receive queues.
    #[serde(default = "Reading::<Rss>::unrecorded")]
    pub rss: Reading<Rss>,
    /// Rules that the device itself applies to received packets (`ethtool -n`).
    #[serde(default = "Reading::<u32>::unrecorded")]
    pub flow_rules: Reading<u32>,
    /// IPv4 multicast groups that programs have joined on it; the group of all hosts is left out.
    #[serde(default = "Reading::<Vec<String>>::unrecorded")]
    pub multicast_groups: Reading<Vec<String>>,
}

/// Receive side scaling of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rss {
    /// Receive queue → entries of the table that lead to it.
    pub table: BTreeMap<u32, u32>,
    /// Hash key, hexadecimal.
    pub hash_key: String,
    /// `toeplitz`, `xor`, `crc32`; a number where it has no name here.
    pub hash: String,
}

/// A device's PCI Express link as sysfs gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PcieLink {
    /// `current_link_speed`, GT/s.
    pub speed_gts: f64,
    /// `max_link_speed` of the device, GT/s.
    pub max_speed_gts: f64,
    /// `current_link_width`, lanes.
    pub width: u32,
    /// `max_link_width` of the device, lanes.
    pub max_width: u32,
}

/// One offload feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// On now.
    pub active: bool,
    /// May be changed.
    pub changeable: bool,
}

/// A setting and its highest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Now.
    pub current: u32,
    /// Highest the device takes.
    pub max: u32,
}

/// What `ethtool -T` shows. What is advertised is not yet what arrives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timestamping {
    /// `hardware-transmit`, `software-receive`, …
    pub capabilities: Vec<String>,
    /// `off`, `on`, …
    pub tx_types: Vec<String>,
    /// `none`, `all`, …
    pub rx_filters: Vec<String>,
    /// PTP hardware clock index.
    pub phc: Option<u32>,
}

/// One receive queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RxQueue {
    /// CPUs of `rps_cpus`; empty means off.
    pub rps_cpus: Reading<Vec<u32>>,
    /// `rps_flow_cnt`.
    pub rps_flow_cnt: Reading<u32>,
}

/// One transmit queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TxQueue {
    /// CPUs of `xps_cpus`; empty means off.
    pub xps_cpus: Reading<Vec<u32>>,
    /// Byte queue limit: current `limit`.
    pub bql_limit: Reading<u64>,
    /// Byte queue limit: `limit_max`.
    pub bql_limit_max: Reading<u64>,
}

/// One interrupt line of an interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Irq {
    /// Line number. Not stable across a driver reload: keys for undo use `iface` and `index`.
    pub irq: u32,
    /// Interface it serves.
    pub iface: String,
    /// Position among the interface's lines.
    pub index: u32,
    /// Action name of `/proc/interrupts`.
    pub action: String,
    /// `smp_affinity_list`: where it may fire.
    pub affinity: Reading<Vec<u32>>,
    /// `effective_affinity_list`: where it does fire.
    pub effective: Reading<Vec<u32>>,
    /// How the interface was matched: `msi_irqs`, `action-name`, `napi`, `virtio-parent`, `usb-controller`.
    pub matched_by: String,
}

/// One queue discipline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Qdisc {
    /// Interface.
    pub iface: String,
    /// `pfifo_fast`, `fq_codel`, `netem`, …
    pub kind: String,
    /// `root`, `ingress`, `clsact`, or `1:1`.
    pub parent: String,
    /// `8001:`, or `0:` for one the kernel made on its own.
    pub handle: String,
    /// For people: `limit 1000 delay 400us`.
    pub summary: String,
    /// `limit`, `delay_us`, `rate_bps`, … as far as they could be decoded.
    pub options: BTreeMap<String, u64>,
    /// Bytes queued now.
    pub backlog_bytes: u64,
    /// Packets queued now.
    pub qlen: u64,
    /// Dropped since it was made.
    pub drops: u64,
    /// Times its limit or rate was met.
    pub overlimits: u64,
}

/// Packet filters on the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Filters {
    /// nf_tables rules on base chains and what they jump to: `ip filter INPUT` → rules.
    pub nft_rules: Reading<BTreeMap<String, u64>>,
    /// Legacy iptables tables in use (`/proc/net/ip_tables_names`).
    pub iptables_tables: Reading<Vec<String>>,
    /// Connection tracking entries now.
    pub conntrack_count: Reading<u64>,
    /// Connection tracking table size.
    pub conntrack_max: Reading<u64>,
    /// Packet sockets (tcpdump and its kin) open in the namespace.
    pub packet_sockets: Reading<u64>,
    /// Traffic control filters, in the order in which they stand at each interface.
    #[serde(default = "Reading::<Vec<TcFilter>>::unrecorded")]
    pub tc: Reading<Vec<TcFilter>>,
    /// Programs of BPF at the hook `tcx`, which is before those filters: interface → how many, both directions together.
    #[serde(default = "Reading::<BTreeMap<String, u32>>::unrecorded")]
    pub tcx: Reading<BTreeMap<String, u32>>,
    /// The programs of BPF among those filters and at that hook, by name, in the order in which they run at each hook.
    #[serde(default = "Reading::<Vec<HookProgram>>::unrecorded")]
    pub programs: Reading<Vec<HookProgram>>,
}

/// A program of BPF that packets pass at an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HookProgram {
    /// Interface.
    pub iface: String,
    /// `tc`, `tcx ingress` or `tcx egress`.
    pub hook: String,
    /// The kernel's number of the program, which `bpftool prog show id N` takes; `None` where it gives none.
    pub id: Option<u32>,
    /// Its name; `None` where it has none, or where it may not be read.
    pub name: Option<String>,
    /// The process that holds it there, `name (pid)`; `None` where nobody is known to: attached without a link, pinned, or not
    /// visible.
    pub owner: Option<String>,
}

/// A traffic control filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcFilter {
    /// Interface.
    pub iface: String,
    /// `u32`, `matchall`, `bpf`, …
    pub kind: String,
}

/// An AF_XDP socket that is bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct XdpSocket {
    /// Interface.
    pub iface: String,
    /// Its receive queue.
    pub queue: u32,
    /// The device writes into the socket's memory itself; `None` where the kernel does not report it.
    pub zero_copy: Option<bool>,
    /// The program that holds it, `name (pid)`; `None` where it is not visible.
    pub owner: Option<String>,
}

/// All TCP sockets. A host may have a hundred thousand, which the copies of its facts share.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Vec<TcpSocket>")]
pub struct Sockets(Arc<Vec<TcpSocket>>);

impl From<Vec<TcpSocket>> for Sockets {
    fn from(all: Vec<TcpSocket>) -> Self {
        Self(Arc::new(all))
    }
}

impl std::ops::Deref for Sockets {
    type Target = [TcpSocket];

    fn deref(&self) -> &[TcpSocket] {
        &self.0
    }
}

impl Serialize for Sockets {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// One TCP socket with its TCP_INFO. Small, since a host may have a hundred thousand: words that all of them share are not
/// stored with each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSocket {
    /// Local address and port.
    pub local: Box<str>,
    /// Remote address and port.
    pub remote: Box<str>,
    /// `established`, `listen`, …
    pub state: Cow<'static, str>,
    /// Smoothed RTT, ns.
    pub srtt_ns: u64,
    /// RTT variance, ns.
    pub rttvar_ns: u64,
    /// Lowest RTT, ns.
    pub min_rtt_ns: u64,
    /// Segments retransmitted over the connection's life.
    pub retransmits: u64,
    /// Congestion window, segments.
    pub cwnd: u32,
    /// Bytes written and not yet sent.
    pub notsent_bytes: u64,
    /// Congestion control.
    pub congestion: Cow<'static, str>,
    /// Retransmission timeouts over the connection's life; `None` where the kernel does not count them (before 6.7).
    #[serde(default)]
    pub timeouts: Option<u32>,
}

/// One route of the main table; a multipath route gives one for each next hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// `192.0.2.0/24`; the default route is `0.0.0.0/0` or `::/0`.
    pub prefix: String,
    /// Outgoing interface.
    pub iface: String,
    /// Gateway, if there is one.
    pub gateway: Option<String>,
    /// Metrics that are set: `rto_min` in ms, `quickack`.
    pub metrics: BTreeMap<String, u32>,
}

/// Clock synchronization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSync {
    /// PTP hardware clocks present: `ptp0` → clock name.
    pub ptp_clocks: Reading<BTreeMap<String, String>>,
    /// Kernel clock state by `adjtimex`: `true` if synchronized.
    pub synchronized: Reading<bool>,
    /// Estimated error by `adjtimex`, ns.
    pub estimated_error_ns: Reading<u64>,
    /// Running clock daemons: `ptp4l`, `phc2sys`, `chronyd`, `systemd-timesyncd`, `ntpd`.
    pub daemons: Reading<Vec<String>>,
    /// Those of the daemons that steer the system clock, as far as their command lines tell: not a `phc2sys` that feeds
    /// another one (`-E ntpshm`), not a `chronyd -x`.
    #[serde(default = "Reading::<Vec<String>>::unrecorded")]
    pub system_clock: Reading<Vec<String>>,
    /// `true` if irqbalance runs.
    pub irqbalance: Reading<bool>,
    /// Running programs that steer PTP hardware clocks, as their command lines and the configuration files named there say.
    #[serde(default = "Reading::<Vec<PtpProgram>>::unrecorded")]
    pub ptp_programs: Reading<Vec<PtpProgram>>,
}

/// A program of linuxptp that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PtpProgram {
    /// `ptp4l`, `phc2sys`, `ts2phc`.
    pub program: String,
    /// Interfaces, or clock devices (`/dev/ptp0`), whose clocks it steers.
    pub steers: Vec<String>,
    /// It takes software stamps (`ptp4l -S`, `time_stamping software`), so it steers the system clock and no hardware clock.
    pub software_stamps: bool,
    /// `domainNumber` (`phc2sys -n`), where it is given; it is 0 otherwise.
    pub domain: Option<u8>,
    /// It steers the system clock.
    #[serde(default)]
    pub system_clock: bool,
    /// It takes its clocks from ptp4l's ports (`phc2sys -a`).
    #[serde(default)]
    pub automatic: bool,
    /// The profile that a ptp4l's settings amount to: `IEEE 1588 default`, `IEEE 802.1AS`, `ITU-T G.8275.1`.
    #[serde(default)]
    pub profile: Option<String>,
    /// The configuration file that it was given.
    #[serde(default)]
    pub config: Option<String>,
    /// Why that file was not read; what it says is then not known.
    #[serde(default)]
    pub config_unread: Option<String>,
}

impl Facts {
    /// The Interface to examine.
    pub fn focus(&self) -> Option<(&str, &Interface)> {
        let name = self.iface.as_deref()?;
        Some((name, self.interfaces.get(name)?))
    }

    /// An interface and everything beneath it that is known, from the top down; all ports of a bridge, and no
    /// redirections. Empty where there is no such interface.
    pub fn beneath(&self, iface: &str) -> Vec<PathLink> {
        let mut links: Vec<PathLink> = Vec::new();
        let mut next: VecDeque<(String, Option<String>)> = VecDeque::from([(iface.to_owned(), None)]);
        while let Some((name, above)) = next.pop_front() {
            let Some(interface) = self.interfaces.get(&name) else { continue };
            if links.iter().any(|l| l.name == name) {
                continue;
            }
            let lower = interface.lower.value().into_iter().flatten();
            next.extend(lower.map(|l| (l.clone(), Some(name.clone()))));
            let role = if above.is_some() { PathRole::Lower } else { PathRole::Route };
            links.push(PathLink { name, role, kind: interface.kind.clone(), above });
        }
        links
    }

    /// A sysctl's text, if it was read.
    pub fn sysctl(&self, key: &str) -> Option<&str> {
        self.sysctls.get(key)?.value().map(String::as_str)
    }
}
