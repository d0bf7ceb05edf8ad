//! What DPDK would need of one device.

use lowlat_model::Reading;
use lowlat_model::dpdk::{DpdkFacts, GroupMember, PciDevice};
use lowlat_model::op::is_pci_address;
use lowlat_sys::Sys;

const DEVICES: &str = "/sys/bus/pci/devices";
/// The variable that UEFI's specification (section 3.3) has for it: four bytes of attributes, then 0 or 1.
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Reads the device of an interface, or one by its address.
pub fn dpdk(sys: &dyn Sys, name: &str) -> DpdkFacts {
    let address = address_of(sys, name);
    DpdkFacts {
        iface: if is_pci_address(name) { iface_of(sys, name) } else { Some(name.to_owned()) },
        device: address.and_then(|address| device(sys, &address)),
        lockdown: sys.read("/sys/kernel/security/lockdown").map(|t| chosen(&t)),
        secure_boot: sys.read_bytes(SECURE_BOOT).and_then(|bytes| match bytes.as_slice() {
            [_, _, _, _, on] => Reading::Value(*on == 1),
            _ => Reading::Garbled(format!("{SECURE_BOOT} has {} bytes and not 5", bytes.len())),
        }),
        vfio: match sys.list("/sys/bus/pci/drivers/vfio-pci") {
            Reading::Absent(_) => Reading::Value(false),
            other => other.map(|_| true),
        },
        noiommu: match sys.read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") {
            Reading::Absent(_) => Reading::Value(false),
            other => other.map(|t| t.trim().eq_ignore_ascii_case("y")),
        },
    }
}

/// The address of an interface's PCI device, or the one that was given.
pub fn address_of(sys: &dyn Sys, name: &str) -> Reading<String> {
    if is_pci_address(name) {
        return Reading::Value(name.to_ascii_lowercase());
    }
    match sys.link_target(&format!("/sys/class/net/{name}/device")) {
        Reading::Value(target) => {
            let last = target.rsplit('/').next().unwrap_or_default().to_owned();
            if is_pci_address(&last) {
                Reading::Value(last)
            } else {
                Reading::Unsupported(format!("{name} is {last}, not a PCI device"))
            }
        }
        Reading::Absent(_) => Reading::Unsupported(format!("{name} is virtual: no device is behind it")),
        other => other,
    }
}

fn iface_of(sys: &dyn Sys, address: &str) -> Option<String> {
    sys.list(&format!("{DEVICES}/{address}/net")).into_value()?.into_iter().next()
}

fn device(sys: &dyn Sys, address: &str) -> Reading<PciDevice> {
    let at = |file: &str| format!("{DEVICES}/{address}/{file}");
    let group = last(sys, &at("iommu_group"));
    let members = group.as_ref().map(|g| sys.list(&format!("/sys/kernel/iommu_groups/{g}/devices")));
    let others = members.and_then(Reading::into_value).unwrap_or_default().into_iter().filter(|d| d != address);
    let other = |address: String| GroupMember {
        class: sys.read(&format!("{DEVICES}/{address}/class")).into_value().unwrap_or_default().trim().to_owned(),
        driver: last(sys, &format!("{DEVICES}/{address}/driver")),
        address,
    };
    sys.read(&at("vendor")).map(|_| PciDevice {
        address: address.to_owned(),
        class: sys.read(&at("class")).map(|t| t.trim().to_owned()),
        driver: last(sys, &at("driver")),
        iommu_group: group,
        others: others.map(other).collect(),
        // −1 where it has none (drivers/pci/pci-sysfs.c, `numa_node_show`).
        node: sys.read(&at("numa_node")).into_value().and_then(|t| t.trim().parse().ok()),
    })
}

fn last(sys: &dyn Sys, path: &str) -> Option<String> {
    sys.link_target(path).into_value()?.rsplit('/').next().map(str::to_owned)
}

/// `none [integrity] confidentiality` (security/lockdown/lockdown.c, `lockdown_read`).
fn chosen(text: &str) -> String {
    let inner = |w: &str| w.strip_prefix('[').and_then(|w| w.strip_suffix(']')).map(str::to_owned);
    text.split_whitespace().find_map(inner).unwrap_or_else(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    const AT: &str = "/sys/bus/pci/devices/0000:01:00.0";

    #[test]
    fn a_device_is_read_with_who_shares_its_group() {
        let sys = FakeSys::new()
            .link("/sys/class/net/eth1/device", "../../../0000:01:00.0")
            .file(&format!("{AT}/vendor"), "0x8086\n")
            .file(&format!("{AT}/class"), "0x020000\n")
            .file(&format!("{AT}/numa_node"), "1\n")
            .link(&format!("{AT}/driver"), "../igb")
            .link(&format!("{AT}/iommu_group"), "../kernel/iommu_groups/7")
            .file("/sys/kernel/iommu_groups/7/devices/0000:01:00.0/x", "")
            .file("/sys/kernel/iommu_groups/7/devices/0000:01:00.1/x", "")
            .file("/sys/bus/pci/devices/0000:01:00.1/class", "0x010601\n")
            .file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
            .bytes(SECURE_BOOT, &[6, 0, 0, 0, 1])
            .file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
        let read = dpdk(&sys, "eth1");
        let device = read.device.value().unwrap();
        assert_eq!(
            (device.address.as_str(), device.driver.as_deref(), device.node),
            ("0000:01:00.0", Some("igb"), Some(1))
        );
        assert_eq!(device.iommu_group.as_deref(), Some("7"));
        let other = GroupMember { address: "0000:01:00.1".into(), class: "0x010601".into(), driver: None };
        assert_eq!(device.others, [other]);
        assert_eq!((read.lockdown, read.secure_boot), (Reading::Value("integrity".into()), Reading::Value(true)));
        assert_eq!((read.vfio, read.noiommu), (Reading::Value(false), Reading::Value(true)));
    }

    #[test]
    fn what_is_no_device_is_said() {
        let sys = FakeSys::new().link("/sys/class/net/w0/device", "../../../virtio3").bytes(SECURE_BOOT, &[1]);
        assert!(matches!(dpdk(&sys, "veth0").device, Reading::Unsupported(_)));
        assert!(matches!(dpdk(&sys, "w0").device, Reading::Unsupported(why) if why.contains("virtio3")));
        assert!(matches!(dpdk(&sys, "0000:09:00.0").device, Reading::Absent(_)));
        assert!(matches!(dpdk(&sys, "w0").secure_boot, Reading::Garbled(_)));
    }
}
