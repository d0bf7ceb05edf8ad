//! The questions that are not files: netlink and a few ioctls, each with the type of its answer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lowlat_model::Reading;
use lowlat_model::application::OpenSocket;
use lowlat_model::conditions::Ptp;
use lowlat_model::facts::{Feature, Limit, Qdisc, Timestamping};
use lowlat_model::op::QdiscState;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Sys;

/// One kernel query. [`NetQuery::name`] is its file name in a captured tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetQuery {
    /// `RTM_GETLINK` dump → `Vec<LinkInfo>`.
    Links,
    /// `RTM_GETADDR` dump → `Vec<Address>`.
    Addresses,
    /// `RTM_GETROUTE` dump → `Vec<Route>`.
    Routes,
    /// `RTM_GETROUTE` of one destination, policy rules included → [`RouteReply`].
    RouteTo {
        /// Destination.
        to: IpAddr,
        /// Only through this interface.
        oif: Option<String>,
        /// From this address of the host.
        from: Option<IpAddr>,
        /// Of packets with this mark.
        mark: Option<u32>,
    },
    /// What each link stands on, of an `RTM_GETLINK` dump → `Vec<Stacked>`.
    Stack,
    /// `RTM_GETNEIGH` dump → `Vec<Entry>`.
    Neighbours,
    /// `RTM_GETNEIGH` dump of `PF_BRIDGE` → `Vec<Entry>`.
    Forwarding,
    /// `RTM_GETTFILTER` of what comes in, what goes out and the root → `Vec<Redirects>`.
    Redirects(String),
    /// `WG_CMD_GET_DEVICE` → `Vec<Peer>`, without keys.
    Peers(String),
    /// `SSH_CONNECTION` of this process → [`Login`].
    Login,
    /// `RTM_GETQDISC` dump → `Vec<QdiscReply>`.
    Qdiscs,
    /// sock_diag → `Vec<TcpSocket>`.
    TcpSockets,
    /// sock_diag, in the namespace of a process → `Vec<InetSocket>`.
    InetSockets {
        /// `tcp`, `udp`.
        udp: bool,
        /// In the namespace of this process; `None` for this one.
        of: Option<u32>,
        /// Those with this local or remote port.
        port: Option<u16>,
        /// Or those with these inodes.
        inodes: Vec<u32>,
    },
    /// `pidfd_getfd` and `getsockopt`, which only reads → `BTreeMap<String, i64>`: `TCP_NODELAY`.
    SocketOptions {
        /// The process.
        pid: u32,
        /// Its descriptor.
        fd: u32,
        /// The socket that it is.
        inode: u32,
    },
    /// nf_tables rule dump → `BTreeMap<String, u64>`: `family table chain` → rules.
    NftRules,
    /// `ETHTOOL_GDRVINFO` → [`DriverInfo`].
    Driver(String),
    /// `ETHTOOL_MSG_LINKMODES_GET` → [`LinkModes`].
    LinkModes(String),
    /// `ETHTOOL_MSG_FEATURES_GET` → `BTreeMap<String, Feature>`.
    Features(String),
    /// `ETHTOOL_MSG_FEATURES_GET` → `BTreeMap<String, bool>`: what was asked for, of the features that may be changed.
    WantedFeatures(String),
    /// `ETHTOOL_GRXCLSRLCNT` → `u32`: receive flow rules.
    FlowRules(String),
    /// `ETHTOOL_GRSSH` → `String`: the RSS table, key and function as lower-case hex, to be sent back unread.
    Rss(String),
    /// sock_diag → `Vec<XskSocket>`.
    XskSockets,
    /// The inode of the interface's directory in sysfs → `u64`.
    SysfsInode(String),
    /// `ETHTOOL_MSG_COALESCE_GET` → `BTreeMap<String, u32>`.
    Coalesce(String),
    /// `ETHTOOL_MSG_RINGS_GET` → `BTreeMap<String, Limit>`.
    Rings(String),
    /// `ETHTOOL_MSG_CHANNELS_GET` → `BTreeMap<String, Limit>`.
    Channels(String),
    /// `ETHTOOL_MSG_PAUSE_GET` → `BTreeMap<String, bool>`.
    Pause(String),
    /// `ETHTOOL_MSG_EEE_GET` → `BTreeMap<String, bool>`.
    Eee(String),
    /// `ETHTOOL_MSG_FEC_GET` → `String`: the forward error correction in use.
    Fec(String),
    /// `NL80211_CMD_GET_POWER_SAVE` → `bool`.
    PowerSave(String),
    /// netdev-genl `page-pool-stats-get` → `BTreeMap<u32, BTreeMap<String, u64>>`, by interface index.
    PagePools,
    /// `BPF_PROG_QUERY` of tcx → `BTreeMap<String, Vec<TcxProgram>>`: the interfaces that have programs there, and which.
    TcxPrograms,
    /// Model-specific register 0x34 of the first CPU → `u64`.
    SmiCount,
    /// `ETHTOOL_MSG_PRIVFLAGS_GET` → `BTreeMap<String, bool>`.
    PrivateFlags(String),
    /// `ETHTOOL_MSG_TSINFO_GET` → [`Timestamping`].
    Timestamping(String),
    /// `ETHTOOL_GSTATS` → `BTreeMap<String, u64>`.
    Statistics(String),
    /// `ETHTOOL_MSG_STATS_GET`, and the statistics of `PAUSE_GET` and `FEC_GET` → `BTreeMap<String, u64>`:
    /// `eth-mac.FrameCheckSequenceErrors`.
    StandardStatistics(String),
    /// netdev-genl `qstats-get` → `BTreeMap<String, u64>`: `rx3.rx-hw-drops`.
    QueueStatistics(String),
    /// `SIOCGHWTSTAMP` → `BTreeMap<String, u32>`: `tx`, `rx`.
    HwTimestamp(String),
    /// netdev-genl `dev-get` → `Vec<String>` of XDP features.
    XdpFeatures(String),
    /// netdev-genl `napi-get` → `Vec<Napi>` (Linux 6.8).
    Napis(String),
    /// `adjtimex` → [`ClockState`].
    Clock,
    /// `uname` → [`Uname`].
    Uname,
    /// `st_ino` of `/proc/self/ns/net` → `u64`.
    NetnsInode,
    /// `SO_NETNS_COOKIE` of this network namespace → `u64`.
    NetnsCookie,
    /// The four bytes of `/dev/cpu_dma_latency` → `i32`, µs.
    CpuDmaLatency,
    /// `/dev/ptp*` and ptp4l's management socket → `Ptp`.
    Ptp,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// `IFF_UP`.
    pub up: bool,
    /// `up`, `down`, …
    pub operstate: String,
    /// Bytes.
    pub mtu: u32,
    /// `aa:bb:…`.
    pub mac: Option<String>,
    /// `IFLA_INFO_KIND`.
    pub kind: Option<String>,
    /// `native`, `generic`, `offload`, `multi`, or `none`.
    pub xdp: String,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterfaceAddress {
    /// Interface index.
    pub index: u32,
    /// `10.0.0.1/24`.
    pub address: String,
}

