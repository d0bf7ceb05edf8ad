//! What DPDK needs, against what the host has: said before anything is done.

use lowlat_model::dpdk::{BypassCheck, DpdkFacts, PciDevice};
use lowlat_model::{Facts, Reading};

/// Drivers next to which DPDK's own works (doc.dpdk.org, Linux Drivers, Bifurcated Driver).
const BIFURCATED: &[&str] = &["mlx4_core", "mlx5_core", "mana"];
const VFIO: &str = "vfio-pci";

/// Why a device may not be bound whatever else is so: this host is reached by it.
pub fn reached_by(dpdk: &DpdkFacts, management_ifaces: &[String]) -> Option<String> {
    let iface = dpdk.iface.as_ref().filter(|i| management_ifaces.contains(i))?;
    Some(format!("{iface} carries the default route or a login session, itself or by what is set on it"))
}

/// Each thing that DPDK needs, in the order in which it is asked for. `management_ifaces` as
/// [`management_ifaces`](crate::management_ifaces) gives them.
pub fn dpdk_checks(facts: &Facts, dpdk: &DpdkFacts, management_ifaces: &[String]) -> Vec<BypassCheck> {
    let mut all = Vec::new();
    match &dpdk.device {
        Reading::Value(device) => {
            all.push(check("device", Some(is_network(device)), is_what(device), ""));
            all.push(driver(device));
            if let Some(why) = reached_by(dpdk, management_ifaces) {
                all.push(check("reached by", Some(false), why, "use another interface, or --engine af-xdp"));
            }
            if !bifurcated(device) {
                all.push(iommu(device, dpdk));
                all.push(vfio(dpdk));
            }
            all.push(kernel(device, dpdk));
        }
        other => {
            let (kind, why) = other.why_not().unwrap_or(("garbled", ""));
            let answer = if kind == "unsupported" { Some(false) } else { None };
            let next = "--dpdk-port net_af_packet or net_af_xdp works on any interface";
            all.push(check("device", answer, format!("{kind}: {why}"), next));
        }
    }
    all.push(hugepages(facts, dpdk));
    all.push(cpus(facts));
    all
}

fn check(what: &str, answer: Option<bool>, why: impl Into<String>, next: &str) -> BypassCheck {
    let answer = answer.map_or("unknown", |yes| if yes { "yes" } else { "no" });
    BypassCheck { what: what.to_owned(), answer: answer.to_owned(), why: why.into(), next: next.to_owned() }
}

fn is_network(device: &PciDevice) -> bool {
    device.class.value().is_some_and(|c| c.starts_with("0x02"))
}

fn is_what(device: &PciDevice) -> String {
    let class = device.class.value().map_or("not readable", String::as_str);
    format!("PCI device {}, class {class}", device.address)
}

fn bifurcated(device: &PciDevice) -> bool {
    device.driver.as_deref().is_some_and(|d| BIFURCATED.contains(&d))
}

fn driver(device: &PciDevice) -> BypassCheck {
    match device.driver.as_deref() {
        Some(VFIO) => {
            let next = "`lowlat status` shows whether lowlat bound it; `lowlat bypass unbind` gives it back";
            check(
                "driver",
                Some(true),
                "vfio-pci has it: a program may open it, and its interface is gone by design",
                next,
            )
        }
        Some(driver) if bifurcated(device) => {
            let why = format!("{driver} stays: DPDK's driver works next to it, and it must not be unbound");
            check("driver", Some(true), why, "use it as it is")
        }
        Some(driver) => {
            let next = "`lowlat bypass bind` gives it to vfio-pci";
            check("driver", Some(true), format!("{driver}, which would let it go"), next)
        }
        None => check("driver", Some(true), "none has it", "`lowlat bypass bind` gives it to vfio-pci"),
    }
}

