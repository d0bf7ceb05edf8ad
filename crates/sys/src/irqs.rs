//! Which interrupt lines belong to an interface.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lowlat_model::Reading;

use crate::Sys;

/// One line of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfaceIrq {
    /// Line number, good only until the driver reloads.
    pub irq: u32,
    /// Action name of `/proc/interrupts`.
    pub action: String,
    /// `msi_irqs`, `virtio-parent`, `usb-controller`, `action-name`.
    pub matched_by: &'static str,
}

/// `/proc/interrupts`, read and taken apart once for however many interfaces ask.
#[derive(Debug, Clone)]
pub struct Lines {
    text: String,
    actions: BTreeMap<u32, String>,
    /// Word of an action name → the lines that hold it: a name is looked for in few lines and not in all.
    by_word: HashMap<String, Vec<u32>>,
}

impl Lines {
    /// Reads them.
    pub fn read(sys: &dyn Sys) -> Reading<Self> {
        sys.read("/proc/interrupts").map(Self::of)
    }

    fn of(text: String) -> Self {
        let actions = actions(&text);
        let mut by_word: HashMap<String, Vec<u32>> = HashMap::new();
        for (irq, action) in &actions {
            let words: BTreeSet<&str> = action.split(|c| !is_word(c)).filter(|w| !w.is_empty()).collect();
            for word in words {
                by_word.entry(word.to_owned()).or_default().push(*irq);
            }
        }
        Self { text, actions, by_word }
    }

    /// The action names of all lines.
    pub fn actions(&self) -> &BTreeMap<u32, String> {
        &self.actions
    }

    /// The lines whose action names hold this name as a whole word.
    fn named(&self, name: &str) -> BTreeSet<u32> {
        let holds = |irq: &u32| self.actions.get(irq).is_some_and(|action| names(action, name));
        match name.split(|c| !is_word(c)).find(|w| !w.is_empty()) {
            // Where the whole name stands as a word, so does each word of it.
            Some(word) => self.by_word.get(word).into_iter().flatten().copied().filter(holds).collect(),
            None => self.actions.keys().copied().filter(holds).collect(),
        }
    }

    /// The lines of an interface, ordered by number: the position in this list is the `index` of a
    /// [`Locus::IrqAffinity`](lowlat_model::Locus::IrqAffinity) and the `N` of `IF/irq-N`.
    ///
    /// Looked for in this order, the first that gives any wins:
    /// 1. `device/msi_irqs`: a PCI device's own vectors;
    /// 2. `device/../msi_irqs`: the PCI device under a virtio one, whose actions are named `virtioN-…`
    ///    (drivers/virtio/virtio_pci_common.c, `vp_request_msix_vectors`). Above another device it is the bridge, whose
    ///    vectors are not the interface's;
    /// 3. for a USB device, which has no line of its own, those of its host controller: the controller's `msi_irqs`, a
    ///    chip named after its PCI address, or an action that names its root hub (`xhci-hcd:usb2`) or itself
    ///    (`musb-hdrc.1`);
    /// 4. the device's bus name (`virtio2`, `0000:00:03.0`) or the interface's name as a word of the action name, for
    ///    drivers on buses without MSI.
    ///
    /// Only lines with an action count: a vector that nobody has requested does not fire.
    pub fn of_interface(&self, sys: &dyn Sys, iface: &str) -> Reading<Vec<IfaceIrq>> {
        let base = format!("/sys/class/net/{iface}");
        for (dir, matched_by, names) in
            [("device/msi_irqs", "msi_irqs", ""), ("device/../msi_irqs", "virtio-parent", "virtio")]
        {
            let Reading::Value(entries) = sys.list(&format!("{base}/{dir}")) else { continue };
            let numbers: BTreeSet<u32> = entries.iter().filter_map(|e| e.parse().ok()).collect();
            let mut found = self.lines(numbers, matched_by);
            found.retain(|line| line.action.starts_with(names));
            if !found.is_empty() {
                return Reading::Value(found);
            }
        }
        let place = sys.link_target(&base).into_value().unwrap_or_default();
        if let Some((controller, hub)) = usb(&place) {
            let found = self.of_controller(sys, controller, hub);
            if !found.is_empty() {
                return Reading::Value(found);
            }
        }
        let device = sys.link_target(&format!("{base}/device")).into_value().unwrap_or_default();
        let bus = device.rsplit('/').next().unwrap_or_default();
        let mut numbers = self.named(iface);
        if !bus.is_empty() {
            numbers.extend(self.named(bus));
        }
        let found = self.lines(numbers, "action-name");
        if found.is_empty() {
            Reading::Absent(format!("{iface} has no interrupt lines"))
        } else {
            Reading::Value(found)
        }
    }

