//! Writes as data: what the writing door performs.

use std::net::IpAddr;

use lowlat_model::op::QdiscState;

/// One request to the kernel, or one file. It is made of nothing that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A value and a newline to a file of the kernel.
    Line {
        /// Absolute path.
        path: String,
        /// The value.
        text: String,
    },
    /// A CPU list to the n-th interrupt of an interface, whose number is looked up when it is written.
    IrqAffinity {
        /// Interface.
        iface: String,
        /// Position among the interface's lines.
        index: u32,
        /// CPU list.
        cpus: String,
    },
    /// The wish for an offload feature.
    Feature {
        /// Interface.
        iface: String,
        /// Kernel name.
        name: String,
        /// The wish.
        on: bool,
    },
    /// Coalescing parameters, in one message.
    Coalesce {
        /// Interface.
        iface: String,
        /// Parameter and value.
        values: Vec<(String, u32)>,
    },
    /// A ring size.
    Ring {
        /// Interface.
        iface: String,
        /// `rx`, `tx`, …
        param: String,
        /// Entries.
        value: u32,
    },
    /// A channel count.
    Channels {
        /// Interface.
        iface: String,
        /// `combined`, `rx`, `tx`.
        param: String,
        /// Channels.
        value: u32,
    },
    /// A pause parameter.
    Pause {
        /// Interface.
        iface: String,
        /// `autoneg`, `rx`, `tx`.
        param: String,
        /// On or off.
        on: bool,
    },
    /// Energy-efficient Ethernet.
    Eee {
        /// Interface.
        iface: String,
        /// On or off.
        on: bool,
    },
    /// A private flag.
    PrivateFlag {
        /// Interface.
        iface: String,
        /// The driver's name for it.
        name: String,
        /// On or off.
        on: bool,
    },
    /// Hardware time stamping.
    HwTimestamp {
        /// Interface.
        iface: String,
        /// `HWTSTAMP_TX_*`.
        tx: u32,
        /// `HWTSTAMP_FILTER_*`.
        rx: u32,
    },
    /// The RSS table, key and function, as they were read.
    Rss {
        /// Interface.
        iface: String,
        /// The kernel's own bytes.
        table: Vec<u8>,
    },
    /// A value of one NAPI instance.
    Napi {
        /// NAPI id.
        id: u32,
        /// The kernel's name.
        param: String,
        /// Value.
        value: u64,
    },
    /// The driver of a PCI device: the one that alone may take it, then the one that has it, then its interface's name and
    /// MTU.
    PciDriver {
        /// `0000:01:00.0`.
        device: String,
        /// The driver; none to leave it without one.
        driver: Option<String>,
        /// `driver_override`.
        forced: Option<String>,
        /// The name of its interface.
        iface: Option<String>,
        /// The interface's MTU, bytes.
        mtu: Option<u32>,
    },
    /// A metric of a route of the main table.
    RouteMetric {
        /// Interface.
        iface: String,
        /// Destination and the length of its prefix.
        to: (IpAddr, u8),
        /// `rto_min`, `quickack`.
        metric: String,
        /// 0 takes it away.
        value: u32,
    },
    /// A queue discipline in its place.
    Qdisc {
        /// Interface.
        iface: String,
        /// `root` or `1:1`.
        parent: String,
        /// What is to hang there.
        state: QdiscState,
    },
    /// A file that lowlat owns whole.
    Own {
        /// Absolute path.
        path: String,
        /// Its text.
        text: String,
    },
    /// The end of such a file.
    RemoveOwn {
        /// Absolute path.
        path: String,
    },
}

impl Write {
    /// Itself, if the kernel takes others of its kind in the same request.
    pub(crate) fn alone_or_with_others(self) -> Result<Self, String> {
        if matches!(self, Self::Coalesce { .. }) { Ok(self) } else { Err(OF_ITS_OWN.to_owned()) }
    }

    /// Both in one request.
    pub(crate) fn with(self, next: Self) -> Result<Self, String> {
        match (self, next) {
            (Self::Coalesce { iface, mut values }, Self::Coalesce { iface: other, values: more }) if iface == other => {
                values.extend(more);
                Ok(Self::Coalesce { iface, values })
            }
            _ => Err(OF_ITS_OWN.to_owned()),
        }
    }
}

const OF_ITS_OWN: &str = "the kernel takes it in a request of its own";
