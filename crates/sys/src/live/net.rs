//! Netlink queries of the running host, in the types of [`crate::query`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;

use lowlat_model::Reading;
use lowlat_model::facts::{Feature, Limit, Qdisc, TcpSocket, Timestamping};
use lowlat_model::op::QdiscState;
use lowlat_netlink::{Error, diag, ethtool, netdev, nft, nl80211, route, tc, wireguard};
use lowlat_os::bpf;
use serde::Serialize;

use super::{application, not, os, ptp};
use crate::query::{
    DriverInfo, InterfaceAddress, LinkInfo, LinkModes, Napi, NetQuery, QdiscReply, RouteEntry, TcxProgram, XskSocket,
};
use crate::{hex, reading_of_errno};

type Json = Reading<serde_json::Value>;

/// Asks the running host.
pub(super) fn ask(query: &NetQuery) -> Json {
    match query {
        NetQuery::Links => answer(links()),
        NetQuery::Addresses => answer(addresses()),
        NetQuery::Routes => answer(routes()),
        NetQuery::RouteTo { to, oif, from, mark } => answer(super::path::route_to(*to, oif.as_deref(), *from, *mark)),
        NetQuery::Login => super::path::login().and_then(|l| json(&l)),
        NetQuery::Stack => answer(super::path::stack()),
        NetQuery::Neighbours => answer(route::neighbours::neighbours().map(super::path::entries)),
        NetQuery::Forwarding => answer(route::neighbours::forwarding().map(super::path::entries)),
        NetQuery::Redirects(i) => answer(super::path::redirects(i)),
        NetQuery::Peers(i) => answer(wireguard::peers(i).map(super::path::peers)),
        NetQuery::Qdiscs => answer(qdiscs()),
        NetQuery::TcpSockets => tcp_sockets().and_then(|all| json(&all)),
        NetQuery::InetSockets { udp, of, port, inodes } => {
            application::sockets(*udp, *of, *port, inodes).and_then(|all| json(&all))
        }
        NetQuery::SocketOptions { pid, fd, inode } => os_answer(
            &format!("read the options of descriptor {fd} of process {pid}"),
            application::options(*pid, *fd, *inode),
        ),
        NetQuery::NftRules => answer(nft::rules_per_chain()),
        NetQuery::Driver(i) => answer(ethtool::ioctl::driver(i).map(|d| DriverInfo {
            driver: d.driver,
            version: d.version,
            firmware: d.firmware,
            bus: d.bus,
        })),
        NetQuery::LinkModes(i) => answer(ethtool::linkmodes::link_modes(i).map(|m| LinkModes {
            speed_mbps: m.speed_mbps,
            max_speed_mbps: m.max_speed_mbps,
            duplex: m.duplex.to_owned(),
            peer_max_speed_mbps: m.peer_max_speed_mbps,
        })),
        NetQuery::Features(i) => answer(ethtool::features::features(i).map(|f| {
            f.into_iter()
                .map(|(name, f)| (name, Feature { active: f.active, changeable: f.changeable }))
                .collect::<BTreeMap<_, _>>()
        })),
        NetQuery::WantedFeatures(i) => answer(ethtool::features::features(i).map(|f| {
            let changeable = f.into_iter().filter(|(_, f)| f.changeable);
            changeable.map(|(name, f)| (name, f.wanted)).collect::<BTreeMap<_, _>>()
        })),
        NetQuery::FlowRules(i) => answer(ethtool::ioctl::flow_rules(i)),
        NetQuery::Rss(i) => answer(ethtool::ioctl::rss(i).map(|bytes| hex::text_of(&bytes))),
        NetQuery::XskSockets => answer(diag::xsk_sockets().map(xsk_sockets)),
        NetQuery::SysfsInode(i) => {
            // With the closing dot it is the directory and not the link to it.
            let dir = format!("/sys/class/net/{i}/.");
            os_answer(&format!("look at {dir}"), std::fs::metadata(&dir).map(|m| m.ino()))
        }
        NetQuery::Coalesce(i) => answer(ethtool::coalesce::coalesce(i)),
        NetQuery::Rings(i) => answer(ethtool::sizes::rings(i).map(limits)),
        NetQuery::Channels(i) => answer(ethtool::sizes::channels(i).map(limits)),
        NetQuery::Pause(i) => answer(ethtool::flags::pause(i)),
        NetQuery::Eee(i) => answer(ethtool::flags::eee(i)),
        NetQuery::Fec(i) => match reading(ethtool::flags::fec(i)) {
            Reading::Value(None) => {
                Reading::Unsupported(format!("the driver of {i} does not report which one is in use"))
            }
            other => other.and_then(|mode| json(&mode)),
        },
        NetQuery::PowerSave(i) => answer(nl80211::power_save(i)),
        NetQuery::PagePools => answer(netdev::page_pools()),
        NetQuery::TcxPrograms => tcx_programs(),
        NetQuery::SmiCount => smi_count(),
        NetQuery::PrivateFlags(i) => answer(ethtool::flags::private_flags(i)),
        NetQuery::Timestamping(i) => answer(ethtool::tsinfo::timestamping(i).map(|t| Timestamping {
            capabilities: t.capabilities,
            tx_types: t.tx_types,
            rx_filters: t.rx_filters,
            phc: t.phc,
        })),
        NetQuery::Statistics(i) => answer(ethtool::ioctl::statistics(i)),
        NetQuery::StandardStatistics(i) => answer(ethtool::stats::standard(i)),
        NetQuery::QueueStatistics(i) => answer(netdev::queue_statistics(i)),
        NetQuery::HwTimestamp(i) => answer(
            ethtool::ioctl::hw_timestamp(i).map(|h| BTreeMap::from([("tx".to_owned(), h.tx), ("rx".to_owned(), h.rx)])),
        ),
        NetQuery::XdpFeatures(i) => answer(netdev::xdp_features(i)),
        NetQuery::Napis(i) => answer(netdev::napis(i).map(|all| {
            let from = |n: netdev::NapiMessage| Napi { id: n.id, irq: n.irq, values: n.values };
            all.into_iter().map(from).collect::<Vec<_>>()
        })),
        NetQuery::Clock => os_answer("ask the clock's state", os::clock()),
        NetQuery::Uname => os_answer("ask the kernel's name", Ok(os::uname())),
        NetQuery::NetnsInode => {
            os_answer("look at the network namespace", std::fs::metadata("/proc/thread-self/ns/net").map(|m| m.ino()))
        }
        NetQuery::NetnsCookie => os_answer("ask for the network namespace's cookie", os::netns_cookie()),
        NetQuery::CpuDmaLatency => cpu_dma_latency(),
        NetQuery::Ptp => json(&ptp::state()),
    }
}

