//! Which driver a PCI network device is bound to: `e1000e iface=eth1 mtu=1500`, `vfio-pci override=vfio-pci`, `none`.
//!
//! With it goes what the kernel forgets when the driver lets the device go: the interface's name and MTU. What could not be
//! put back is refused before the write: an interface that is up, has addresses, or is part of another.

use lowlat_model::op::{Target, is_pci_address};
use lowlat_model::plan::Order;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, query};

use crate::shell::quote;
use crate::{AtBoot, Kind, Place, Write, text};

/// The driver that hands a device to programs.
pub const VFIO: &str = "vfio-pci";
/// Where PCI devices are.
pub const DEVICES: &str = "/sys/bus/pci/devices";
/// Drivers next to which DPDK's own works: it needs them bound (doc.dpdk.org, Linux Drivers, Bifurcated Driver).
pub const BIFURCATED: &[&str] = &["mlx4_core", "mlx5_core", "mana"];

/// The binding of a device.
#[derive(Debug)]
pub struct Binding;

impl Place for Binding {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Device(device) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::Driver { device: device.clone() }])
    }
    fn targets(&self, _: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        Reading::Unsupported("a device is bound when it is named, and never because of a finding".to_owned())
    }
    fn order(&self) -> Order {
        Order::Link
    }
}

/// The driver as a person names it.
pub fn encode(want: &str) -> Result<State, String> {
    if want == VFIO { Ok(State::Text(format!("{VFIO} override={VFIO}"))) } else { Err("it takes vfio-pci".to_owned()) }
}

/// A binding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bound {
    driver: Option<String>,
    forced: Option<String>,
    iface: Option<String>,
    mtu: Option<u32>,
}

impl Bound {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no binding of a driver");
        let name = |n: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            if n.is_empty() || n.len() > 64 || n.starts_with('.') || !n.bytes().all(fits) {
                Err(bad())
            } else {
                Ok(n.to_owned())
            }
        };
        let mut words = text.split_whitespace();
        let driver = name(words.next().ok_or_else(bad)?)?;
        let mut bound = Self { driver: (driver != "none").then_some(driver), ..Self::default() };
        for word in words {
            match word.split_once('=').ok_or_else(bad)? {
                ("override", n) => bound.forced = Some(name(n)?),
                ("iface", n) if n.len() < 16 => bound.iface = Some(name(n)?),
                ("mtu", n) => bound.mtu = Some(n.parse().map_err(|_| bad())?),
                _ => return Err(bad()),
            }
        }
        Ok(bound)
    }

    fn of(state: &State) -> Result<Self, String> {
        Self::parse(text::plain(state)?)
    }

    fn print(&self) -> String {
        let field = |key: &str, v: Option<String>| v.map_or_else(String::new, |v| format!(" {key}={v}"));
        format!(
            "{}{}{}{}",
            self.driver.as_deref().unwrap_or("none"),
            field("override", self.forced.clone()),
            field("iface", self.iface.clone()),
            field("mtu", self.mtu.map(|n| n.to_string()))
        )
    }
}

/// The last part of where a link points; `None` where there is no link.
fn points_to(sys: &dyn Sys, path: &str) -> Reading<Option<String>> {
    match sys.link_target(path) {
        Reading::Value(t) => Reading::Value(t.rsplit('/').next().map(str::to_owned)),
        Reading::Absent(_) => Reading::Value(None),
        other => other.map(Some),
    }
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) device: &'a str,
}

