//! Network interfaces.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_model::facts::{Interface, PcieLink, Rss};
use lowlat_sys::query::{self, LinkInfo};
use lowlat_sys::{NetQuery, Sys};

use crate::device::{self, Device};
use crate::path::{self, Below};
use crate::queues;
use crate::text::{garbled, trimmed};

crate::collector! {
    /// Every interface of the namespace: link state and addresses, driver and firmware, the device behind it and its
    /// NUMA node, current and highest speed, offloads, rings, channels, coalescing, pause, energy-efficient Ethernet,
    /// private flags, timestamping, XDP, NAPI deferral, the PCI Express link and its power, and the IOMMU's mode; forward
    /// error correction, the power saving of a Wi-Fi link, the table and key that spread packets over the queues, the
    /// number of the device's own rules for flows, and the multicast groups that programs have joined.
    ///
    /// All of it is read over netlink and from sysfs, never by parsing the text of `ip` or `ethtool`. What a driver
    /// does not offer is `unsupported` with its reason, which is a different answer than off or zero.
    pub INTERFACES = "interfaces";
    reads [
        "net:links",
        "net:addresses",
        "net:routes",
        "net:stack",
        "net:route-to/*",
        "net:IF/peers",
        "net:IF/driver",
        "net:IF/link-modes",
        "net:IF/features",
        "net:IF/coalesce",
        "net:IF/rings",
        "net:IF/channels",
        "net:IF/pause",
        "net:IF/eee",
        "net:IF/private-flags",
        "net:IF/timestamping",
        "net:IF/xdp-features",
        "net:IF/fec",
        "net:IF/power-save",
        "net:IF/rss",
        "net:IF/flow-rules",
        "/proc/net/igmp",
        "/sys/class/net/*",
        "/sys/devices/**/{vendor,device,numa_node,current_link_speed,current_link_width,max_link_speed,max_link_width}",
        "/sys/devices/**/{link/l1_aspm,iommu_group}",
        "/sys/kernel/iommu_groups/*/type",
    ];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: List of message types",
        "Documentation/netlink/specs/netdev.yaml in linux 6.12: xdp-act",
        "Documentation/networking/napi.rst in linux 6.12: Software IRQ coalescing, Threaded NAPI",
        "Documentation/ABI/testing/sysfs-class-net in linux 6.12: operstate, threaded",
        "Documentation/ABI/testing/sysfs-bus-pci in linux 6.12: numa_node, l1_aspm",
        "drivers/pci/pci-sysfs.c in linux 6.12: current_link_speed_show",
        "Documentation/ABI/testing/sysfs-kernel-iommu_groups in linux 6.12: type (5.11)",
        "net/wireless/core.c in linux 6.12: cfg80211_register_wdev (phy80211)",
        "net/core/net-sysfs.c in linux 6.12: wireless_group_needed (wireless)",
        "include/uapi/linux/ethtool.h in linux 6.12: struct ethtool_rxfh, ETHTOOL_GRXCLSRLCNT",
        "net/wireless/nl80211.c in linux 6.12: nl80211_get_power_save",
        "net/ipv4/igmp.c in linux 6.12: igmp_mc_seq_show",
    ];
}

/// All interfaces, by name. Where the link dump fails, sysfs reports at least which there are.
pub(crate) fn read(sys: &dyn Sys) -> BTreeMap<String, Interface> {
    let below = Below::read(sys);
    let mut addresses: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for a in query::addresses(sys).into_value().unwrap_or_default() {
        addresses.entry(a.index).or_default().push(a.address);
    }
    let default_routes: BTreeSet<u32> = query::routes(sys)
        .into_value()
        .unwrap_or_default()
        .into_iter()
        .filter(|r| r.destination == "default")
        .filter_map(|r| r.oif)
        .collect();
    let groups = sys.read("/proc/net/igmp").and_then(|text| multicast_groups(&text));
    below
        .links()
        .iter()
        .map(|link| {
            let own = addresses.remove(&link.index).unwrap_or_default();
            let default_route = default_routes.contains(&link.index);
            (link.name.clone(), interface(sys, link, path::beneath(sys, &below, link), own, default_route, &groups))
        })
        .collect()
}

