//! The CPUs of the n-th interrupt of an interface: a CPU list. The line's number is looked up at each use.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::{Sys, irqs};

use crate::place::of_ifaces;
use crate::shell::{literal, quote};
use crate::{Kind, Place, Write, text};

/// An interrupt's affinity.
#[derive(Debug)]
pub struct Line;

impl Place for Line {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Irq(iface, n) = target else { return Ok(Vec::new()) };
        Ok(vec![of(iface, *n)])
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        of_ifaces(sys, iface, |iface| {
            let lines = irqs::of_interface(sys, iface).into_value().unwrap_or_default();
            (0..).zip(lines).map(|(n, _)| Target::Irq(iface.to_owned(), n)).collect()
        })
    }
    fn order(&self) -> Order {
        Order::Placement
    }
}

/// The n-th line of an interface.
pub fn of(iface: &str, index: u32) -> Locus {
    Locus::IrqAffinity { iface: iface.to_owned(), index }
}

/// A shell's command that prints the number of the n-th line of the device, as the tool counts them (`lowlat_sys::irqs`):
/// only those that are requested, of the PCI device below where the device is a virtio one, and by the interface's name
/// where there is no MSI.
pub fn number_in_shell(iface: &str, index: u32) -> String {
    format!(
        "d=/sys/class/net/{0}/device; case $(readlink \"$d\") in */virtio*) d=$d/..;; esac; \
         {{ ls \"$d/msi_irqs\" 2>/dev/null || sed -n {2} /proc/interrupts; }} | sort -n | \
         while read -r i; do grep -qs . \"/sys/kernel/irq/$i/actions\" && echo \"$i\"; done | sed -n {1}p",
        quote(iface),
        index + 1,
        // A name may hold what means something to the shell or to sed (net/core/dev.c, dev_valid_name).
        quote(&format!("s/^ *\\([0-9]*\\):.*[ ,]{}\\(,.*\\)*$/\\1/p", literal(iface)))
    )
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) index: u32,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("affinity of interrupt {} of {}", self.index, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let (iface, index) = (self.iface, self.index);
        irqs::of_interface(sys, iface).and_then(|lines| match lines.get(usize::try_from(index).unwrap_or(usize::MAX)) {
            Some(line) => sys
                .read(&format!("/proc/irq/{}/smp_affinity_list", line.irq))
                .map(|t| State::Text(text::without_newline(t))),
            None => Reading::Absent(format!("{iface} has {} interrupt lines, none at index {index}", lines.len())),
        })
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let cpus = text::plain(set)?.to_owned();
        Ok(Write::IrqAffinity { iface: self.iface.to_owned(), index: self.index, cpus })
    }
    fn undo(&self, was: &State) -> String {
        format!(
            "{} | {{ read -r i && printf '%s\\n' {} > \"/proc/irq/$i/smp_affinity_list\"; }}",
            number_in_shell(self.iface, self.index),
            quote(&was.to_string())
        )
    }
    fn same(&self, a: &State, b: &State) -> bool {
        text::same_list(a, b)
    }
    fn line(&self) -> Option<u32> {
        Some(self.index)
    }
    fn on_line(&self, index: u32) -> Option<Locus> {
        Some(of(self.iface, index))
    }
}