fn iommu(device: &PciDevice, dpdk: &DpdkFacts) -> BypassCheck {
    let Some(group) = &device.iommu_group else {
        let next = "switch it on in the firmware and at boot (intel_iommu=on; AMD's is on)";
        let mode = if dpdk.noiommu == Reading::Value(true) {
            "; vfio takes devices without one, and such a device may then write anywhere in memory"
        } else {
            ""
        };
        return check("IOMMU", Some(false), format!("the device is in no IOMMU group{mode}"), next);
    };
    let keeps = |driver: &str| driver != VFIO && driver != "pci-stub";
    let others: Vec<String> = device
        .others
        .iter()
        // A bridge's port driver does no DMA of its own (drivers/iommu/iommu.c, `driver_managed_dma`).
        .filter(|o| !o.class.starts_with("0x0604"))
        .filter_map(|o| o.driver.as_deref().filter(|d| keeps(d)).map(|d| format!("{} ({d})", o.address)))
        .collect();
    if others.is_empty() {
        return check("IOMMU", Some(true), format!("group {group}, which no other driver has a part of"), "");
    }
    let next = "bind them too, or move the card to a slot with a group of its own";
    check(
        "IOMMU",
        Some(false),
        format!("group {group} has {} too, and vfio takes a group only whole", others.join(", ")),
        next,
    )
}

fn vfio(dpdk: &DpdkFacts) -> BypassCheck {
    match &dpdk.vfio {
        Reading::Value(true) => check("vfio-pci", Some(true), "the kernel has it", ""),
        Reading::Value(false) => check("vfio-pci", Some(false), "the kernel has not loaded it", "`modprobe vfio-pci`"),
        other => check("vfio-pci", None, other.why_not().map_or("", |(_, why)| why), ""),
    }
}

/// Lockdown keeps programs from memory and devices that nothing checks: vfio with an IOMMU stays, all else goes
/// (security/lockdown/lockdown.c; drivers/vfio/group.c, `vfio_noiommu` needs CAP_SYS_RAWIO).
fn kernel(device: &PciDevice, dpdk: &DpdkFacts) -> BypassCheck {
    let secure = match &dpdk.secure_boot {
        Reading::Value(true) => "Secure Boot on",
        Reading::Value(false) => "Secure Boot off",
        Reading::Absent(_) => "no UEFI variables",
        _ => "Secure Boot not readable",
    };
    match &dpdk.lockdown {
        Reading::Value(mode) if mode == "none" => check("kernel", Some(true), format!("not locked down, {secure}"), ""),
        Reading::Value(mode) => {
            let with_iommu = device.iommu_group.is_some();
            let why = format!("locked down ({mode}), {secure}: only vfio-pci with an IOMMU is let through");
            check("kernel", Some(with_iommu), why, "")
        }
        Reading::Absent(_) => check("kernel", Some(true), format!("no lockdown in this kernel, {secure}"), ""),
        other => check("kernel", None, other.why_not().map_or("", |(_, why)| why), "ask again as root"),
    }
}

fn hugepages(facts: &Facts, dpdk: &DpdkFacts) -> BypassCheck {
    let node = dpdk.device.value().and_then(|d| d.node).unwrap_or(0);
    match &facts.host.hugepages {
        Reading::Value(all) => {
            let here = |size: &str| all.get(&format!("node{node}/{size}")).copied().unwrap_or(0);
            let (small, large) = (here("2048"), here("1048576"));
            let why = format!("node {node} has {small} of 2 MiB and {large} of 1 GiB; lowlat's own engine needs none");
            let next =
                format!("for a program that does: `lowlat bypass hugepages --node {node} --count 512` (or --size 1G)");
            check("hugepages", Some(small + large > 0), why, if small + large > 0 { "" } else { &next })
        }
        other => check("hugepages", None, other.why_not().map_or("", |(_, why)| why), ""),
    }
}