/// One route, as far as lowlat asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteEntry {
    /// `default` or `10.0.0.0/24`.
    pub destination: String,
    /// Outgoing interface index.
    pub oif: Option<u32>,
    /// Gateway.
    pub gateway: Option<String>,
    /// Table.
    pub table: u32,
    /// The destination with its prefix length also for the default route: `0.0.0.0/0`, `::/0`; empty in trees that were
    /// captured before it was asked.
    #[serde(default)]
    pub prefix: String,
    /// It has several next hops, each of which is an entry here.
    #[serde(default)]
    pub multipath: bool,
    /// Metrics that are set: `rto_min` in ms, `quickack`.
    #[serde(default)]
    pub metrics: BTreeMap<String, u32>,
}

/// The kernel's route to one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteReply {
    /// The destination is an address of this host.
    pub local: bool,
    /// Every next hop; empty where there is no route.
    pub hops: Vec<NextHop>,
    /// Why there is no route.
    #[serde(default)]
    pub refused: Option<String>,
}

/// One next hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHop {
    /// Outgoing interface index.
    pub oif: Option<u32>,
    /// Gateway; `None` where the destination is on the link.
    pub gateway: Option<IpAddr>,
}

/// What one link stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stacked {
    /// Index.
    pub index: u32,
    /// Index of the bond, team or bridge it is a part of.
    pub master: Option<u32>,
    /// Index of the link it names as its own: a VLAN's device, a veth's peer.
    pub link: Option<u32>,
    /// `link` is an index of another network namespace.
    #[serde(default)]
    pub link_elsewhere: bool,
    /// `vlan`, `vxlan`, …; `None` for a device.
    pub kind: Option<String>,
    /// A tunnel's far end, where it has one for all packets.
    pub remote: Option<IpAddr>,
    /// Index of the link that a tunnel is bound to.
    pub bound: Option<u32>,
}

