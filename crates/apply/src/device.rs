//! Which interface a place belongs to, whatever it is called now and wherever it is.

use lowlat_model::journal::{Beside, Device, NetnsId};
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Live, Sys, irqs, query};

use crate::ledger::{HolderId, Ledger, StandingWrite};
use crate::namespaces::{Netns, all_namespaces};
use crate::writer::{BeforeHold, HostWriter, WriteFailure};

/// Where an interface is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// In this namespace, under this name.
    Here(String),
    /// In the namespace that it was recorded in, which is not this one.
    Home,
    /// In another namespace, which it was moved to.
    Elsewhere {
        /// What leads to it: `/run/netns/NAME`, `/proc/PID/ns/net`.
        netns: String,
        /// Its name there.
        name: String,
    },
    /// In none: every namespace was looked at. So it is with an interrupt line that its interface has no more.
    Gone {
        /// What is gone.
        why: String,
    },
    /// In none that can be looked at.
    Hidden {
        /// Why others cannot be.
        why: String,
    },
}

/// What identifies the interface of a place; `None` where it belongs to none, or the interface is not there.
pub(crate) fn of(sys: &dyn Sys, locus: &Locus) -> Option<Device> {
    let iface = locus.iface()?;
    let mut device = named(sys, iface)?;
    if let Some(index) = lowlat_settings::at(locus).line() {
        let lines = irqs::of_interface(sys, iface).into_value().unwrap_or_default();
        device.irq = lines.into_iter().nth(usize::try_from(index).ok()?).map(|line| line.action);
    }
    Some(device)
}

fn named(sys: &dyn Sys, name: &str) -> Option<Device> {
    links(sys).into_iter().find(|l| l.name == name).map(|l| device(sys, l))
}

fn links(sys: &dyn Sys) -> Vec<query::LinkInfo> {
    query::links(sys).into_value().unwrap_or_default()
}

fn device(sys: &dyn Sys, l: query::LinkInfo) -> Device {
    let dir = format!("/sys/class/net/{}", l.name);
    // A sysfs of another namespace shows other interfaces under the same names.
    let shown = sys.read(&format!("{dir}/ifindex")).into_value();
    let ours = shown.is_some_and(|t| t.trim().parse() == Ok(l.index));
    let path = ours.then(|| sys.link_target(&format!("{dir}/device")).into_value()).flatten();
    let inode = ours.then(|| query::sysfs_inode(sys, &l.name).into_value()).flatten();
    Device { name: l.name, index: l.index, mac: l.mac, path, inode, irq: None }
}

/// The name of an interface in this namespace. `same_netns`: it was recorded in this one.
pub(crate) fn find_here(sys: &dyn Sys, wanted: &Device, same_netns: bool) -> Option<String> {
    // Nearly always it still has its name, and nothing else need be looked at.
    let is = |d: &Device| wanted.is(d, same_netns);
    if named(sys, &wanted.name).as_ref().is_some_and(is) {
        return Some(wanted.name.clone());
    }
    links(sys).into_iter().map(|l| device(sys, l)).find(is).map(|d| d.name)
}

/// Where an interface of the running host is, in any namespace that can be entered. `home` is the one that it was
/// recorded in, where that is another than this one and still there.
pub(crate) fn find_live(sys: &dyn Sys, device: &Device, home: Option<NetnsId>, same_netns: bool) -> Whereabouts {
    if let Some(name) = find_here(sys, device, same_netns) {
        return Whereabouts::Here(name);
    }
    let all = all_namespaces(sys);
    let mut why = all.hidden;
    for (id, path) in all.paths {
        let (device, recorded) = (device.clone(), home.is_some_and(|home| home.inode == id));
        match lowlat_sys::in_netns(&path, move || Ok(find_here(&Live::new(), &device, recorded))) {
            Ok(Some(_)) if recorded => return Whereabouts::Home,
            Ok(Some(name)) => return Whereabouts::Elsewhere { netns: path, name },
            Ok(None) => {}
            // It ended while it was looked for, and its virtual interfaces with it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) if all_namespaces(sys).paths.iter().all(|(now, _)| *now != id) => {}
            Err(e) => why = why.or(Some(format!("{path} cannot be entered: {e}"))),
        }
    }
    match (why, device.inode) {
        (None, Some(_)) => Whereabouts::Gone { why: format!("{} is in no network namespace any more", words(device)) },
        (None, None) => Whereabouts::Hidden { why: "what would tell it from another was not recorded".to_owned() },
        (Some(why), _) => Whereabouts::Hidden { why },
    }
}

/// The interface for people.
pub(crate) fn words(device: &Device) -> String {
    let mac = device.mac.as_ref().map_or_else(String::new, |mac| format!(", {mac}"));
    format!("interface {} (index {}{mac})", device.name, device.index)
}

/// The position of an interrupt line among those of an interface: the one whose action has the recorded name, or that
/// name with the interface's new one in it.
pub(crate) fn irq_position(sys: &dyn Sys, device: &Device, name: &str) -> Option<u32> {
    let action = device.irq.as_ref()?;
    let renamed = action.replace(&device.name, name);
    let lines = irqs::of_interface(sys, name).into_value()?;
    let at = lines.iter().position(|l| l.action == *action).or_else(|| lines.iter().position(|l| l.action == renamed));
    at.and_then(|at| u32::try_from(at).ok())
}