fn cpus(facts: &Facts) -> BypassCheck {
    let next = "`lowlat explain boot.isolcpus`";
    match &facts.cpus.isolated {
        Reading::Value(cpus) if cpus.is_empty() => {
            check("CPUs", Some(false), "none is isolated: a port that spins shares its CPU with everything", next)
        }
        Reading::Value(cpus) => {
            check("CPUs", Some(true), format!("isolated: {}", lowlat_model::cpus::print_list(cpus)), "")
        }
        other => check("CPUs", None, other.why_not().map_or("", |(_, why)| why), ""),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowlat_model::dpdk::GroupMember;
    use lowlat_testkit::facts::healthy;

    use super::*;

    fn device() -> PciDevice {
        PciDevice {
            address: "0000:01:00.0".into(),
            class: Reading::Value("0x020000".into()),
            driver: Some("ixgbe".into()),
            iommu_group: Some("7".into()),
            others: Vec::new(),
            node: Some(1),
        }
    }

    fn host(device: PciDevice) -> DpdkFacts {
        DpdkFacts {
            iface: Some("eth1".into()),
            device: Reading::Value(device),
            lockdown: Reading::Value("none".into()),
            secure_boot: Reading::Value(false),
            vfio: Reading::Value(true),
            noiommu: Reading::Value(false),
        }
    }

    fn of(dpdk: &DpdkFacts, what: &str) -> Option<(String, String)> {
        let mut facts = healthy();
        facts.host.hugepages = Reading::Value(BTreeMap::from([("node0/2048".into(), 64), ("node1/2048".into(), 0)]));
        facts.cpus.isolated = Reading::Value(vec![2, 3]);
        let all = dpdk_checks(&facts, dpdk, &["eth9".to_owned()]);
        all.into_iter().find(|c| c.what == what).map(|c| (c.answer, format!("{} {}", c.why, c.next)))
    }

    #[track_caller]
    fn says(dpdk: &DpdkFacts, what: &str, answer: &str, part: &str) {
        let (got, words) = of(dpdk, what).unwrap_or_default();
        assert!(got == answer && words.contains(part), "{what}: {got}, {words}");
    }

    #[test]
    fn a_device_that_can_be_given_and_one_that_cannot() {
        let free = host(device());
        says(&free, "device", "yes", "0000:01:00.0");
        says(&free, "driver", "yes", "ixgbe");
        says(&free, "IOMMU", "yes", "group 7");
        says(&free, "kernel", "yes", "Secure Boot off");
        // Of the device's own node, not of any.
        says(&free, "hugepages", "no", "--node 1");
        says(&free, "CPUs", "yes", "2-3");
        assert_eq!(of(&free, "reached by"), None);
        let shared = |class: &str, driver: Option<&str>| {
            let other =
                GroupMember { address: "0000:01:00.1".into(), class: class.into(), driver: driver.map(str::to_owned) };
            host(PciDevice { others: vec![other], ..device() })
        };
        says(&shared("0x010601", Some("ahci")), "IOMMU", "no", "0000:01:00.1 (ahci)");
        says(&shared("0x010601", None), "IOMMU", "yes", "");
        says(&shared("0x060400", Some("pcieport")), "IOMMU", "yes", "");
        says(&shared("0x020000", Some("vfio-pci")), "IOMMU", "yes", "");
        says(&host(PciDevice { iommu_group: None, ..device() }), "IOMMU", "no", "intel_iommu=on");
        says(&DpdkFacts { vfio: Reading::Value(false), ..host(device()) }, "vfio-pci", "no", "modprobe");
    }

    #[test]
    fn a_bifurcated_device_is_never_to_be_bound() {
        for driver in BIFURCATED {
            let dpdk = host(PciDevice { driver: Some((*driver).into()), iommu_group: None, ..device() });
            says(&dpdk, "driver", "yes", "must not be unbound");
            assert_eq!(of(&dpdk, "IOMMU"), None, "it needs none");
        }
    }

    #[test]
    fn what_reaches_the_host_and_what_cannot_be_read_are_said() {
        let reached = DpdkFacts { iface: Some("eth9".into()), ..host(device()) };
        says(&reached, "reached by", "no", "default route");
        let locked = DpdkFacts { lockdown: Reading::Value("integrity".into()), ..host(device()) };
        says(&locked, "kernel", "yes", "locked down (integrity)");
        let open = DpdkFacts { device: Reading::Value(PciDevice { iommu_group: None, ..device() }), ..locked };
        says(&open, "kernel", "no", "only vfio-pci with an IOMMU");
        let denied = DpdkFacts { lockdown: Reading::Denied("root's".into()), ..host(device()) };
        says(&denied, "kernel", "unknown", "root's");
        let none = DpdkFacts { device: Reading::Unsupported("veth0 is virtual".into()), ..host(device()) };
        says(&none, "device", "no", "net_af_packet");
        let bound = host(PciDevice { driver: Some("vfio-pci".into()), ..device() });
        says(&bound, "driver", "yes", "gone by design");
    }
}