impl At<'_> {
    fn path(&self, file: &str) -> String {
        format!("{DEVICES}/{}/{file}", self.device)
    }

    fn bound(&self, sys: &dyn Sys) -> Reading<Bound> {
        if !is_pci_address(self.device) {
            return Reading::Unsupported(format!("{:?} is no address of a PCI device", self.device));
        }
        // A device without a driver has no link; one that is not there has no vendor either.
        sys.read(&self.path("vendor")).and_then(|_| points_to(sys, &self.path("driver"))).map(|driver| {
            let forced = sys.read(&self.path("driver_override")).into_value().map(|t| t.trim().to_owned());
            let iface = sys.list(&self.path("net")).into_value().and_then(|names| names.into_iter().next());
            let mtu = iface.as_ref().and_then(|i| sys.read(&format!("/sys/class/net/{i}/mtu")).into_value());
            Bound {
                driver,
                forced: forced.filter(|f| !f.is_empty() && f != "(null)"),
                mtu: mtu.and_then(|t| t.trim().parse().ok()),
                iface,
            }
        })
    }

    /// Why its interface cannot be given up, as it could not be put back.
    fn interface_is_needed(&self, sys: &dyn Sys) -> Option<String> {
        let names = sys.list(&self.path("net")).into_value().unwrap_or_default();
        let [name] = names.as_slice() else {
            return match names.len() {
                0 => points_to(sys, &self.path("driver")).into_value().flatten().filter(|d| d != VFIO).map(|driver| {
                    format!(
                        "{driver} shows no interface of {} here; it may be in another network namespace, and what uses it \
                         cannot be seen",
                        self.device
                    )
                }),
                n => Some(format!("{} has {n} interfaces ({}), which would all go", self.device, names.join(", "))),
            };
        };
        let Some(link) = query::links(sys).into_value().and_then(|l| l.into_iter().find(|l| l.name == *name)) else {
            return Some(format!("{name} cannot be seen in this network namespace, and neither what uses it"));
        };
        if link.up {
            return Some(format!(
                "{name} is up; take it down first, so that nothing is lost with it: `ip link set {name} down`"
            ));
        }
        let dir = format!("/sys/class/net/{name}");
        let uses = sys.list(&dir).into_value().unwrap_or_default();
        if let Some(user) = uses.iter().find(|f| *f == "master" || f.starts_with("upper_")) {
            let who = points_to(sys, &format!("{dir}/{user}")).into_value().flatten().unwrap_or_else(|| user.clone());
            return Some(format!("{name} is part of {who}; take it out first"));
        }
        // NET_ADDR_SET (include/uapi/linux/netdevice.h).
        if sys.read(&format!("{dir}/addr_assign_type")).into_value().is_some_and(|t| t.trim() == "3") {
            return Some(format!("{name} has a MAC address that was set by hand, and would come back with its own"));
        }
        let all = query::addresses(sys).into_value().unwrap_or_default();
        let addresses: Vec<&str> = all.iter().filter(|a| a.index == link.index).map(|a| a.address.as_str()).collect();
        (!addresses.is_empty()).then(|| {
            let all = addresses.join(", ");
            format!("{name} has {all}, which would not come back; remove them first: `ip addr flush dev {name}`")
        })
    }

    /// Why vfio-pci would not give it to a program.
    fn cannot_be_given(&self, sys: &dyn Sys) -> Option<String> {
        if sys.list(&format!("/sys/bus/pci/drivers/{VFIO}")).value().is_none() {
            return Some(format!("the kernel has no driver {VFIO} loaded: `modprobe {VFIO}`"));
        }
        let Some(group) = points_to(sys, &self.path("iommu_group")).into_value().flatten() else {
            let unsafe_mode = sys.read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode").into_value();
            return (unsafe_mode.is_none_or(|t| !t.trim().eq_ignore_ascii_case("y"))).then(|| {
                format!(
                    "{} is in no IOMMU group; switch the IOMMU on (firmware, and intel_iommu=on at boot)",
                    self.device
                )
            });
        };
        let others = sys.list(&format!("/sys/kernel/iommu_groups/{group}/devices")).into_value().unwrap_or_default();
        others.into_iter().filter(|d| d != self.device).find_map(|other| {
            let class = sys.read(&format!("{DEVICES}/{other}/class")).into_value().unwrap_or_default();
            let driver = points_to(sys, &format!("{DEVICES}/{other}/driver")).into_value().flatten()?;
            // A bridge's port driver does no DMA of its own; pci-stub keeps a device for nobody
            // (drivers/vfio/vfio_main.c, `vfio_dev_viable` of 6.1; drivers/iommu/iommu.c, `driver_managed_dma`).
            let harmless = class.starts_with("0x0604") || driver == VFIO || driver == "pci-stub";
            (!harmless).then(|| {
                format!("{other} ({driver}) is in the same IOMMU group {group}, and vfio takes a group only whole")
            })
        })
    }

    /// The process that has its group open: vfio would wait for it without an end when the device is taken back.
    fn in_use(&self, sys: &dyn Sys) -> Option<String> {
        let group = points_to(sys, &self.path("iommu_group")).into_value().flatten()?;
        let files = [format!("/dev/vfio/{group}"), format!("/dev/vfio/noiommu-{group}")];
        sys.list("/proc").into_value()?.into_iter().filter(|p| p.bytes().all(|b| b.is_ascii_digit())).find_map(|pid| {
            let fds = sys.list(&format!("/proc/{pid}/fd")).into_value()?;
            let has = |fd: &String| {
                sys.link_target(&format!("/proc/{pid}/fd/{fd}")).value().is_some_and(|t| files.contains(t))
            };
            fds.iter().any(has).then(|| {
                let name = sys.read(&format!("/proc/{pid}/comm")).into_value().unwrap_or_default();
                format!("process {pid} ({}) has {} open; end it first", name.trim(), self.device)
            })
        })
    }
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("the driver of {}", self.device)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        self.bound(sys).map(|b| State::Text(b.print()))
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        if !is_pci_address(self.device) {
            return Err(format!("{:?} is no address of a PCI device", self.device));
        }
        let Bound { driver, forced, iface, mtu } = Bound::of(set)?;
        Ok(Write::PciDriver { device: self.device.to_owned(), driver, forced, iface, mtu })
    }
    fn undo(&self, was: &State) -> String {
        let Ok(was) = Bound::of(was) else { return text::reported("what the driver was cannot be read") };
        let (device, at) = (quote(self.device), |file: &str| quote(&self.path(file)));
        let mut lines = vec![
            format!("printf '%s\\n' {} > {}", quote(was.forced.as_deref().unwrap_or("")), at("driver_override")),
            format!("if [ -e {0} ]; then printf '%s\\n' {device} > {0}/unbind; fi", at("driver")),
        ];
        if let Some(driver) = &was.driver {
            lines.push(format!("printf '%s\\n' {device} > {}", quote(&format!("/sys/bus/pci/drivers/{driver}/bind"))));
        }
        if let Some(iface) = &was.iface {
            let (iface, net) = (quote(iface), at("net"));
            lines.push(format!("n=$(ls {net} | head -n 1); [ \"$n\" = {iface} ] || ip link set \"$n\" name {iface}"));
            if let Some(mtu) = was.mtu {
                lines.push(format!("ip link set {iface} mtu {mtu}"));
            }
        }
        lines.join("; ")
    }
    fn same(&self, a: &State, b: &State) -> bool {
        Bound::of(a).is_ok_and(|a| Bound::of(b).is_ok_and(|b| a == b))
    }
    fn scope(&self) -> Scope {
        Scope::Host
    }
    fn of_namespace(&self) -> bool {
        false
    }
    fn refused(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        let now = self.bound(sys).into_value()?;
        let leaves = now.driver.as_deref() == Some(VFIO) && Bound::of(set).is_ok_and(|s| s.driver != now.driver);
        if leaves { self.in_use(sys) } else { None }
    }
    fn refused_at_first(&self, sys: &dyn Sys, set: &State) -> Option<String> {
        let class = sys.read(&self.path("class")).into_value().unwrap_or_default();
        // Base class 02: a network controller (include/linux/pci_ids.h).
        if !class.starts_with("0x02") {
            return Some(format!("{} is no network device (class {})", self.device, class.trim()));
        }
        let now = self.bound(sys).into_value().unwrap_or_default();
        if let Some(driver) = now.driver.as_deref().filter(|d| BIFURCATED.contains(d)) {
            return Some(format!("DPDK's driver works next to {driver}, which has to stay; use the device as it is"));
        }
        if Bound::of(set).is_ok_and(|s| s.driver.as_deref() != Some(VFIO)) {
            return None;
        }
        self.interface_is_needed(sys).or_else(|| self.cannot_be_given(sys))
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Never { why: "a device is bound by hand; `driverctl` keeps a binding over a boot" }
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Op;
    use lowlat_sys::NetQuery;
    use lowlat_sys::query::{InterfaceAddress, LinkInfo};
    use lowlat_testkit::FakeSys;

    use super::*;
    use crate::{at, state, write};

    const DEVICE: &str = "0000:01:00.0";

    fn place() -> Locus {
        Locus::Driver { device: DEVICE.into() }
    }

    /// A NIC with an interface that nothing uses, alone in its IOMMU group.
    fn free() -> FakeSys {
        host(true, true)
    }

    fn host(has_group: bool, with_vfio: bool) -> FakeSys {
        let at = |file: &str| format!("{DEVICES}/{DEVICE}/{file}");
        let host = if has_group {
            FakeSys::new().link(&at("iommu_group"), "../kernel/iommu_groups/7")
        } else {
            FakeSys::new()
        };
        let host = if with_vfio { host.file("/sys/bus/pci/drivers/vfio-pci/new_id", "") } else { host };
        host.file(&at("vendor"), "0x8086\n")
            .file(&at("class"), "0x020000\n")
            .file(&at("driver_override"), "(null)\n")
            .link(&at("driver"), "../../../bus/pci/drivers/e1000e")
            .file(&at("net/eth1/mtu"), "9000\n")
            .file("/sys/class/net/eth1/mtu", "9000\n")
            .file("/sys/class/net/eth1/addr_assign_type", "0\n")
            .file(&format!("/sys/kernel/iommu_groups/7/devices/{DEVICE}/x"), "")
            .net(&NetQuery::Links, link(false))
            .net(&NetQuery::Addresses, Vec::<InterfaceAddress>::new())
    }

    fn link(up: bool) -> Vec<LinkInfo> {
        let (name, operstate, xdp) = ("eth1".to_owned(), "down".to_owned(), "none".to_owned());
        vec![LinkInfo { index: 3, name, up, operstate, mtu: 9000, mac: None, kind: None, xdp }]
    }

    fn why(sys: &FakeSys) -> String {
        at(&place()).refused_at_first(sys, &encode(VFIO).unwrap()).unwrap_or_default()
    }

    #[test]
    fn a_binding_is_read_with_what_the_kernel_would_forget() {
        assert_eq!(state(&free(), &place()), Reading::Value(State::Text("e1000e iface=eth1 mtu=9000".into())));
        assert!(matches!(state(&FakeSys::new(), &place()), Reading::Absent(_)));
        let op = |text: &str| Op::text(place(), text);
        assert_eq!(
            write(&op("e1000e iface=eth1 mtu=9000")),
            Ok(Write::PciDriver {
                device: DEVICE.into(),
                driver: Some("e1000e".into()),
                forced: None,
                iface: Some("eth1".into()),
                mtu: Some(9000)
            })
        );
        for bad in [
            "",
            "../../x",
            "a/b",
            "e1000e iface=../x",
            "e1000e mtu=x",
            "e1000e what=1",
            "e1000e iface=abcdefghijklmnop",
            ".hidden",
        ] {
            assert!(write(&op(bad)).is_err(), "{bad:?} was taken");
        }
        assert!(write(&Op::text(Locus::Driver { device: "../0000:01".into() }, "none")).is_err());
    }

    #[test]
    fn what_could_not_be_put_back_or_given_is_refused() {
        assert_eq!(why(&free()), "");
        assert!(why(&free().net(&NetQuery::Links, link(true))).contains("ip link set eth1 down"));
        let address = vec![InterfaceAddress { index: 3, address: "192.0.2.1/24".into() }];
        assert!(why(&free().net(&NetQuery::Addresses, address)).contains("192.0.2.1/24"));
        let part = free().link("/sys/class/net/eth1/master", "../bond0");
        assert!(why(&part).contains("eth1 is part of bond0"), "{}", why(&part));
        assert!(why(&free().link("/sys/class/net/eth1/upper_eth1.7", "../eth1.7")).contains("eth1.7"));
        assert!(why(&free().file("/sys/class/net/eth1/addr_assign_type", "3\n")).contains("MAC"));
        assert!(why(&free().file(&format!("{DEVICES}/{DEVICE}/class"), "0x010601\n")).contains("no network device"));
        for driver in BIFURCATED {
            let sys = free().link(&format!("{DEVICES}/{DEVICE}/driver"), &format!("../{driver}"));
            assert!(why(&sys).contains("has to stay"), "{driver}: {}", why(&sys));
        }
    }

    #[test]
    fn a_group_that_is_not_ours_alone_or_not_there_is_refused() {
        let other = "0000:01:00.1";
        let shared = |class: &str, driver: &str| {
            free()
                .file(&format!("/sys/kernel/iommu_groups/7/devices/{other}/x"), "")
                .file(&format!("{DEVICES}/{other}/class"), class)
                .link(&format!("{DEVICES}/{other}/driver"), &format!("../{driver}"))
        };
        assert!(why(&shared("0x010601\n", "ahci")).contains("0000:01:00.1 (ahci) is in the same IOMMU group 7"));
        assert_eq!(why(&shared("0x060400\n", "pcieport")), "");
        assert_eq!(why(&shared("0x020000\n", "vfio-pci")), "");
        let none = || host(false, true);
        assert!(why(&none()).contains("no IOMMU group"));
        let unsafe_mode = none().file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
        assert_eq!(why(&unsafe_mode), "");
        assert!(why(&host(true, false)).contains("modprobe vfio-pci"));
    }

    #[test]
    fn a_device_that_a_program_has_open_is_not_taken_back() {
        let bound = free()
            .link(&format!("{DEVICES}/{DEVICE}/driver"), "../vfio-pci")
            .file("/proc/77/comm", "testpmd\n")
            .link("/proc/77/fd/5", "/dev/vfio/7");
        let back = State::Text("e1000e iface=eth1 mtu=9000".into());
        let why = at(&place()).refused(&bound, &back).unwrap_or_default();
        assert!(why.contains("process 77 (testpmd)"), "{why}");
        assert_eq!(at(&place()).refused(&bound.link("/proc/77/fd/5", "/dev/null"), &back), None);
    }
}