/// The link dump, or what sysfs says in its place.
pub(crate) fn links(sys: &dyn Sys) -> Vec<LinkInfo> {
    query::links(sys).into_value().unwrap_or_else(|| {
        let names = sys.list("/sys/class/net").into_value().unwrap_or_default();
        names.into_iter().filter_map(|name| link_by_sysfs(sys, name)).collect()
    })
}

/// `bonding_masters` stands in `/sys/class/net` too and is not an interface: it has no `ifindex`.
fn link_by_sysfs(sys: &dyn Sys, name: String) -> Option<LinkInfo> {
    let file = |what: &str| trimmed(sys.read(&format!("/sys/class/net/{name}/{what}"))).into_value();
    let index = file("ifindex")?.parse().ok()?;
    // IFF_UP is bit 0 (include/uapi/linux/if.h).
    let flags = file("flags").and_then(|f| u32::from_str_radix(f.trim_start_matches("0x"), 16).ok());
    Some(LinkInfo {
        index,
        up: flags.is_some_and(|f| f & 1 == 1),
        operstate: file("operstate").unwrap_or_else(|| "unknown".into()),
        mtu: file("mtu").and_then(|m| m.parse().ok()).unwrap_or(0),
        mac: file("address"),
        kind: None,
        xdp: String::new(),
        name,
    })
}

fn interface(
    sys: &dyn Sys,
    link: &LinkInfo,
    lower: Reading<Vec<String>>,
    addresses: Vec<String>,
    default_route: bool,
    groups: &Reading<BTreeMap<String, Vec<String>>>,
) -> Interface {
    let name = link.name.as_str();
    let driver = query::driver(sys, name);
    let modes = query::link_modes(sys, name);
    let device = device::of(sys, name);
    let unknown = |what: &str| Reading::Unsupported(format!("the driver of {name} does not report its {what}"));
    let known = |text: String, what: &str| if text.is_empty() { unknown(what) } else { Reading::Value(text) };
    let wireless = wireless(sys, name);
    let napi = |file: &str| sys.read(&format!("/sys/class/net/{name}/{file}")).parse::<u64>(file);
    Interface {
        index: link.index,
        operstate: Reading::Value(link.operstate.clone()),
        up: link.up,
        mtu: link.mtu,
        kind: link.kind.clone(),
        mac: match &link.mac {
            Some(mac) => Reading::Value(mac.clone()),
            None => Reading::Absent(format!("{name} has no hardware address")),
        },
        addresses,
        default_route,
        lower,
        driver: driver.as_ref().and_then(|d| known(d.driver.clone(), "name")),
        driver_version: driver.as_ref().and_then(|d| known(d.version.clone(), "version")),
        firmware: driver.as_ref().and_then(|d| known(d.firmware.clone(), "firmware")),
        bus: match driver.map(|d| d.bus) {
            Reading::Value(bus) if !bus.is_empty() => Reading::Value(bus),
            _ => device.as_ref().map(|d| d.name().to_owned()),
        },
        attachment: device.as_ref().map(|d| d.attachment.to_owned()),
        pci_id: device.as_ref().and_then(|d| pci_id(sys, d)),
        numa_node: device.as_ref().and_then(|d| numa_node(sys, d)),
        speed_mbps: modes.as_ref().and_then(|m| {
            m.speed_mbps.map_or_else(|| Reading::Unsupported(format!("{name} has no known speed")), Reading::Value)
        }),
        duplex: modes.as_ref().map(|m| m.duplex.clone()),
        peer_max_speed_mbps: modes.as_ref().and_then(|m| {
            m.peer_max_speed_mbps.map_or_else(
                || {
                    Reading::Unsupported(format!(
                        "the driver of {name} does not report what its link partner advertises"
                    ))
                },
                Reading::Value,
            )
        }),
        max_speed_mbps: modes.and_then(|m| {
            m.max_speed_mbps.map_or_else(|| Reading::Unsupported(format!("{name} lists no link modes")), Reading::Value)
        }),
        features: query::features(sys, name),
        coalesce: query::coalesce(sys, name),
        rings: query::rings(sys, name),
        channels: query::channels(sys, name),
        pause: query::pause(sys, name),
        eee: query::eee(sys, name),
        private_flags: query::private_flags(sys, name),
        timestamping: query::timestamping(sys, name),
        rx_queues: queues::rx(sys, name),
        tx_queues: queues::tx(sys, name),
        xdp: if link.xdp.is_empty() {
            sys.net(&NetQuery::Links)
                .and_then(|_| Reading::Garbled(format!("{name}: the link dump says nothing about XDP")))
        } else {
            Reading::Value(link.xdp.clone())
        },
        xdp_features: query::xdp_features(sys, name),
        gro_flush_timeout_ns: napi("gro_flush_timeout"),
        napi_defer_hard_irqs: napi("napi_defer_hard_irqs"),
        napi_threaded: napi("threaded").map(|t| t != 0),
        pcie: device.as_ref().and_then(|d| pcie(sys, d)),
        aspm_l1: device.as_ref().and_then(|d| aspm_l1(sys, d)),
        iommu: device.and_then(|d| iommu(sys, &d)),
        fec: of_a_device(sys, link, query::fec),
        power_save: if wireless.value() == Some(&false) {
            Reading::Unsupported(format!("{name} is not a Wi-Fi link"))
        } else {
            query::power_save(sys, name)
        },
        wireless,
        rss: of_a_device(sys, link, query::rss).and_then(|hex| spread(&hex)),
        flow_rules: of_a_device(sys, link, query::flow_rules),
        multicast_groups: groups.as_ref().map(|all| all.get(name).cloned().unwrap_or_default()),
    }
}

