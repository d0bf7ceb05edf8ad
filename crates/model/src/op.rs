//! Changes to the host as data: where, and to what.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a setting belongs to, as people and plans name it.
///
/// Written as text: `host`, `eth0`, `eth0/rx-0`, `eth0/tx-1`, `eth0/irq-2`, `eth0/napi-0`, `eth0/qdisc-root`,
/// `eth0/qdisc-1:1`, `eth0/route-192.0.2.0/24`, `cpu3`, `cpu3/idle-2`, `node0`. Interrupts, queues and NAPI instances are named by
/// device and position, never by number: numbers change when a driver reloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The whole host.
    #[default]
    Host,
    /// An interface.
    Iface(String),
    /// A receive queue of an interface.
    RxQueue(String, u32),
    /// A transmit queue of an interface.
    TxQueue(String, u32),
    /// The n-th interrupt of an interface.
    Irq(String, u32),
    /// The n-th NAPI instance of an interface.
    Napi(String, u32),
    /// The place of a queue discipline: interface and parent (`root`, `1:1`).
    Qdisc(String, String),
    /// A route of the main table: interface and destination (`192.0.2.0/24`, `0.0.0.0/0`).
    Route(String, String),
    /// A processor.
    Cpu(u32),
    /// An idle state of a processor, by its number in sysfs.
    IdleState(u32, u32),
    /// A NUMA node.
    Node(u32),
    /// A PCI device, by its address (`0000:01:00.0`).
    Device(String),
}

impl Target {
    /// One of each form.
    pub const EXAMPLES: &[&str] = &[
        "host",
        "eth0",
        "eth0/rx-0",
        "eth0/tx-12",
        "e.5/irq-3",
        "eth0/napi-0",
        "eth0/qdisc-root",
        "eth0/qdisc-1:1",
        "eth0/route-192.0.2.0/24",
        "e-1/route-::/0",
        "cpu3",
        "cpu3/idle-2",
        "node0",
        "0000:01:00.0",
    ];

    /// What several of its form are called.
    pub fn plural(&self) -> &'static str {
        match self {
            Self::Host => "settings",
            Self::Iface(_) => "interfaces",
            Self::RxQueue(..) | Self::TxQueue(..) => "queues",
            Self::Irq(..) => "interrupts",
            Self::Napi(..) => "NAPI instances",
            Self::Qdisc(..) => "qdiscs",
            Self::Route(..) => "routes",
            Self::Cpu(_) => "CPUs",
            Self::IdleState(..) => "idle states",
            Self::Node(_) => "nodes",
            Self::Device(_) => "devices",
        }
    }

    /// The interface this belongs to, if any.
    pub fn iface(&self) -> Option<&str> {
        match self {
            Self::Iface(i)
            | Self::RxQueue(i, _)
            | Self::TxQueue(i, _)
            | Self::Irq(i, _)
            | Self::Napi(i, _)
            | Self::Qdisc(i, _)
            | Self::Route(i, _) => Some(i),
            Self::Host | Self::Cpu(_) | Self::IdleState(..) | Self::Node(_) | Self::Device(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Iface(i) => f.write_str(i),
            Self::RxQueue(i, n) => write!(f, "{i}/rx-{n}"),
            Self::TxQueue(i, n) => write!(f, "{i}/tx-{n}"),
            Self::Irq(i, n) => write!(f, "{i}/irq-{n}"),
            Self::Napi(i, n) => write!(f, "{i}/napi-{n}"),
            Self::Qdisc(i, p) => write!(f, "{i}/qdisc-{p}"),
            Self::Route(i, p) => write!(f, "{i}/route-{p}"),
            Self::Cpu(n) => write!(f, "cpu{n}"),
            Self::IdleState(cpu, n) => write!(f, "cpu{cpu}/idle-{n}"),
            Self::Node(n) => write!(f, "node{n}"),
            Self::Device(address) => f.write_str(address),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{s:?} names no target; use host, IF, IF/rx-N, IF/tx-N, IF/irq-N, IF/napi-N, IF/qdisc-PARENT, IF/route-PREFIX, cpuN, cpuN/idle-M, nodeN or a PCI address"
            )
        };
        if s == "host" {
            return Ok(Self::Host);
        }
        // An interface name never holds a colon either.
        if is_pci_address(s) {
            return Ok(Self::Device(s.to_ascii_lowercase()));
        }
        // An interface name never holds a slash (net/core/dev.c, dev_valid_name), so the first one ends it.
        if let Some((iface, rest)) = s.split_once('/') {
            let (kind, which) = rest.split_once('-').ok_or_else(bad)?;
            let n = || which.parse::<u32>().map_err(|_| bad());
            // No other target of an interface begins so, whatever the interface's name.
            if kind == "idle" {
                let cpu = iface.strip_prefix("cpu").and_then(|c| c.parse().ok()).ok_or_else(bad)?;
                return Ok(Self::IdleState(cpu, n()?));
            }
            let iface = iface.to_owned();
            return match kind {
                "rx" => Ok(Self::RxQueue(iface, n()?)),
                "tx" => Ok(Self::TxQueue(iface, n()?)),
                "irq" => Ok(Self::Irq(iface, n()?)),
                "napi" => Ok(Self::Napi(iface, n()?)),
                "qdisc" if !which.is_empty() => Ok(Self::Qdisc(iface, which.to_owned())),
                "route" if is_prefix(which) => Ok(Self::Route(iface, which.to_owned())),
                _ => Err(bad()),
            };
        }
        for (prefix, make) in [("cpu", Self::Cpu as fn(u32) -> Self), ("node", Self::Node)] {
            if let Some(n) = s.strip_prefix(prefix).and_then(|n| n.parse().ok()) {
                return Ok(make(n));
            }
        }
        if s.is_empty() { Err(bad()) } else { Ok(Self::Iface(s.to_owned())) }
    }
}

