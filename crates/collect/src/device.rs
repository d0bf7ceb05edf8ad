//! Where an interface's device is in sysfs.
//!
//! `/sys/class/net/IF` is a link into `/sys/devices`; its target gives the whole ancestry in one read, without asking
//! the file system to follow `..` through links, which a captured tree could not do.

use lowlat_model::Reading;
use lowlat_sys::Sys;

/// The device behind an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// `/sys/devices/pci0000:00/0000:00:03.0/virtio2`
    pub(crate) path: String,
    /// The PCI function that it is, or that it is a virtio device of: `/sys/devices/pci0000:00/0000:00:03.0`. The host
    /// controller of a USB or SDIO device is none: its PCI Express link is not the device's.
    pub(crate) pci: Option<String>,
    /// The nearest PCI function at or above it, a host controller among them.
    pub(crate) above: Option<String>,
    /// `pci`, `usb`, `sdio`, `platform`.
    pub(crate) attachment: &'static str,
}

impl Device {
    /// Last part of the path: `virtio2`.
    pub(crate) fn name(&self) -> &str {
        last(&self.path)
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Finds it; a virtual interface has none, which is `Absent`.
pub(crate) fn of(sys: &dyn Sys, iface: &str) -> Reading<Device> {
    sys.link_target(&format!("/sys/class/net/{iface}")).and_then(|target| match parse(&target) {
        Some(device) => Reading::Value(device),
        None => Reading::Absent(format!("{iface} has no device behind it")),
    })
}

/// Reads the link's text: `../../devices/pci0000:00/0000:00:03.0/virtio2/net/eth0`.
fn parse(target: &str) -> Option<Device> {
    let from_devices = &target[target.find("devices/")?..];
    let (path, _) = from_devices.rsplit_once("/net/")?;
    if path.starts_with("devices/virtual") {
        return None;
    }
    let path = format!("/sys/{path}");
    let mut above = None;
    let mut attachment = "platform";
    let mut end = 0;
    for part in path.split_inclusive('/') {
        end += part.len();
        let name = part.trim_end_matches('/');
        if is_pci_address(name) {
            above = Some(path[..end].trim_end_matches('/').to_owned());
            attachment = "pci";
        } else if is_numbered(name, "usb") {
            attachment = "usb";
        } else if name == "mmc_host" {
            attachment = "sdio";
        }
    }
    let pci = above.clone().filter(|_| attachment == "pci");
    Some(Device { path, pci, above, attachment })
}

/// `usb2`: a root hub (drivers/usb/core/usb.c, `usb_alloc_dev`).
fn is_numbered(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// `dddd:bb:dd.f`; the domain may be longer (VMD domains start at 0x10000, drivers/pci/controller/vmd.c).
fn is_pci_address(name: &str) -> bool {
    let hex =
        |s: &str, n: std::ops::RangeInclusive<usize>| n.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_hexdigit());
    let mut parts = name.split(':');
    let (Some(domain), Some(bus), Some(rest), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some((slot, function)) = rest.split_once('.') else { return false };
    hex(domain, 4..=8) && hex(bus, 2..=2) && hex(slot, 2..=2) && hex(function, 1..=1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(target: &str) -> (String, Option<String>) {
        let d = parse(target).unwrap();
        (d.name().to_owned(), d.pci.as_deref().map(|p| last(p).to_owned()))
    }

    #[test]
    fn the_pci_function_is_the_nearest_one_above() {
        assert_eq!(
            found("../../devices/pci0000:00/0000:00:03.0/virtio2/net/eth0"),
            ("virtio2".into(), Some("0000:00:03.0".into()))
        );
        assert_eq!(
            found("../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.1/net/ens1f1"),
            ("0000:3b:00.1".into(), Some("0000:3b:00.1".into()))
        );
        assert_eq!(found("../../devices/platform/30be0000.ethernet/net/eth0"), ("30be0000.ethernet".into(), None));
        assert_eq!(parse("../../devices/virtual/net/veth0"), None);
        assert_eq!(parse("../../devices/pci0000:00/0000:00:03.0/virtio2/net/eth0").unwrap().attachment, "pci");
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn a_host_controller_is_not_the_device() {
        let nic = parse("../../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/net/enx1").unwrap();
        assert_eq!((nic.pci, nic.attachment), (None, "usb"));
        assert_eq!(nic.above.as_deref(), Some("/sys/devices/pci0000:00/0000:00:14.0"));
        let wifi =
            parse("../../devices/platform/soc/fe300000.mmcnr/mmc_host/mmc1/mmc1:0001/mmc1:0001:1/net/wlan0").unwrap();
        assert_eq!((wifi.pci, wifi.attachment), (None, "sdio"));
        assert!(!is_numbered("usb", "usb") && !is_numbered("usbhid1", "usb"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = parse(&text);
            let _ = is_pci_address(&text);
        }
    }
}