/// An answer that only a device can give. Virtual links, of which a host may have a thousand, are not asked.
fn of_a_device<T>(sys: &dyn Sys, link: &LinkInfo, ask: fn(&dyn Sys, &str) -> Reading<T>) -> Reading<T> {
    match &link.kind {
        Some(kind) => Reading::Unsupported(format!("{} is a {kind}, without a device of its own", link.name)),
        None if link.name == "lo" => Reading::Unsupported("lo has no device".to_owned()),
        None => ask(sys, &link.name),
    }
}

/// `struct ethtool_rxfh` (include/uapi/linux/ethtool.h): command, context, entries of the table, bytes of the key, hash
/// function, input transformation, reserved; then the table of `u32` and the key. In the byte order of the host, which is
/// little-endian in every tree that is stored.
fn spread(hex: &str) -> Reading<Rss> {
    const HEADER: usize = 24;
    const FUNCTIONS: [(u8, &str); 3] = [(1, "toeplitz"), (2, "xor"), (4, "crc32")];
    let Some(bytes) = lowlat_sys::hex::bytes_of(hex) else { return garbled("RSS", hex) };
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (Some(entries), Some(key), Some(hash)) = (word(8), word(12), bytes.get(16)) else {
        return garbled("RSS", hex);
    };
    let (entries, key) = (usize::try_from(entries).unwrap_or(usize::MAX), usize::try_from(key).unwrap_or(usize::MAX));
    let end = entries.checked_mul(4).and_then(|n| n.checked_add(HEADER));
    let Some((table, key)) =
        end.and_then(|end| Some((bytes.get(HEADER..end)?, bytes.get(end..end.checked_add(key)?)?)))
    else {
        return garbled("RSS", hex);
    };
    let mut queues: BTreeMap<u32, u32> = BTreeMap::new();
    for entry in table.chunks_exact(4).filter_map(|e| e.try_into().ok().map(u32::from_le_bytes)) {
        *queues.entry(entry).or_default() += 1;
    }
    Reading::Value(Rss {
        table: queues,
        hash_key: lowlat_sys::hex::text_of(key),
        hash: FUNCTIONS
            .iter()
            .find(|(n, _)| n == hash)
            .map_or_else(|| hash.to_string(), |(_, name)| (*name).to_owned()),
    })
}

/// Interface → groups joined, of `/proc/net/igmp`: a line for each interface, which begins with its index, then one for each of
/// its groups, the number that its bytes are in the host's memory (net/ipv4/igmp.c, igmp_mc_seq_show in linux 6.12).
/// 224.0.0.1 is joined by every interface.
pub(crate) fn multicast_groups(text: &str) -> Reading<BTreeMap<String, Vec<String>>> {
    let bad = |line: &str| garbled("/proc/net/igmp", line);
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    let mut lines = text.lines();
    if let Some(head) = lines.next().filter(|head| !head.starts_with("Idx")) {
        return bad(head);
    }
    for line in lines {
        let mut words = line.split_whitespace();
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            current = words.nth(1).map(|name| name.trim_end_matches(':').to_owned());
            continue;
        }
        let address = words.next().filter(|w| w.len() == 8).and_then(|w| u32::from_str_radix(w, 16).ok());
        let (Some(name), Some(address)) = (&current, address) else { return bad(line) };
        let group = std::net::Ipv4Addr::from(address.to_le_bytes());
        if group != std::net::Ipv4Addr::new(224, 0, 0, 1) {
            all.entry(String::clone(name)).or_default().push(group.to_string());
        }
    }
    Reading::Value(all)
}

