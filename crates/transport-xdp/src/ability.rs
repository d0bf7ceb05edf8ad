//! Whether AF_XDP is possible on an interface, and why not if not. Looks only: attaches nothing, binds nothing.

use lowlat_model::Reading;
use lowlat_netlink::route::link;
use rustix::process::{Resource, getrlimit};

use crate::asm::{Asm, R0};
use crate::mode::{self, XdpMode};
use crate::path::device_under;
use crate::program::Action;
use crate::xsk::{self, BusyPoll, CHUNKS, Copying};
use crate::{XdpOptions, attach, bpf, device, drivers};

/// Whether one mode is possible, as far as is known without trying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeAbility {
    /// Which.
    pub mode: XdpMode,
    /// `None`: only a try would tell.
    pub possible: Option<bool>,
    /// Why, as text.
    pub why: String,
}

/// What AF_XDP can do on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XdpAbility {
    /// Interface that would get program and sockets: the one asked for, or the device under a VLAN interface.
    pub device: String,
    /// Its driver.
    pub driver: String,
    /// Its MTU, bytes.
    pub mtu: u32,
    /// Release of the running kernel.
    pub kernel: String,
    /// Memory that the sockets pin, bytes.
    pub memory: u64,
    /// What this process may pin, bytes; `None` where no limit applies.
    pub memory_limit: Option<u64>,
    /// RX queues, each of which needs a socket.
    pub rx_queues: u32,
    /// XDP abilities as the driver reports them (`basic`, `redirect`, `xsk-zerocopy`, …); `None` before Linux 6.3.
    pub features: Option<Vec<String>>,
    /// The XDP program that is already there, as text; the engine refuses then.
    pub occupied_by: Option<String>,
    /// Whether a kernel this user may ask takes XDP programs; the reason if not.
    pub programs: Result<(), String>,
    /// Whether sockets may ask for preferred busy polling (Linux 5.11); the reason if not.
    pub busy_poll: Result<(), String>,
    /// Each mode, in the order in which the engine tries them.
    pub modes: Vec<ModeAbility>,
    /// What else there is to say.
    pub remarks: Vec<String>,
}

impl XdpAbility {
    /// The engine would be refused, and why.
    pub fn refusal(&self) -> Option<String> {
        if let Err(why) = &self.programs {
            return Some(why.clone());
        }
        if release(&self.kernel).is_some_and(|v| v < XDP_LINKS) {
            return Some(format!("the kernel is {}, and XDP links need 5.9", self.kernel));
        }
        if let Some(limit) = self.memory_limit.filter(|limit| *limit < self.memory) {
            return Some(format!(
                "its sockets pin {} KiB, and RLIMIT_MEMLOCK allows {} KiB: raise ulimit -l",
                self.memory / 1024,
                limit / 1024
            ));
        }
        self.occupied_by.as_ref().map(|program| format!("{program} is attached"))
    }

    /// In one line.
    pub fn words(&self) -> String {
        self.refusal().map_or_else(
            || {
                let modes: Vec<String> = self.modes.iter().map(|m| format!("{}: {}", m.mode.words(), m.why)).collect();
                format!(
                    "possible on {} RX queue(s) of {} (driver {}, MTU {}); {}; {} KiB of memory",
                    self.rx_queues,
                    self.device,
                    self.driver,
                    self.mtu,
                    modes.join("; "),
                    self.memory / 1024
                )
            },
            |why| format!("not possible: {why}"),
        )
    }
}

/// What AF_XDP can do on `iface`, for this user, on this kernel.
pub fn probe(iface: &str) -> Reading<XdpAbility> {
    let link = match link::named(iface) {
        Ok(Some(link)) => link,
        Ok(None) => return Reading::Absent(format!("no interface {iface:?} in this network namespace")),
        Err(e) => return Reading::Garbled(e.to_string()),
    };
    if link.loopback || link.ethernet.is_none() {
        return Reading::Unsupported(format!("{iface} is not an Ethernet interface"));
    }
    let under = match device_under(&link, None, "probe") {
        Ok(under) => under,
        Err(e) => return Reading::Unsupported(e.to_string()),
    };
    let link = under.device;
    if let Err(e) = xsk::socket_possible() {
        return match e.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Reading::Denied("AF_XDP sockets need CAP_NET_RAW".to_owned()),
            Some(libc::EAFNOSUPPORT) => {
                Reading::Unsupported("this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)".to_owned())
            }
            _ => Reading::Unsupported(format!("AF_XDP socket: {e}")),
        };
    }
    let driver = device::driver(&link.name);
    let features = match device::xdp_features(&link.name) {
        Ok(features) => features,
        Err(e) => return Reading::Garbled(format!("XDP features of {}: {e}", link.name)),
    };
    let order = mode::order(&link, &driver, features.as_deref());
    let rx_queues = device::rx_queues(&link.name);
    let covered = rx_queues.min(XdpOptions::default().max_queues);
    let mut remarks: Vec<String> = under.remark.into_iter().chain(order.remarks).collect();
    if covered < rx_queues {
        remarks.push(format!(
            "{covered} of {rx_queues} RX queues get a socket; answers on the others take the kernel's way"
        ));
    }
    remarks.extend(drivers::of(&driver).filter(|d| !d.wants.is_empty()).map(|d| format!("{driver} wants {}", d.wants)));
    Reading::Value(XdpAbility {
        mtu: link.mtu,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        memory: xsk::pinned(covered, chunk_for(link.mtu, &order.modes)),
        memory_limit: memory_limit(),
        rx_queues,
        occupied_by: attach::occupant(&link),
        programs: programs_possible(),
        busy_poll: xsk::busy_poll_possible(BusyPoll { us: 20, budget: 8 }).map_err(|e| e.to_string()),
        modes: abilities(&order.modes, features.is_some(), &driver, link.mtu),
        features,
        remarks,
        driver,
        device: link.name,
    })
}

