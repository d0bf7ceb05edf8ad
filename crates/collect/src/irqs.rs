//! Interrupt lines of the interfaces.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::facts::Irq;
use lowlat_sys::Sys;
use lowlat_sys::irqs::{IfaceIrq, Lines, of_interface};

use crate::text::cpu_list;

crate::collector! {
    /// The interrupt lines of each interface, the CPUs on which each may fire, and those on which it does.
    ///
    /// Searching `/proc/interrupts` for the interface's name misses drivers that name their lines by PCI address
    /// (`mlx5_comp0@pci:0000:3b:00.0`) or by virtio device (`virtio2-input.0`). So the lines are taken from the PCI
    /// device's `msi_irqs`, which for virtio is one level above the interface's device, and only otherwise from the
    /// names. A USB device has no lines of its own: the lines of its host controller serve it, and everything else
    /// attached there. `matched_by` says how the lines were found.
    ///
    /// Plans and undo name a line by its position among the interface's lines, in the order of their numbers, because
    /// the numbers change when a driver reloads.
    pub IRQS = "irqs";
    reads [
        "/proc/interrupts",
        "/proc/irq/*/smp_affinity_list",
        "/proc/irq/*/effective_affinity_list",
        "/sys/class/net/*/device/msi_irqs",
        "/sys/devices/**/msi_irqs",
    ];
    sources [
        "Documentation/core-api/irq/irq-affinity.rst in linux 6.12: SMP IRQ affinity",
        "Documentation/ABI/testing/sysfs-bus-pci in linux 6.12: msi_irqs",
        "kernel/irq/proc.c in linux 6.12: show_interrupts",
    ];
}

/// The lines of all `interfaces`, by interface and number, and the action names of all lines. An interface without lines
/// has none; an interrupt table that cannot be read is the answer for all.
pub(crate) fn read<'a>(
    sys: &dyn Sys,
    interfaces: impl Iterator<Item = &'a str>,
) -> (Reading<Vec<Irq>>, Reading<BTreeMap<u32, String>>) {
    let lines = Lines::read(sys);
    let of = |lines: &Lines, iface: &str| irqs(sys, iface, lines.of_interface(sys, iface)).into_value();
    let irqs = lines.as_ref().map(|lines| interfaces.filter_map(|iface| of(lines, iface)).flatten().collect());
    (irqs, lines.map(|lines| lines.actions().clone()))
}

/// The lines of one interface.
pub(crate) fn of(sys: &dyn Sys, iface: &str) -> Reading<Vec<Irq>> {
    irqs(sys, iface, of_interface(sys, iface))
}

fn irqs(sys: &dyn Sys, iface: &str, lines: Reading<Vec<IfaceIrq>>) -> Reading<Vec<Irq>> {
    lines.map(|lines| (0u32..).zip(lines).map(|(index, line)| irq(sys, iface, index, line)).collect())
}

fn irq(sys: &dyn Sys, iface: &str, index: u32, line: IfaceIrq) -> Irq {
    let list = |file: &str| sys.read(&format!("/proc/irq/{}/{file}", line.irq)).and_then(|t| cpu_list(&t));
    Irq {
        irq: line.irq,
        iface: iface.to_owned(),
        index,
        affinity: list("smp_affinity_list"),
        effective: list("effective_affinity_list"),
        matched_by: line.matched_by.to_owned(),
        action: line.action,
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    const VIRTIO: &str = "           CPU0       CPU1       
 28:          0          0 PCI-MSIX-0000:00:01.0   0-edge      virtio0-config
 37:          0          0 PCI-MSIX-0000:00:03.0   0-edge      virtio2-config
 38:          0       2185 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0
 39:       1346          0 PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0
LOC:      42236      39607   Local timer interrupts
";

    #[test]
    fn virtio_lines_are_found_one_level_up() {
        let above = "/sys/class/net/eth0/device/../msi_irqs";
        let sys = FakeSys::new()
            .file("/proc/interrupts", VIRTIO)
            .file(&format!("{above}/37"), "msix\n")
            .file(&format!("{above}/38"), "msix\n")
            .file(&format!("{above}/39"), "msix\n")
            .file("/proc/irq/38/smp_affinity_list", "0-1\n")
            .file("/proc/irq/38/effective_affinity_list", "1\n");
        let irqs = read(&sys, ["lo", "eth0"].into_iter()).0.into_value().unwrap();
        assert_eq!(irqs.iter().map(|i| (i.irq, i.index)).collect::<Vec<_>>(), [(37, 0), (38, 1), (39, 2)]);
        assert_eq!((irqs[1].action.as_str(), irqs[1].matched_by.as_str()), ("virtio2-input.0", "virtio-parent"));
        assert_eq!(irqs[1].affinity, Reading::Value(vec![0, 1]));
        assert_eq!(irqs[1].effective, Reading::Value(vec![1]));
        assert!(matches!(irqs[0].effective, Reading::Absent(_)));
    }

    #[test]
    fn an_interrupt_table_that_may_not_be_read_is_not_a_host_without_interrupts() {
        let sys = FakeSys::new().denied("/proc/interrupts");
        assert!(matches!(read(&sys, ["eth0"].into_iter()), (Reading::Denied(_), Reading::Denied(_))));
    }
}