fn json<T: Serialize>(value: &T) -> Json {
    match serde_json::to_value(value) {
        Ok(v) => Reading::Value(v),
        Err(e) => Reading::Garbled(format!("store a reply: {e}")),
    }
}

fn answer<T: Serialize>(result: Result<T, Error>) -> Json {
    reading(result).and_then(|v| json(&v))
}

pub(super) fn reading<T>(result: Result<T, Error>) -> Reading<T> {
    match result {
        Ok(v) => Reading::Value(v),
        Err(e @ Error::Malformed { .. }) => Reading::Garbled(e.to_string()),
        Err(e) => reading_of_errno(e.errno(), e.to_string()),
    }
}

fn os_answer<T: Serialize>(what: &str, result: std::io::Result<T>) -> Json {
    match result {
        Ok(v) => json(&v),
        Err(e) => reading_of_errno(e.raw_os_error(), format!("{what}: {e}")),
    }
}

fn limits(from: BTreeMap<String, ethtool::CountLimit>) -> BTreeMap<String, Limit> {
    from.into_iter().map(|(name, l)| (name, Limit { current: l.current, max: l.max })).collect()
}

fn links() -> Result<Vec<LinkInfo>, Error> {
    let from = |l: route::link::Link| LinkInfo {
        index: l.index,
        name: l.name,
        up: l.up,
        operstate: l.operstate.to_owned(),
        mtu: l.mtu,
        mac: l.mac,
        kind: l.kind,
        xdp: l.xdp.to_owned(),
    };
    Ok(route::link::links()?.into_iter().map(from).collect())
}

