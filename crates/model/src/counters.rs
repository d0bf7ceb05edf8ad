//! Counters at one moment, and their growth over a window.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Reading;

/// Monotonic counters in named groups, read at one moment.
///
/// | group | keys | source |
/// |---|---|---|
/// | `softnet/cpuN` | `processed`, `dropped`, `time_squeeze`, `received_rps`, `flow_limit` | `/proc/net/softnet_stat` |
/// | `snmp` | `Udp.RcvbufErrors`, `Tcp.RetransSegs`, … | `/proc/net/snmp` |
/// | `netstat` | `TcpExt.DelayedACKs`, … | `/proc/net/netstat` |
/// | `link/IF` | `rx_packets`, `rx_dropped`, … | `/sys/class/net/IF/statistics` |
/// | `ethtool/IF` | the driver's own names | `ETHTOOL_GSTATS` |
/// | `qdisc/IF/PARENT` | `packets`, `drops`, `overlimits`, `requeues` (and the gauges `backlog`, `qlen`) | rtnetlink |
/// | `irq/N` | `cpu0`, `cpu1`, … | `/proc/interrupts` |
/// | `softirq/cpuN` | `NET_RX`, … | `/proc/softirqs` |
/// | `cpu/N` | `user`, `nice`, `system`, `idle`, `iowait`, `irq`, `softirq`, `steal` in USER_HZ ticks | `/proc/stat` |
/// | `cpuidle/cpuN/stateM` | `usage`, `time_us` | `/sys/devices/system/cpu/cpuN/cpuidle` |
/// | `vmstat` | `pgmajfault`, `numa_hint_faults`, … | `/proc/vmstat` |
/// | `thermal/cpuN` | `core_throttle_count`, `package_throttle_count` | `/sys/devices/system/cpu/cpuN/thermal_throttle` |
/// | `cgroup` | `nr_periods`, `nr_throttled`, `throttled_usec` of lowlat's own control group | `cpu.stat` |
/// | `queues/IF` | `rx3.rx-packets`, `rx3.rx-hw-drops`, … | netdev-genl |
/// | `pagepool/IF` | `alloc-fast`, `alloc-slow`, `recycle-ring`, … of all its page pools | netdev-genl |
/// | `ksoftirqd/cpuN` | `run_ns` of the thread that takes over software interrupts | `/proc/PID/schedstat` |
/// | `smi` | `count` of system management interrupts, of the first CPU | model-specific register 0x34 |
/// | `conntrack` | `drop`, `early_drop`, `insert_failed` | `/proc/net/stat/nf_conntrack` |
/// | `aer/IF` | `correctable`, `nonfatal`, `fatal` | `aer_dev_*` of the PCI function |
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// `CLOCK_MONOTONIC` at the read, in nanoseconds.
    pub at_ns: u64,
    /// Group name → counter name → count.
    pub groups: BTreeMap<String, Reading<BTreeMap<String, u64>>>,
}

/// Two readings of the same counters: what happened in between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The earlier reading.
    pub before: Counters,
    /// The later reading.
    pub after: Counters,
}

impl Counters {
    /// One counter, if its group was read and has it.
    pub fn get(&self, group: &str, key: &str) -> Option<u64> {
        self.groups.get(group)?.value()?.get(key).copied()
    }

    /// The groups whose name starts with `prefix`, e.g. `softnet/`.
    pub fn groups_under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.groups.keys().map(String::as_str).filter(move |g| g.starts_with(prefix))
    }
}

impl Window {
    /// Length of the window in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        self.after.at_ns.saturating_sub(self.before.at_ns)
    }

    /// How much a counter grew; `None` if either reading lacks it. A counter that went backwards (a driver reset) is
    /// `None` too: its growth is not known.
    pub fn delta(&self, group: &str, key: &str) -> Option<u64> {
        self.after.get(group, key)?.checked_sub(self.before.get(group, key)?)
    }

    /// Growth per second; `None` as for [`Window::delta`], or when the window has no length.
    pub fn rate(&self, group: &str, key: &str) -> Option<f64> {
        let ns = self.duration_ns();
        (ns > 0).then_some(())?;
        Some(self.delta(group, key)? as f64 * 1e9 / ns as f64)
    }

    /// The sum of a counter's growth over all groups under `prefix`; `None` if none of them has it.
    pub fn delta_under(&self, prefix: &str, key: &str) -> Option<u64> {
        let mut sum = None;
        for group in self.after.groups_under(prefix) {
            if let Some(d) = self.delta(group, key) {
                sum = Some(sum.unwrap_or(0) + d);
            }
        }
        sum
    }
}