/// One entry of the neighbour or of a forwarding table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Link index: the neighbour's, or the port behind which the hardware address is.
    pub index: u32,
    /// The neighbour's address; of a forwarding entry the far end of the tunnel.
    pub address: Option<IpAddr>,
    /// `aa:bb:…`; `None` where nobody answered.
    pub mac: Option<String>,
    /// Index of the bridge that the port is a part of.
    pub master: Option<u32>,
}

/// Where one filter sends packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirects {
    /// `u32`, `matchall`, `bpf`, …
    pub kind: String,
    /// Indexes of the links that packets are redirected to.
    pub to: Vec<u32>,
    /// Where packets go cannot be read: a program decides.
    pub opaque: bool,
    /// The number of the program of a `bpf` filter.
    #[serde(default)]
    pub program_id: Option<u32>,
    /// The name that its owner gave the program.
    #[serde(default)]
    pub program_name: Option<String>,
}

/// A program of BPF at a hook of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcxProgram {
    /// `ingress` or `egress`.
    pub hook: String,
    /// The kernel's number of the program.
    pub id: u32,
    /// The name that it was loaded with; `None` where it has none, or where it may not be read.
    #[serde(default)]
    pub name: Option<String>,
    /// The process that holds its link, `name (pid)`; `None` where it was attached without one, is pinned, or is not visible.
    #[serde(default)]
    pub owner: Option<String>,
}

/// One WireGuard peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelPeer {
    /// Where packets for it go; `None` before it has been heard of.
    pub endpoint: Option<IpAddr>,
    /// Destinations that go to it: `10.9.0.0/16`.
    pub allowed: Vec<String>,
    /// Mark of the packets to it; 0 for none.
    #[serde(default)]
    pub mark: u32,
}

/// The connection of the login session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Where the person is.
    pub peer: IpAddr,
    /// The address of this host that they came in by.
    pub local: IpAddr,
}

/// One queue discipline: for people, and exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QdiscReply {
    /// For facts.
    pub qdisc: Qdisc,
    /// For undo.
    pub exact: QdiscState,
}

/// One NAPI instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Napi {
    /// Its id, as `SO_INCOMING_NAPI_ID` gives it.
    pub id: u32,
    /// Its interrupt, where the driver reports.
    pub irq: Option<u32>,
    /// Its own values, by the kernel's names: `gro-flush-timeout`, ns; `defer-hard-irqs`; `threaded`. Those that the
    /// kernel does not keep per instance are not there.
    #[serde(default)]
    pub values: BTreeMap<String, u64>,
}