fn pci_path(device: &Device) -> Reading<&str> {
    match device.pci.as_deref() {
        Some(path) => Reading::Value(path),
        None => Reading::Absent(format!("{} is not on PCI", device.name())),
    }
}

/// `8086:10d3` from the files `vendor` and `device`, each `0x8086`.
fn pci_id(sys: &dyn Sys, device: &Device) -> Reading<String> {
    let id = |pci: &str, file: &str| {
        trimmed(sys.read(&format!("{pci}/{file}"))).and_then(|t| {
            let id = t.trim_start_matches("0x");
            let whole = id.len() == 4 && id.bytes().all(|b| b.is_ascii_hexdigit());
            if whole { Reading::Value(id.to_owned()) } else { garbled(file, &t) }
        })
    };
    pci_path(device).and_then(|pci| id(pci, "vendor").and_then(|v| id(pci, "device").map(|d| format!("{v}:{d}"))))
}

/// Wireless drivers make the link `phy80211` (net/wireless/core.c, `cfg80211_register_wdev`) or, with the older
/// extensions, the directory `wireless` (net/core/net-sysfs.c, `wireless_group_needed`). Where the list may not be read it is not known.
fn wireless(sys: &dyn Sys, iface: &str) -> Reading<bool> {
    let mut not_read = None;
    for dir in ["phy80211", "wireless"] {
        match sys.list(&format!("/sys/class/net/{iface}/{dir}")) {
            Reading::Value(_) => return Reading::Value(true),
            Reading::Absent(_) => {}
            other => not_read = Some(other.map(|_| false)),
        }
    }
    not_read.unwrap_or(Reading::Value(false))
}

/// NUMA node of the device behind an interface.
pub(crate) fn node(sys: &dyn Sys, iface: &str) -> Reading<u32> {
    device::of(sys, iface).and_then(|d| numa_node(sys, &d))
}

/// The node, of a USB device its host controller's; the kernel says -1 where the firmware gave none. PCI and platform
/// devices have the file (drivers/pci/pci-sysfs.c, drivers/base/platform.c).
fn numa_node(sys: &dyn Sys, device: &Device) -> Reading<u32> {
    let on_platform = device.pci.is_none() && device.path.starts_with("/sys/devices/platform/");
    let at = match device.above.as_deref() {
        Some(pci) => Reading::Value(pci),
        None if on_platform => Reading::Value(device.path.as_str()),
        None => pci_path(device),
    };
    at.and_then(|at| sys.read(&format!("{at}/numa_node")).parse::<i64>("numa_node")).and_then(|n| {
        u32::try_from(n).map_or_else(
            |_| Reading::Unsupported(format!("the firmware names no NUMA node for {}", device.name())),
            Reading::Value,
        )
    })
}

fn pcie(sys: &dyn Sys, device: &Device) -> Reading<PcieLink> {
    pci_path(device).and_then(|pci| {
        let file = |name: &str| trimmed(sys.read(&format!("{pci}/{name}")));
        file("current_link_speed").and_then(|t| gigatransfers(&t)).and_then(|speed_gts| {
            file("max_link_speed").and_then(|t| gigatransfers(&t)).and_then(|max_speed_gts| {
                file("current_link_width").parse("current_link_width").and_then(|width| {
                    file("max_link_width").parse("max_link_width").map(|max_width| PcieLink {
                        speed_gts,
                        max_speed_gts,
                        width,
                        max_width,
                    })
                })
            })
        })
    })
}

/// The file is there only where the link can sleep (drivers/pci/pcie/aspm.c, `aspm_ctrl_attrs_are_visible`).
fn aspm_l1(sys: &dyn Sys, device: &Device) -> Reading<bool> {
    pci_path(device).and_then(|pci| sys.read(&format!("{pci}/link/l1_aspm")).parse::<u8>("l1_aspm")).map(|on| on != 0)
}