/// The address of a PCI device as sysfs writes it: `0000:01:00.0`.
pub fn is_pci_address(text: &str) -> bool {
    let shape = b"hhhh:hh:hh.h";
    text.len() == shape.len()
        && text.bytes().zip(shape).all(|(b, s)| if *s == b'h' { b.is_ascii_hexdigit() } else { b == *s })
}

/// An address, a slash and a length that fits it.
fn is_prefix(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<core::net::IpAddr>() {
        Ok(core::net::IpAddr::V4(_)) => 32,
        Ok(core::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|n| n <= most)
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "host, IF, IF/rx-N, IF/tx-N, IF/irq-N, IF/napi-N, IF/qdisc-PARENT, IF/route-PREFIX, cpuN, cpuN/idle-M, nodeN or a PCI address" })
    }
}

/// One place in the host that holds a state: what the reading door reads, the writing door writes and the journal
/// names. A knob maps a [`Target`] to loci.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum Locus {
    /// A file under `/proc` or `/sys` whose text is the state. Absolute path.
    File {
        /// Absolute path.
        path: String,
    },
    /// An offload feature (`ETHTOOL_MSG_FEATURES`): `on` or `off`, followed by `[requested on]` or `[requested off]`
    /// where another setting keeps it from what was asked for.
    Feature {
        /// Interface.
        iface: String,
        /// Kernel name, e.g. `rx-gro`.
        name: String,
    },
    /// A coalescing parameter (`ETHTOOL_MSG_COALESCE`): a number; booleans are 0 and 1.
    Coalesce {
        /// Interface.
        iface: String,
        /// `rx-usecs`, `adaptive-rx`, …
        param: String,
    },
    /// Coalescing of one direction, whole: `adaptive-rx=0 rx-usecs=8 rx-frames=128`, written in one message.
    Moderation {
        /// Interface.
        iface: String,
        /// `rx`, `tx`.
        direction: String,
    },
    /// A ring size (`ETHTOOL_MSG_RINGS`).
    Ring {
        /// Interface.
        iface: String,
        /// `rx`, `tx`, …
        param: String,
    },
    /// A channel count (`ETHTOOL_MSG_CHANNELS`).
    Channels {
        /// Interface.
        iface: String,
        /// `combined`, `rx`, `tx`.
        param: String,
    },
    /// Pause (`ETHTOOL_MSG_PAUSE`): `on` or `off`.
    Pause {
        /// Interface.
        iface: String,
        /// `autoneg`, `rx`, `tx`.
        param: String,
    },
    /// Energy-efficient Ethernet (`ETHTOOL_MSG_EEE`): `on` or `off`.
    Eee {
        /// Interface.
        iface: String,
    },
    /// A private flag (`ETHTOOL_MSG_PRIVFLAGS`): `on` or `off`.
    PrivateFlag {
        /// Interface.
        iface: String,
        /// The driver's name for it.
        name: String,
    },
    /// Hardware timestamping (`SIOCSHWTSTAMP`): `tx=N rx=N`.
    HwTimestamp {
        /// Interface.
        iface: String,
    },
    /// The queue discipline at one place.
    Qdisc {
        /// Interface.
        iface: String,
        /// `root` or `1:1`.
        parent: String,
    },
    /// A metric of a route of the main table: a number, 0 where it is not set.
    RouteMetric {
        /// Interface.
        iface: String,
        /// `192.0.2.0/24`, `0.0.0.0/0`.
        prefix: String,
        /// `rto_min` (ms), `quickack`.
        metric: String,
    },
    /// The n-th interrupt of an interface: a CPU list. The line's number is looked up at each use.
    IrqAffinity {
        /// Interface.
        iface: String,
        /// Position among the interface's lines.
        index: u32,
    },
    /// A value of one NAPI instance (`NETDEV_CMD_NAPI_SET`, Linux 6.13): a number. A write of the device's own value
    /// overwrites it.
    Napi {
        /// Interface.
        iface: String,
        /// NAPI id.
        id: u32,
        /// `gro-flush-timeout`, `defer-hard-irqs`, `irq-suspend-timeout`, `threaded`.
        param: String,
    },
    /// Where received flows go (`ETHTOOL_SRSSH`): table, key and function as the kernel gave them, lower-case hex. Put
    /// back where a link reset lost it; no knob sets it.
    Rss {
        /// Interface.
        iface: String,
    },
    /// The driver of a PCI network device, and what goes with it: `e1000e iface=eth1 mtu=1500`, `vfio-pci
    /// override=vfio-pci`, `none`.
    Driver {
        /// `0000:01:00.0`.
        device: String,
    },
    /// The wake-up latency limit, held by a process that keeps `/dev/cpu_dma_latency` open: µs, or `none`.
    CpuDmaLatency,
    /// A configuration file that lowlat owns whole (`/etc/sysctl.d/…`, a `.link` file, a boot drop-in).
    DropIn {
        /// Absolute path.
        path: String,
    },
}