/// Finds the interface of each standing write of this boot, and names its places by what it is called now. Those whose
/// interface was not recorded stay unchanged, and so do those of another namespace that it has not left. `netns` is
/// where the transaction's namespace stands.
pub(crate) fn locate<W: HostWriter>(sys: &dyn Sys, writer: &W, ledger: &mut Ledger, netns: Netns) {
    let home = (netns == Netns::Other).then_some(ledger.netns);
    let mut known: Vec<(Device, Whereabouts)> = Vec::new();
    for s in &mut ledger.standing {
        let Some(device) = s.device.clone() else { continue };
        let plain = Device { irq: None, ..device };
        let at = if let Some((_, at)) = known.iter().find(|(d, _)| *d == plain) {
            at.clone()
        } else {
            let at = writer.find(sys, &plain, home, netns == Netns::Same);
            known.push((plain, at.clone()));
            at
        };
        name_places(s, &at);
        s.at = (at != Whereabouts::Home).then_some(at);
    }
}

/// Names the places of a write by what its interface is called there.
pub(crate) fn name_places(s: &mut StandingWrite, at: &Whereabouts) {
    let (Whereabouts::Here(name) | Whereabouts::Elsewhere { name, .. }) = at else { return };
    let called = s.op.locus.iface().map(str::to_owned);
    let others = s.beside.iter_mut().chain(s.changed.iter_mut().flatten()).map(|b| &mut b.locus);
    // A port below a bond is another interface; its places keep their name.
    for locus in others.chain([&mut s.op.locus]).filter(|l| l.iface() == called.as_deref()) {
        *locus = locus.on(name);
    }
}

/// A standing write with its interrupt line where it is now. Asked right before it is used: a line goes and comes with
/// the queues of its interface.
pub(crate) fn line<W: HostWriter>(sys: &dyn Sys, writer: &W, s: &StandingWrite) -> StandingWrite {
    let mut s = s.clone();
    let (Some(iface), Some(device)) = (s.op.locus.iface().map(str::to_owned), &s.device) else { return s };
    let (Some(action), Some(at)) = (&device.irq, &s.at) else { return s };
    let netns = if let Whereabouts::Elsewhere { netns, .. } = at { Some(netns.as_str()) } else { None };
    match writer.irq(sys, device, &iface, netns) {
        Some(now) => {
            let there = lowlat_settings::at(&s.op.locus).on_line(now);
            s.op.locus = there.unwrap_or(s.op.locus);
        }
        None if matches!(at, Whereabouts::Here(_) | Whereabouts::Elsewhere { .. }) => {
            s.at = Some(Whereabouts::Gone { why: format!("{iface} has no interrupt {action} any more") });
        }
        None => {}
    }
    s
}

/// As the executor sees the host from another namespace, which an interface was moved to.
pub(crate) struct There<'a, W> {
    pub(crate) writer: &'a mut W,
    pub(crate) netns: &'a str,
}

impl<W: HostWriter> HostWriter for There<'_, W> {
    fn state(&self, _: &dyn Sys, locus: &Locus) -> Reading<State> {
        self.writer.state_in(self.netns, locus)
    }
    fn beside(&self, _: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
        self.writer.beside_in(self.netns, op)
    }
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        self.writer.write_in(self.netns, op)
    }
    fn write_together(&mut self, ops: &[Op]) -> Result<(), WriteFailure> {
        self.writer.write_together_in(self.netns, ops)
    }
    fn hold(&mut self, us: &str, before: BeforeHold<'_>) -> Result<(), WriteFailure> {
        self.writer.hold(us, before)
    }
    fn release(&mut self, holder: &HolderId) -> Result<bool, WriteFailure> {
        self.writer.release(holder)
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    fn interrupts(names: &[&str]) -> FakeSys {
        let lines = names.iter().enumerate().map(|(n, name)| format!(" {}: 0 PCI-MSI {n}-edge {name}\n", 40 + n));
        FakeSys::new().file("/proc/interrupts", &format!("     CPU0\n{}", lines.collect::<String>()))
    }

    #[test]
    fn a_line_is_known_by_its_action_and_not_by_its_position() {
        let device = Device { name: "eth0".into(), irq: Some("eth0-rx-1".into()), ..Device::default() };
        let at = |names: &[&str], now: &str| irq_position(&interrupts(names), &device, now);
        assert_eq!(at(&["eth0-rx-0", "eth0-rx-1"], "eth0"), Some(1));
        assert_eq!(at(&["eth0-rx-1", "eth0-rx-2"], "eth0"), Some(0));
        // The driver names its lines anew when the link comes up again under another name.
        assert_eq!(at(&["wan0-tx-0", "wan0-rx-1"], "wan0"), Some(1));
        assert_eq!(at(&["eth0-rx-0"], "eth0"), None);
    }
}