/// One AF_XDP socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct XskSocket {
    /// Interface index.
    pub index: u32,
    /// Queue.
    pub queue: u32,
    /// Inode of the socket, as `/proc/PID/fd` shows it.
    pub inode: u32,
    /// The device writes into the socket's memory itself; `None` where the kernel does not report it.
    #[serde(default)]
    pub zero_copy: Option<bool>,
    /// The program that holds it, `name (pid)`; `None` where it is not visible.
    #[serde(default)]
    pub owner: Option<String>,
}

/// One TCP or UDP socket, without its owners and options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InetSocket {
    /// As `/proc/PID/fd` shows it; 0 for one that no descriptor leads to.
    pub inode: u32,
    /// What the kernel shows of it.
    pub socket: OpenSocket,
}

/// Driver identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriverInfo {
    /// Name.
    pub driver: String,
    /// Version.
    pub version: String,
    /// Firmware version; empty where the driver gives none.
    pub firmware: String,
    /// Bus address.
    pub bus: String,
}

/// Speed and duplex, now and at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkModes {
    /// Mbit/s; `None` where unknown.
    pub speed_mbps: Option<u32>,
    /// Highest supported mode, Mbit/s.
    pub max_speed_mbps: Option<u32>,
    /// `full`, `half`, `unknown`.
    pub duplex: String,
    /// Highest mode that the link partner advertises, Mbit/s; `None` where the driver does not report it.
    #[serde(default)]
    pub peer_max_speed_mbps: Option<u32>,
}

/// `adjtimex`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockState {
    /// `STA_UNSYNC` is clear.
    pub synchronized: bool,
    /// `esterror`, ns.
    pub estimated_error_ns: u64,
}

/// `uname`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Uname {
    /// `-r`.
    pub release: String,
    /// `-v`.
    pub version: String,
    /// `-m`.
    pub machine: String,
}

impl NetQuery {
    /// File name in a captured tree, without the ending: `links`, `eth0/coalesce`.
    pub fn name(&self) -> String {
        let per = |iface: &str, what: &str| format!("{iface}/{what}");
        match self {
            Self::Links => "links".into(),
            Self::Addresses => "addresses".into(),
            Self::Routes => "routes".into(),
            Self::RouteTo { to, oif, from, mark } => {
                let oif = oif.as_ref().map(|o| format!("/over/{o}")).unwrap_or_default();
                let from = from.map(|f| format!("/from/{f}")).unwrap_or_default();
                let mark = mark.map(|m| format!("/mark/{m}")).unwrap_or_default();
                format!("route-to/{to}{oif}{from}{mark}")
            }
            Self::Login => "login".into(),
            Self::Stack => "stack".into(),
            Self::Neighbours => "neighbours".into(),
            Self::Forwarding => "forwarding".into(),
            Self::Redirects(i) => per(i, "redirects"),
            Self::Peers(i) => per(i, "peers"),
            Self::Qdiscs => "qdiscs".into(),
            Self::TcpSockets => "tcp-sockets".into(),
            Self::InetSockets { udp, of, port, .. } => {
                let protocol = if *udp { "udp" } else { "tcp" };
                let of = of.map(|pid| format!("/of/{pid}")).unwrap_or_default();
                let port = port.map(|p| format!("/port/{p}")).unwrap_or_default();
                format!("inet-sockets/{protocol}{of}{port}")
            }
            Self::SocketOptions { pid, fd, .. } => format!("socket-options/{pid}/{fd}"),
            Self::NftRules => "nft-rules".into(),
            Self::Driver(i) => per(i, "driver"),
            Self::LinkModes(i) => per(i, "link-modes"),
            Self::Features(i) => per(i, "features"),
            Self::WantedFeatures(i) => per(i, "wanted-features"),
            Self::FlowRules(i) => per(i, "flow-rules"),
            Self::Rss(i) => per(i, "rss"),
            Self::XskSockets => "xsk-sockets".into(),
            Self::SysfsInode(i) => per(i, "sysfs-inode"),
            Self::Coalesce(i) => per(i, "coalesce"),
            Self::Rings(i) => per(i, "rings"),
            Self::Channels(i) => per(i, "channels"),
            Self::Pause(i) => per(i, "pause"),
            Self::Eee(i) => per(i, "eee"),
            Self::Fec(i) => per(i, "fec"),
            Self::PowerSave(i) => per(i, "power-save"),
            Self::PagePools => "page-pools".into(),
            Self::TcxPrograms => "tcx-programs".into(),
            Self::SmiCount => "smi-count".into(),
            Self::PrivateFlags(i) => per(i, "private-flags"),
            Self::Timestamping(i) => per(i, "timestamping"),
            Self::Statistics(i) => per(i, "statistics"),
            Self::StandardStatistics(i) => per(i, "standard-statistics"),
            Self::QueueStatistics(i) => per(i, "queue-statistics"),
            Self::HwTimestamp(i) => per(i, "hw-timestamp"),
            Self::XdpFeatures(i) => per(i, "xdp-features"),
            Self::Napis(i) => per(i, "napis"),
            Self::Clock => "clock".into(),
            Self::Uname => "uname".into(),
            Self::NetnsInode => "netns-inode".into(),
            Self::NetnsCookie => "netns-cookie".into(),
            Self::CpuDmaLatency => "cpu-dma-latency".into(),
            Self::Ptp => "ptp".into(),
        }
    }
}

