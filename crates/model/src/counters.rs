//! Counters at one moment, and their growth over a window.

use std::collections::{BTreeMap, btree_map};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

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
    #[schemars(with = "BTreeMap<String, Reading<BTreeMap<String, u64>>>")]
    pub groups: BTreeMap<String, Reading<CounterGroup>>,
}

/// The counters of one group, by name. Copies share them, since a host may have a thousand interrupt lines on a hundred
/// processors, and each look at a part of the facts is a copy; one that is changed becomes its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, u64>")]
pub struct CounterGroup(Arc<BTreeMap<String, u64>>);

impl From<BTreeMap<String, u64>> for CounterGroup {
    fn from(counters: BTreeMap<String, u64>) -> Self {
        Self(Arc::new(counters))
    }
}

impl FromIterator<(String, u64)> for CounterGroup {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(counters: I) -> Self {
        counters.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl Deref for CounterGroup {
    type Target = BTreeMap<String, u64>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for CounterGroup {
    fn deref_mut(&mut self) -> &mut Self::Target {
        Arc::make_mut(&mut self.0)
    }
}

impl<'a> IntoIterator for &'a CounterGroup {
    type Item = (&'a String, &'a u64);
    type IntoIter = btree_map::Iter<'a, String, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for CounterGroup {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
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

    /// Groups in which nothing changed since an earlier reading become that reading's: most interrupt lines of a big host do
    /// not fire within a window.
    pub fn share(&mut self, earlier: &Self) {
        for (name, group) in &mut self.groups {
            if let Some(same) = earlier.groups.get(name).filter(|same| *same == group) {
                *group = same.clone();
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_until_one_is_changed_and_read_as_what_they_are() {
        let group: CounterGroup = [("cpu0".to_owned(), 7), ("cpu1".to_owned(), 0)].into_iter().collect();
        let of = |group: &CounterGroup| Counters {
            at_ns: 1,
            groups: BTreeMap::from([("irq/41".to_owned(), Reading::Value(group.clone()))]),
        };
        let (earlier, again) = (of(&group), of(&group.iter().map(|(k, v)| (k.clone(), *v)).collect()));
        let mut later = again.clone();
        later.share(&earlier);
        assert_eq!(later, again);
        let at = |counters: &Counters| Arc::as_ptr(&counters.groups["irq/41"].value().unwrap().0);
        assert_eq!(at(&later), at(&earlier), "nothing changed, one copy");
        assert_ne!(at(&again), at(&earlier));
        let mut changed = group.clone();
        changed.insert("cpu0".to_owned(), 8);
        assert_eq!((group["cpu0"], changed["cpu0"]), (7, 8));
        let mut later = of(&changed);
        later.share(&earlier);
        assert_eq!(later.get("irq/41", "cpu0"), Some(8));
        let text = serde_json::to_string(&earlier).unwrap();
        assert_eq!(text, r#"{"at_ns":1,"groups":{"irq/41":{"value":{"cpu0":7,"cpu1":0}}}}"#);
        assert_eq!(serde_json::from_str::<Counters>(&text).unwrap(), earlier);
    }
}