/// The loci that name their interface.
macro_rules! of_interface {
    ($iface:ident) => {
        Self::Feature { $iface, .. }
            | Self::Coalesce { $iface, .. }
            | Self::Moderation { $iface, .. }
            | Self::Ring { $iface, .. }
            | Self::Channels { $iface, .. }
            | Self::Pause { $iface, .. }
            | Self::Eee { $iface }
            | Self::PrivateFlag { $iface, .. }
            | Self::HwTimestamp { $iface }
            | Self::Rss { $iface }
            | Self::Qdisc { $iface, .. }
            | Self::RouteMetric { $iface, .. }
            | Self::IrqAffinity { $iface, .. }
            | Self::Napi { $iface, .. }
    };
}

impl Locus {
    /// The interface that the place belongs to.
    pub fn iface(&self) -> Option<&str> {
        match self {
            of_interface!(iface) => Some(iface),
            Self::File { path } => path.strip_prefix(NET_CLASS)?.split('/').next(),
            Self::CpuDmaLatency | Self::Driver { .. } | Self::DropIn { .. } => None,
        }
    }

    /// The same place of the same interface under another name.
    #[must_use]
    pub fn on(&self, name: &str) -> Self {
        let mut there = self.clone();
        match &mut there {
            of_interface!(iface) => name.clone_into(iface),
            Self::File { path } => {
                if let Some((_, rest)) = path.strip_prefix(NET_CLASS).and_then(|p| p.split_once('/')) {
                    *path = format!("{NET_CLASS}{name}/{rest}");
                }
            }
            Self::CpuDmaLatency | Self::Driver { .. } | Self::DropIn { .. } => {}
        }
        there
    }
}

/// Where sysfs has the interfaces of the namespace that it was mounted in.
const NET_CLASS: &str = "/sys/class/net/";