/// A query's reply in its type. A reply of another shape is [`Reading::Garbled`].
pub fn typed<T: DeserializeOwned>(sys: &dyn Sys, query: &NetQuery) -> Reading<T> {
    from_json(query, sys.net(query))
}

/// An answer in its type.
pub(crate) fn from_json<T: DeserializeOwned>(query: &NetQuery, answer: Reading<serde_json::Value>) -> Reading<T> {
    answer.and_then(|json| match serde_json::from_value(json) {
        Ok(v) => Reading::Value(v),
        Err(e) => Reading::Garbled(format!("{}: {e}", query.name())),
    })
}

macro_rules! typed_queries {
    ($($(#[$doc:meta])* $name:ident($($iface:ident)?) -> $ty:ty = $query:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(sys: &dyn Sys $(, $iface: &str)?) -> Reading<$ty> {
            typed(sys, &$query)
        }
    )*};
}

typed_queries! {
    /// All links of the namespace.
    links() -> Vec<LinkInfo> = NetQuery::Links;
    /// All addresses.
    addresses() -> Vec<InterfaceAddress> = NetQuery::Addresses;
    /// All routes.
    routes() -> Vec<RouteEntry> = NetQuery::Routes;
    /// The login session.
    login() -> Login = NetQuery::Login;
    /// What each link stands on.
    stack() -> Vec<Stacked> = NetQuery::Stack;
    /// All neighbours.
    neighbours() -> Vec<Neighbour> = NetQuery::Neighbours;
    /// All forwarding entries of bridges and vxlans.
    forwarding() -> Vec<Neighbour> = NetQuery::Forwarding;
    /// Where an interface's filters send packets.
    redirects(iface) -> Vec<Redirects> = NetQuery::Redirects(iface.to_owned());
    /// An interface's WireGuard peers.
    peers(iface) -> Vec<TunnelPeer> = NetQuery::Peers(iface.to_owned());
    /// All queue disciplines.
    qdiscs() -> Vec<QdiscReply> = NetQuery::Qdiscs;
    /// nf_tables rules per chain.
    nft_rules() -> BTreeMap<String, u64> = NetQuery::NftRules;
    /// Driver identity.
    driver(iface) -> DriverInfo = NetQuery::Driver(iface.to_owned());
    /// Speed and duplex.
    link_modes(iface) -> LinkModes = NetQuery::LinkModes(iface.to_owned());
    /// Offload features.
    features(iface) -> BTreeMap<String, Feature> = NetQuery::Features(iface.to_owned());
    /// Which offload features were asked for, of those that may be changed.
    wanted_features(iface) -> BTreeMap<String, bool> = NetQuery::WantedFeatures(iface.to_owned());
    /// The number of receive flow rules.
    flow_rules(iface) -> u32 = NetQuery::FlowRules(iface.to_owned());
    /// The RSS table, key and function.
    rss(iface) -> String = NetQuery::Rss(iface.to_owned());
    /// AF_XDP sockets that are bound.
    xsk_sockets() -> Vec<XskSocket> = NetQuery::XskSockets;
    /// What names an interface's object in sysfs for as long as it exists.
    sysfs_inode(iface) -> u64 = NetQuery::SysfsInode(iface.to_owned());
    /// Coalescing.
    coalesce(iface) -> BTreeMap<String, u32> = NetQuery::Coalesce(iface.to_owned());
    /// Rings.
    rings(iface) -> BTreeMap<String, Limit> = NetQuery::Rings(iface.to_owned());
    /// Channels.
    channels(iface) -> BTreeMap<String, Limit> = NetQuery::Channels(iface.to_owned());
    /// Pause.
    pause(iface) -> BTreeMap<String, bool> = NetQuery::Pause(iface.to_owned());
    /// Energy-efficient Ethernet.
    eee(iface) -> BTreeMap<String, bool> = NetQuery::Eee(iface.to_owned());
    /// The forward error correction in use.
    fec(iface) -> String = NetQuery::Fec(iface.to_owned());
    /// Whether a Wi-Fi interface saves power.
    power_save(iface) -> bool = NetQuery::PowerSave(iface.to_owned());
    /// What the page pools of each interface count.
    page_pools() -> BTreeMap<u32, BTreeMap<String, u64>> = NetQuery::PagePools;
    /// Programs of tcx, by interface.
    tcx_programs() -> BTreeMap<String, Vec<TcxProgram>> = NetQuery::TcxPrograms;
    /// System management interrupts since the start.
    smi_count() -> u64 = NetQuery::SmiCount;
    /// Private flags.
    private_flags(iface) -> BTreeMap<String, bool> = NetQuery::PrivateFlags(iface.to_owned());
    /// Timestamping abilities.
    timestamping(iface) -> Timestamping = NetQuery::Timestamping(iface.to_owned());
    /// Driver statistics.
    statistics(iface) -> BTreeMap<String, u64> = NetQuery::Statistics(iface.to_owned());
    /// Statistics that the kernel defines and the driver fills in.
    standard_statistics(iface) -> BTreeMap<String, u64> = NetQuery::StandardStatistics(iface.to_owned());
    /// Statistics of each queue.
    queue_statistics(iface) -> BTreeMap<String, u64> = NetQuery::QueueStatistics(iface.to_owned());
    /// Hardware timestamping mode.
    hw_timestamp(iface) -> BTreeMap<String, u32> = NetQuery::HwTimestamp(iface.to_owned());
    /// XDP features.
    xdp_features(iface) -> Vec<String> = NetQuery::XdpFeatures(iface.to_owned());
    /// NAPI instances.
    napis(iface) -> Vec<Napi> = NetQuery::Napis(iface.to_owned());
    /// Clock state.
    clock() -> ClockState = NetQuery::Clock;
    /// Kernel identity.
    uname() -> Uname = NetQuery::Uname;
    /// Namespace inode.
    netns_inode() -> u64 = NetQuery::NetnsInode;
    /// Namespace cookie: unique in a boot, where an inode is used again.
    netns_cookie() -> u64 = NetQuery::NetnsCookie;
    /// Wake-up latency limit, µs.
    cpu_dma_latency() -> i32 = NetQuery::CpuDmaLatency;
    /// Clock synchronization by PTP.
    ptp() -> Ptp = NetQuery::Ptp;
}

/// The kernel's route to one destination, of packets with `mark`; 0 for none.
pub fn route_to(sys: &dyn Sys, to: IpAddr, mark: u32) -> Reading<RouteReply> {
    let mark = (mark != 0).then_some(mark);
    typed(sys, &NetQuery::RouteTo { to, oif: None, from: None, mark })
}