/// The group is a link to `…/kernel/iommu_groups/12`, and its `type` file is there from 5.11 on
/// (Documentation/ABI/testing/sysfs-kernel-iommu_groups).
fn iommu(sys: &dyn Sys, device: &Device) -> Reading<String> {
    pci_path(device).and_then(|pci| sys.link_target(&format!("{pci}/iommu_group"))).and_then(|target| {
        let group = target.rsplit('/').next().unwrap_or_default();
        trimmed(sys.read(&format!("/sys/kernel/iommu_groups/{group}/type")))
    })
}

/// `8.0 GT/s PCIe`, `2.5 GT/s`, or `Unknown`, which a virtual function says (drivers/pci/probe.c, pci_speed_string).
fn gigatransfers(text: &str) -> Reading<f64> {
    if text.starts_with("Unknown") {
        return Reading::Unsupported("the device does not report its PCI Express link".into());
    }
    match text.split_whitespace().next().map(str::parse::<f64>) {
        Some(Ok(v)) if v.is_finite() => Reading::Value(v),
        _ => garbled("PCI Express link speed", text),
    }
}

#[cfg(test)]
mod tests {
    use lowlat_sys::query::{DriverInfo, InterfaceAddress, LinkModes, RouteEntry};
    use lowlat_testkit::FakeSys;

    use super::*;

    fn host() -> FakeSys {
        let link = LinkInfo {
            index: 2,
            name: "eth0".into(),
            up: true,
            operstate: "up".into(),
            mtu: 1500,
            mac: Some("02:00:00:00:00:01".into()),
            kind: None,
            xdp: "none".into(),
        };
        let pci = "/sys/devices/pci0000:3a/0000:3b:00.0";
        FakeSys::new()
            .net(&NetQuery::Links, vec![link])
            .net(&NetQuery::Addresses, vec![InterfaceAddress { index: 2, address: "192.0.2.1/24".into() }])
            .net(
                &NetQuery::Routes,
                vec![RouteEntry {
                    destination: "default".into(),
                    oif: Some(2),
                    gateway: None,
                    table: 254,
                    prefix: "0.0.0.0/0".into(),
                    multipath: false,
                    metrics: BTreeMap::new(),
                }],
            )
            .net(
                &NetQuery::Driver("eth0".into()),
                DriverInfo {
                    driver: "ixgbe".into(),
                    version: "6.12".into(),
                    firmware: String::new(),
                    bus: "0000:3b:00.0".into(),
                },
            )
            .net(
                &NetQuery::LinkModes("eth0".into()),
                LinkModes {
                    speed_mbps: Some(1000),
                    max_speed_mbps: Some(10_000),
                    duplex: "full".into(),
                    peer_max_speed_mbps: Some(1000),
                },
            )
            .link("/sys/class/net/eth0", "../../devices/pci0000:3a/0000:3b:00.0/net/eth0")
            .file(&format!("{pci}/vendor"), "0x8086\n")
            .file(&format!("{pci}/device"), "0x10fb\n")
            .file(&format!("{pci}/numa_node"), "-1\n")
            .file(&format!("{pci}/current_link_speed"), "5.0 GT/s PCIe\n")
            .file(&format!("{pci}/max_link_speed"), "8.0 GT/s PCIe\n")
            .file(&format!("{pci}/current_link_width"), "4\n")
            .file(&format!("{pci}/max_link_width"), "8\n")
            .file(&format!("{pci}/link/l1_aspm"), "1\n")
            .link(&format!("{pci}/iommu_group"), "../../../kernel/iommu_groups/12")
            .file("/sys/kernel/iommu_groups/12/type", "DMA-FQ\n")
            .file("/sys/class/net/eth0/gro_flush_timeout", "20000\n")
            .file("/sys/class/net/eth0/threaded", "0\n")
    }