/// XDP links came with this version.
const XDP_LINKS: (u32, u32) = (5, 9);

/// The two first numbers of a release.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The chunk size of sockets at an MTU, in the mode that is tried first.
fn chunk_for(mtu: u32, modes: &[XdpMode]) -> usize {
    let frame = usize::try_from(mtu).unwrap_or(usize::MAX / 2) + crate::frame::ETH_LEN;
    let copying = modes.first().map_or(Copying::Copy, |mode| mode.copying());
    xsk::chunk_of(frame, copying).unwrap_or(CHUNKS[1])
}

/// `RLIMIT_MEMLOCK`; `None` where it is unlimited or CAP_IPC_LOCK lifts it.
fn memory_limit() -> Option<u64> {
    let exempt = lowlat_os::identity::effective_capabilities() >> CAP_IPC_LOCK & 1 == 1;
    getrlimit(Resource::Memlock).current.filter(|_| !exempt)
}

/// include/uapi/linux/capability.h
const CAP_IPC_LOCK: u32 = 14;

/// `reported`: the kernel says what the driver can do.
fn abilities(tried: &[XdpMode], reported: bool, driver: &str, mtu: u32) -> Vec<ModeAbility> {
    let untried = XdpMode::ALL.into_iter().filter(|m| !tried.contains(m));
    tried
        .iter()
        .copied()
        .chain(untried)
        .map(|mode| {
            let (possible, why) = match mode {
                XdpMode::Generic => (Some(true), "any interface has it".to_owned()),
                _ => drivers::native(driver, reported.then(|| tried.contains(&mode)), mtu),
            };
            // That a driver has native XDP is not yet zero-copy.
            let unsaid = mode == XdpMode::ZeroCopy && !reported && possible == Some(true);
            let (possible, why) =
                if unsaid { (None, "this kernel does not say (before 6.3)".to_owned()) } else { (possible, why) };
            ModeAbility { mode, possible, why }
        })
        .collect()
}

/// Loads the smallest XDP program and drops it again.
fn programs_possible() -> Result<(), String> {
    let mut pass = Asm::new();
    pass.mov_imm(R0, Action::Pass as i32).exit();
    let program = pass.finish().map_err(|e| e.to_string())?;
    bpf::load(&program, "lowlat_probe").map(drop).map_err(|e| match e.source.raw_os_error() {
        Some(libc::EPERM) => "XDP programs need CAP_BPF and CAP_NET_ADMIN (or kernel lockdown forbids them)".to_owned(),
        Some(libc::ENOSYS) => "this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)".to_owned(),
        _ => format!("this kernel takes no XDP program: {}", e.source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_nothing_are_two_answers() {
        assert_eq!(probe("lo").why_not().map(|w| w.0), Some("unsupported"));
        assert_eq!(probe("no-such-if").why_not().map(|w| w.0), Some("absent"));
    }

    #[test]
    fn an_old_kernel_is_not_a_driver_without_zero_copy() {
        let of = |reported| abilities(&[XdpMode::NativeCopy, XdpMode::Generic], reported, "i40e", 1500).pop().unwrap();
        assert_eq!((of(false).mode, of(false).possible), (XdpMode::ZeroCopy, None));
        assert_eq!(of(true).possible, Some(false));
    }

    fn able() -> XdpAbility {
        XdpAbility {
            device: "eth0".into(),
            driver: "igb".into(),
            mtu: 1500,
            kernel: "6.12.95-1".into(),
            memory: xsk::pinned(2, 2048),
            memory_limit: None,
            rx_queues: 2,
            features: None,
            occupied_by: None,
            programs: Ok(()),
            busy_poll: Ok(()),
            modes: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn what_would_be_refused_is_foretold_with_its_reason() {
        assert_eq!(able().refusal(), None);
        let why = |ability: XdpAbility| ability.refusal().unwrap();
        assert!(why(XdpAbility { kernel: "5.4.0-150-generic".into(), ..able() }).contains("XDP links need 5.9"));
        assert_eq!(XdpAbility { kernel: "5.10.0".into(), ..able() }.refusal(), None);
        let small = XdpAbility { memory_limit: Some(64 * 1024), ..able() };
        assert!(why(small).contains("pin 2304 KiB, and RLIMIT_MEMLOCK allows 64 KiB"));
        assert_eq!(XdpAbility { memory_limit: Some(8 << 20), ..able() }.refusal(), None);
        assert!(why(XdpAbility { occupied_by: Some("XDP program 7 (native)".into()), ..able() }).contains("program 7"));
        assert!(why(XdpAbility { programs: Err("no".into()), ..able() }).contains("no"));
    }
}