    /// Those of these lines that have an action.
    fn lines(&self, numbers: BTreeSet<u32>, matched_by: &'static str) -> Vec<IfaceIrq> {
        let line = |irq: u32| Some(IfaceIrq { irq, action: self.actions.get(&irq)?.clone(), matched_by });
        numbers.into_iter().filter_map(line).collect()
    }

    /// The lines of a USB host controller.
    fn of_controller(&self, sys: &dyn Sys, controller: &str, hub: &str) -> Vec<IfaceIrq> {
        let own = sys.list(&format!("/sys/{controller}/msi_irqs")).into_value().unwrap_or_default();
        let mut numbers: BTreeSet<u32> = own.iter().filter_map(|n| n.parse().ok()).collect();
        let address = controller.rsplit('/').next().unwrap_or_default();
        let by_chip = self.text.lines().skip(1).filter(|line| address.contains(':') && names(line, address));
        numbers.extend(by_chip.filter_map(|line| line.split_once(':')?.0.trim().parse::<u32>().ok()));
        numbers.extend(self.named(hub));
        // Of a system on a chip: `musb-hdrc.1`, `47401c00.usb` (drivers/usb/musb/musb_core.c, musb_init_controller).
        numbers.extend(self.named(address));
        self.lines(numbers, "usb-controller")
    }
}

/// The lines of one interface, as [`Lines::of_interface`] gives them.
pub fn of_interface(sys: &dyn Sys, iface: &str) -> Reading<Vec<IfaceIrq>> {
    Lines::read(sys).and_then(|lines| lines.of_interface(sys, iface))
}

/// The host controller of a USB device and its root hub: `../../devices/pci0000:00/0000:00:14.0/usb2/…` →
/// (`devices/pci0000:00/0000:00:14.0`, `usb2`).
fn usb(place: &str) -> Option<(&str, &str)> {
    let place = &place[place.find("devices/")?..];
    let mut end = 0;
    for part in place.split_inclusive('/') {
        let name = part.trim_end_matches('/');
        if name.strip_prefix("usb").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
            return Some((place[..end].trim_end_matches('/'), name));
        }
        end += part.len();
    }
    None
}

/// How often these lines fired, over all CPUs, by the text of `/proc/interrupts`; `None` where one of them is not in it, or
/// none is asked for.
pub fn fired(interrupts: &str, irqs: &[u32]) -> Option<u64> {
    let cpus = interrupts.lines().next()?.split_whitespace().count();
    let count = |irq: &u32| {
        let name = irq.to_string();
        let row = interrupts.lines().skip(1).find_map(|l| l.split_once(':').filter(|(n, _)| n.trim() == name))?.1;
        row.split_whitespace().take(cpus).map(|n| n.parse::<u64>().ok()).sum::<Option<u64>>()
    };
    if irqs.is_empty() { None } else { irqs.iter().map(count).sum() }
}