    #[test]
    fn an_interface_and_its_device() {
        let eth0 = read(&host()).remove("eth0").unwrap();
        assert_eq!(eth0.addresses, ["192.0.2.1/24"]);
        assert!(eth0.default_route && eth0.up);
        assert_eq!(eth0.driver, Reading::Value("ixgbe".into()));
        assert!(matches!(eth0.firmware, Reading::Unsupported(_)), "an empty answer is not a version");
        assert_eq!(eth0.pci_id, Reading::Value("8086:10fb".into()));
        assert!(matches!(eth0.numa_node, Reading::Unsupported(_)), "-1 is not a node");
        assert_eq!((eth0.speed_mbps, eth0.max_speed_mbps), (Reading::Value(1000), Reading::Value(10_000)));
        assert_eq!(eth0.peer_max_speed_mbps, Reading::Value(1000));
        assert_eq!(eth0.pcie, Reading::Value(PcieLink { speed_gts: 5.0, max_speed_gts: 8.0, width: 4, max_width: 8 }));
        assert_eq!((eth0.aspm_l1, eth0.iommu), (Reading::Value(true), Reading::Value("DMA-FQ".into())));
        assert_eq!(eth0.gro_flush_timeout_ns, Reading::Value(20_000));
        assert_eq!(eth0.napi_threaded, Reading::Value(false));
        assert!(matches!(eth0.coalesce, Reading::Absent(_)));
    }

    #[test]
    fn how_packets_are_spread() {
        let head = |entries: u32, key: u32, hash: u8| {
            let mut bytes = [0x46u32, 0, entries, key].map(u32::to_le_bytes).concat();
            bytes.extend([hash, 0, 0, 0, 0, 0, 0, 0]);
            bytes
        };
        let mut bytes = head(4, 2, 1);
        bytes.extend([0u32, 1, 0, 0].map(u32::to_le_bytes).concat());
        bytes.extend([0x6d, 0x5a]);
        let want = Rss { table: BTreeMap::from([(0, 3), (1, 1)]), hash_key: "6d5a".into(), hash: "toeplitz".into() };
        assert_eq!(spread(&lowlat_sys::hex::text_of(&bytes)), Reading::Value(want));
        for wrong in [head(4, 2, 1), head(u32::MAX, u32::MAX, 1), vec![0; 10]] {
            assert!(matches!(spread(&lowlat_sys::hex::text_of(&wrong)), Reading::Garbled(_)), "{wrong:?}");
        }
        assert!(matches!(spread("zz"), Reading::Garbled(_)));
    }

    #[test]
    fn joined_groups_by_interface() {
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                    1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                    2\teth0      :     2      V3\n\t\t\t\t0A0A36E9     1 0:00000000\t\t0\n\
                    \t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let want = BTreeMap::from([("eth0".to_owned(), vec!["233.54.10.10".to_owned()])]);
        assert_eq!(multicast_groups(text), Reading::Value(want));
        assert!(matches!(multicast_groups("Idx\n\tnot hex\n"), Reading::Garbled(_)));
        assert!(matches!(multicast_groups("no head\n"), Reading::Garbled(_)));
        assert_eq!(multicast_groups(""), Reading::Value(BTreeMap::new()));
    }

    #[test]
    fn a_virtual_link_is_not_asked_what_only_a_device_has() {
        let link = |kind: Option<&str>| LinkInfo {
            index: 7,
            name: "x0".into(),
            up: true,
            operstate: "up".into(),
            mtu: 1500,
            mac: None,
            kind: kind.map(str::to_owned),
            xdp: String::new(),
        };
        let sys = FakeSys::new().net(&NetQuery::Fec("x0".into()), "rs");
        assert_eq!(of_a_device(&sys, &link(None), query::fec), Reading::Value("rs".into()));
        assert!(matches!(of_a_device(&sys, &link(Some("veth")), query::fec), Reading::Unsupported(_)));
    }

    #[test]
    fn sysfs_answers_where_netlink_does_not() {
        let sys = FakeSys::new()
            .file("/sys/class/net/lo/ifindex", "1\n")
            .file("/sys/class/net/lo/flags", "0x9\n")
            .file("/sys/class/net/lo/mtu", "65536\n")
            .file("/sys/class/net/bonding_masters", "");
        let all = read(&sys);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["lo"]);
        assert!(all["lo"].up);
    }

    proptest::proptest! {
        #[test]
        fn speeds_never_panic(text in "\\PC*") {
            let _ = gigatransfers(&text);
            let _ = spread(&text);
            let _ = multicast_groups(&text);
        }
    }
}