/// The state at a [`Locus`], complete enough to be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Text, byte for byte, without the trailing newline the kernel adds.
    Text(String),
    /// A queue discipline, with the kernel's own option bytes, which are sent back unread.
    Qdisc(QdiscState),
    /// Nothing is there (a drop-in that does not exist); putting it back removes what is.
    Nothing,
}

/// A queue discipline as the kernel dumped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QdiscState {
    /// `fq_codel`, …
    pub kind: String,
    /// `8001:`; `0:` means the kernel made it on its own, and putting it back means deleting what is in its place.
    pub handle: String,
    /// `TCA_OPTIONS`, lower-case hex; empty where the kernel gave none.
    pub options_hex: String,
    /// For people.
    pub summary: String,
    /// What else hangs there, as text, that kind and options do not bring back: a size table, filters, inner queue
    /// disciplines. Where it is not empty, the place is not touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<String>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(t) => f.write_str(t),
            Self::Qdisc(q) => {
                f.write_str(&q.kind)?;
                if !q.summary.is_empty() {
                    write!(f, " {}", q.summary)?;
                }
                if q.carries.is_empty() { Ok(()) } else { write!(f, " with {}", q.carries.join(", ")) }
            }
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// One write: put `set` at `locus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Op {
    /// Where.
    pub locus: Locus,
    /// To what.
    pub set: State,
}

impl Op {
    /// A write of text to a file.
    pub fn file(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { locus: Locus::File { path: path.into() }, set: State::Text(text.into()) }
    }

    /// A write of text at any locus.
    pub fn text(locus: Locus, text: impl Into<String>) -> Self {
        Self { locus, set: State::Text(text.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_as_they_are_written() {
        for t in Target::EXAMPLES {
            assert_eq!(t.parse::<Target>().map(|t| t.to_string()).as_deref(), Ok(*t));
        }
        for t in [
            "",
            "eth0/",
            "eth0/rx-",
            "eth0/rx-x",
            "eth0/qdisc-",
            "eth0/what-1",
            "eth0/route-default",
            "eth0/route-192.0.2.0/33",
        ] {
            assert!(t.parse::<Target>().is_err(), "{t:?} was taken");
        }
    }

    /// Journals of earlier versions name places so, and have to be read for as long as a change of theirs may stand.
    #[test]
    fn a_journal_names_each_place_as_it_always_did() {
        for json in [
            r#"{"at":"file","path":"/proc/sys/net/core/busy_read"}"#,
            r#"{"at":"feature","iface":"eth0","name":"rx-gro"}"#,
            r#"{"at":"coalesce","iface":"eth0","param":"rx-usecs"}"#,
            r#"{"at":"moderation","iface":"eth0","direction":"rx"}"#,
            r#"{"at":"ring","iface":"eth0","param":"rx"}"#,
            r#"{"at":"channels","iface":"eth0","param":"combined"}"#,
            r#"{"at":"pause","iface":"eth0","param":"autoneg"}"#,
            r#"{"at":"eee","iface":"eth0"}"#,
            r#"{"at":"private-flag","iface":"eth0","name":"rx_cqe_compress"}"#,
            r#"{"at":"hw-timestamp","iface":"eth0"}"#,
            r#"{"at":"qdisc","iface":"eth0","parent":"root"}"#,
            r#"{"at":"route-metric","iface":"eth0","prefix":"192.0.2.0/24","metric":"quickack"}"#,
            r#"{"at":"irq-affinity","iface":"eth0","index":0}"#,
            r#"{"at":"napi","iface":"eth0","id":8193,"param":"threaded"}"#,
            r#"{"at":"rss","iface":"eth0"}"#,
            r#"{"at":"cpu-dma-latency"}"#,
            r#"{"at":"driver","device":"0000:01:00.0"}"#,
            r#"{"at":"drop-in","path":"/etc/sysctl.d/90-lowlat.conf"}"#,
        ] {
            let Ok(locus) = serde_json::from_str::<Locus>(json) else { panic!("{json} is not read") };
            assert_eq!(serde_json::to_string(&locus).ok().as_deref(), Some(json));
            let here = locus.iface().map(|_| "eth0");
            assert_eq!((locus.iface(), locus.on("wan0").iface()), (here, here.map(|_| "wan0")), "{json}");
        }
    }
}