/// Line number → action name, of the lines that have one.
///
/// A line: number and colon, one count per CPU, chip, hardware number and trigger, action names. The chip may hold
/// blanks, so the action is what follows the trigger word (`…-edge`, `…-level`, `…-fasteoi`; kernel/irq/proc.c,
/// `show_interrupts`). Several actions on a shared line are separated by a comma and a blank.
pub fn actions(interrupts: &str) -> BTreeMap<u32, String> {
    let mut out = BTreeMap::new();
    let cpus = interrupts.lines().next().map_or(0, |header| header.split_whitespace().count());
    for line in interrupts.lines().skip(1) {
        let Some((number, rest)) = line.split_once(':') else { continue };
        let Ok(irq) = number.trim().parse::<u32>() else { continue };
        let words: Vec<&str> = rest.split_whitespace().skip(cpus).collect();
        let trigger = words.iter().position(|w| {
            w.ends_with("-edge") || w.ends_with("-level") || w.ends_with("-fasteoi") || matches!(*w, "Edge" | "Level")
        });
        // Chips without a trigger word: chip, hardware number, action.
        let action = words.get(trigger.map_or(2, |t| t + 1)..).unwrap_or_default().join(" ");
        if !action.is_empty() {
            out.insert(irq, action);
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a name stands in an action name as a whole word: `eth1` is not in `eth10-rx-0`.
fn names(action: &str, name: &str) -> bool {
    let mut from = 0;
    while let Some(at) = action.get(from..).and_then(|rest| rest.find(name)).map(|at| at + from) {
        let before = action[..at].chars().next_back();
        let after = action[at + name.len()..].chars().next();
        if !before.is_some_and(is_word) && !after.is_some_and(is_word) {
            return true;
        }
        from = at + name.len().max(1);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_names_of_different_drivers() {
        let text = "           CPU0       CPU1       \n \
             38:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0\n \
             24:          1          0  IO-APIC   5-edge      ACPI:Ged\n \
             30:          1          0  IO-APIC   11-fasteoi   uhci_hcd:usb1, eth0\n \
             99:          0          0  GICv3 77 Level     arch_timer\n\
             NMI:          0          0   Non-maskable interrupts\n";
        let got = actions(text);
        assert_eq!(got.get(&38).map(String::as_str), Some("virtio2-input.0"));
        assert_eq!(got.get(&30).map(String::as_str), Some("uhci_hcd:usb1, eth0"));
        assert_eq!(got.get(&99).map(String::as_str), Some("arch_timer"));
        assert_eq!(got.len(), 4);
    }

    #[test]
    fn a_usb_device_is_beneath_its_controller() {
        assert_eq!(
            usb("../../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/net/enx1"),
            Some(("devices/pci0000:00/0000:00:14.0", "usb2"))
        );
        assert_eq!(usb("../../devices/platform/soc/3f980000.usb/usb1/1-1/net/eth0").map(|u| u.1), Some("usb1"));
        assert_eq!(usb("../../devices/pci0000:3a/0000:3b:00.0/net/ens1f0"), None);
    }

    #[test]
    fn the_index_finds_what_looking_at_each_line_finds() {
        let text = "           CPU0       CPU1       \n \
             38:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      mlx5_comp0@pci:0000:03:00.0\n \
             39:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      eth1-rx-0\n \
             40:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      eth10-rx-0, eth1.7\n \
             41:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      --\n";
        let lines = Lines::of(text.to_owned());
        for name in ["eth1", "eth10", "eth1.7", "0000:03:00.0", "eth", "rx-0", "-", "--", ".", "eth1-rx"] {
            let each: BTreeSet<u32> = lines.actions.iter().filter(|(_, a)| names(a, name)).map(|(n, _)| *n).collect();
            assert_eq!(lines.named(name), each, "{name}");
        }
        assert_eq!(lines.named("eth1"), BTreeSet::from([39, 40]));
    }

    #[test]
    fn a_name_matches_whole_words_only() {
        assert!(names("eth1-rx-0", "eth1"));
        assert!(names("uhci_hcd:usb1, eth1", "eth1"));
        assert!(names("mlx5_comp0@pci:0000:03:00.0", "0000:03:00.0"));
        assert!(!names("eth10-rx-0", "eth1"));
        assert!(!names("virtio21-input.0", "virtio2"));
    }
}