fn addresses() -> Result<Vec<InterfaceAddress>, Error> {
    let from = |a: route::address::AddressMessage| InterfaceAddress {
        index: a.index,
        address: format!("{}/{}", a.ip, a.prefix),
    };
    Ok(route::address::addresses()?.into_iter().map(from).collect())
}

fn routes() -> Result<Vec<RouteEntry>, Error> {
    let from = |r: route::routes::RouteMessage| RouteEntry {
        destination: match r.destination {
            Some(d) => format!("{d}/{}", r.prefix),
            None => "default".to_owned(),
        },
        oif: r.oif,
        gateway: r.gateway.map(|g| g.to_string()),
        table: r.table,
        prefix: match (r.destination, r.v6) {
            (Some(d), _) => format!("{d}/{}", r.prefix),
            (None, false) => "0.0.0.0/0".to_owned(),
            (None, true) => "::/0".to_owned(),
        },
        multipath: r.multipath,
        metrics: r.metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    Ok(route::routes::routes()?.into_iter().map(from).collect())
}

fn qdiscs() -> Result<Vec<QdiscReply>, Error> {
    let names: BTreeMap<u32, String> = route::link::links()?.into_iter().map(|l| (l.index, l.name)).collect();
    let all = with_filters(tc::qdiscs()?)?;
    // What hangs at one is on its link: not all links' are searched for each.
    let mut of_link: BTreeMap<u32, Vec<tc::QdiscMessage>> = BTreeMap::new();
    for q in &all {
        of_link.entry(q.ifindex).or_default().push(q.clone());
    }
    let from = |q: &tc::QdiscMessage| {
        // A link that went between the two dumps has no name any more; its queue discipline is gone with it.
        let iface = names.get(&q.ifindex)?.clone();
        let bytes = q.options.clone().unwrap_or_default();
        let decoded = tc::options::decode(&q.kind, &bytes);
        let parent = if q.kind == "clsact" { "clsact".to_owned() } else { q.parent.to_string() };
        Some(QdiscReply {
            qdisc: Qdisc {
                iface,
                kind: q.kind.clone(),
                parent,
                handle: q.handle.to_string(),
                summary: decoded.summary.clone(),
                options: decoded.options,
                backlog_bytes: u64::from(q.backlog),
                qlen: u64::from(q.qlen),
                drops: u64::from(q.drops),
                overlimits: u64::from(q.overlimits),
            },
            exact: QdiscState {
                kind: q.kind.clone(),
                handle: q.handle.to_string(),
                options_hex: hex::text_of(&bytes),
                summary: decoded.summary,
                carries: tc::attached(q, of_link.get(&q.ifindex).map_or(&[], Vec::as_slice)),
            },
        })
    };
    Ok(all.iter().filter_map(from).collect())
}

/// Adds to each queue discipline the filters that hang at it. They hang at a handle, so those without one are not asked;
/// nor are the hooks for what comes in, at which filters are what everybody expects.
fn with_filters(mut all: Vec<tc::QdiscMessage>) -> Result<Vec<tc::QdiscMessage>, Error> {
    for q in all.iter_mut().filter(|q| q.handle.0 != 0 && q.parent != tc::Parent::Ingress) {
        match tc::filter::filters(q.ifindex, q.handle) {
            Ok(kinds) if kinds.is_empty() => {}
            Ok(kinds) => q.carries.push(format!("filters ({})", kinds.join(", "))),
            // The link or the queue discipline went between the two dumps.
            Err(e) if matches!(e.errno(), Some(libc::ENODEV | libc::EINVAL | libc::ENOENT)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// All TCP sockets of the namespace.
pub(super) fn tcp_sockets() -> Reading<Vec<TcpSocket>> {
    let ns = |us: u32| u64::from(us) * 1000;
    let from = |s: diag::TcpSocketMessage| TcpSocket {
        local: s.local.to_string().into_boxed_str(),
        remote: s.remote.to_string().into_boxed_str(),
        state: s.state.into(),
        srtt_ns: ns(s.rtt_us),
        rttvar_ns: ns(s.rttvar_us),
        min_rtt_ns: ns(s.min_rtt_us.unwrap_or(0)),
        retransmits: u64::from(s.total_retransmits),
        cwnd: s.cwnd,
        notsent_bytes: u64::from(s.notsent_bytes),
        congestion: shared(s.congestion),
        timeouts: s.timeouts.map(u32::from),
    };
    let in_use = |file: &str, name: &str| {
        std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).ok().and_then(|text| in_use(&text, name))
    };
    let mut families = Vec::with_capacity(2);
    for (family, file, name) in [(diag::Family::V4, "sockstat", "TCP:"), (diag::Family::V6, "sockstat6", "TCP6:")] {
        if in_use(file, name) != Some(0) {
            families.push(family);
        }
    }
    reading(diag::tcp_sockets(&families, from))
}

/// How many sockets of a protocol this namespace has, listening ones among them: `TCP: inuse 5 orphan 0 …`
/// (net/ipv4/proc.c, `sockstat_seq_show`; net/ipv6/proc.c, `sockstat6_seq_show`; linux 6.12).
fn in_use(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = rest.split_whitespace();
    words.find(|w| *w == "inuse").and_then(|_| words.next()?.parse().ok())
}

/// Programs of tcx at each interface; those without any are left out.
fn tcx_programs() -> Json {
    let links = match reading(route::link::links()) {
        Reading::Value(links) => links,
        other => return other.map(|_| serde_json::Value::Null),
    };
    let mut found = Vec::new();
    for link in links {
        for (hook, place) in [(bpf::Tcx::Ingress, "ingress"), (bpf::Tcx::Egress, "egress")] {
            match bpf::tcx_programs(link.index, hook) {
                Ok(programs) => found.extend(programs.into_iter().map(|p| (link.name.clone(), place, p))),
                // An interface that went away since it was listed has none.
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {}
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                    return Reading::Unsupported("list the programs of tcx: the kernel has no tcx (before 6.6)".into());
                }
                Err(e) => return os_answer("list the programs of tcx", Err::<(), _>(e)),
            }
        }
    }
    let owners = link_owners(&found.iter().filter_map(|(_, _, p)| p.link).collect());
    let mut all: BTreeMap<String, Vec<TcxProgram>> = BTreeMap::new();
    for (iface, hook, p) in found {
        let owner = p.link.and_then(|link| owners.get(&link).cloned());
        all.entry(iface).or_default().push(TcxProgram { hook: hook.to_owned(), id: p.id, name: p.name, owner });
    }
    json(&all)
}

/// Number of a link of BPF → `name (pid)` of a process that holds it (kernel/bpf/syscall.c, `bpf_link_show_fdinfo`).
fn link_owners(links: &BTreeSet<u32>) -> BTreeMap<u32, String> {
    holders(links, &|fd| {
        let target = std::fs::read_link(fd).ok()?;
        // `bpf-link` in Linux 5.7, `bpf_link` since.
        target.to_str().filter(|t| t.starts_with("anon_inode:bpf") && t.ends_with("link"))?;
        let info = fd.parent()?.with_file_name("fdinfo").join(fd.file_name()?);
        let text = std::fs::read_to_string(info).ok()?;
        text.lines().find_map(|line| line.strip_prefix("link_id:")?.trim().parse().ok())
    })
}

/// The usual names of congestion controls (Documentation/networking/ip-sysctl.rst, tcp_available_congestion_control) without
/// memory of their own.
fn shared(name: String) -> Cow<'static, str> {
    const USUAL: [&str; 5] = ["cubic", "reno", "bbr", "dctcp", "htcp"];
    match USUAL.into_iter().find(|usual| *usual == name) {
        Some(usual) => usual.into(),
        None => name.into(),
    }
}

/// The sockets, each with the program that holds it.
fn xsk_sockets(all: Vec<diag::XskSocketMessage>) -> Vec<XskSocket> {
    let owners = owners(&all.iter().map(|s| s.inode).collect());
    let from = |s: diag::XskSocketMessage| XskSocket {
        index: s.ifindex,
        queue: s.queue,
        inode: s.inode,
        zero_copy: s.zero_copy,
        owner: owners.get(&s.inode).cloned(),
    };
    all.into_iter().map(from).collect()
}

/// Inode of a socket → `name (pid)` of a process that holds it.
fn owners(inodes: &BTreeSet<u32>) -> BTreeMap<u32, String> {
    holders(inodes, &|fd| {
        let target = std::fs::read_link(fd).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// What is looked for → `name (pid)` of a process with a descriptor that is one of them. Processes whose descriptors may not
/// be read hold nothing.
fn holders(sought: &BTreeSet<u32>, number: &dyn Fn(&std::path::Path) -> Option<u32>) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    if sought.is_empty() {
        return found;
    }
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for (pid, dir) in entries.filter_map(|e| Some((e.file_name().into_string().ok()?.parse::<u32>().ok()?, e.path()))) {
        for fd in std::fs::read_dir(dir.join("fd")).into_iter().flatten().flatten() {
            if let Some(one) = number(&fd.path()).filter(|n| sought.contains(n)) {
                let name = std::fs::read_to_string(dir.join("comm")).unwrap_or_default();
                found.entry(one).or_insert_with(|| format!("{} ({pid})", name.trim()));
            }
        }
    }
    found
}

/// Where system management interrupts are counted: `MSR_SMI_COUNT` (arch/x86/include/asm/msr-index.h).
const MSR_SMI_COUNT: u64 = 0x34;

/// Their number on the first CPU; they stop all CPUs together. The device gives EIO for a register that the processor does
/// not have (arch/x86/kernel/msr.c, `msr_read`).
fn smi_count() -> Json {
    const PATH: &str = "/dev/cpu/0/msr";
    let mut bytes = [0; 8];
    let read = std::fs::File::open(PATH)
        .and_then(|f| std::os::unix::fs::FileExt::read_exact_at(&f, &mut bytes, MSR_SMI_COUNT));
    match read {
        Ok(()) => json(&(u64::from_ne_bytes(bytes) & u64::from(u32::MAX))),
        Err(e) if e.raw_os_error() == Some(libc::EIO) => {
            Reading::Unsupported("this processor does not count system management interrupts".to_owned())
        }
        Err(e) => not(PATH, "read", &e),
    }
}

/// The limit all holders together keep. Reading needs root; opening the device for reading also places a request, one
/// without effect (`PM_QOS_DEFAULT_VALUE`, kernel/power/qos.c), which ends with the descriptor.
fn cpu_dma_latency() -> Json {
    const PATH: &str = "/dev/cpu_dma_latency";
    let mut bytes = [0; 4];
    match std::fs::File::open(PATH).and_then(|mut f| std::io::Read::read_exact(&mut f, &mut bytes)) {
        Ok(()) => json(&i32::from_ne_bytes(bytes)),
        Err(e) => not(PATH, "read", &e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_sockets_is_one_that_says_so() {
        let four = "sockets: used 152\nTCP: inuse 5 orphan 0 tw 2 alloc 9 mem 0\nUDP: inuse 0 mem 0\n";
        assert_eq!((in_use(four, "TCP:"), in_use(four, "UDP:"), in_use(four, "RAW:")), (Some(5), Some(0), None));
        assert_eq!(in_use("TCP6: inuse 0\n", "TCP6:"), Some(0));
        for garbled in ["", "TCP: inuse\n", "TCP: inuse x\n", "TCP: 0\n"] {
            assert_eq!(in_use(garbled, "TCP:"), None, "{garbled:?}");
        }
    }

    /// The count says that there is one where there is one, whatever its state.
    #[test]
    fn a_listening_socket_is_in_the_list() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        assert!(tcp_sockets().into_value().unwrap().iter().any(|s| *s.local == *at), "{at}");
    }
}
