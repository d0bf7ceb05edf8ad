use lowlat_settings::irq_affinity;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs that may handle an interrupt of the device.
    /// ## Why it matters
    /// An interrupt on the reader's core takes CPU time from the reader; a CPU on another NUMA node fetches every
    /// packet across the link between the nodes. A program that sleeps between packets may do just as well with the
    /// interrupt on its own core.
    /// ## Cost
    /// The kernel refuses this for interrupts that it manages itself (such as those of many NVMe and some virtio
    /// devices): EIO in 6.1, EPERM in 6.12. irqbalance moves the interrupt again unless it is told not to
    /// (irq.irqbalance).
    /// ## Example
    /// `0-3 -> 2` writes the list to the interrupt's `smp_affinity_list`
    "irq.affinity";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place irq_affinity::Line;
    value Value::List;
    also ["smp_affinity", "IRQ affinity"];
    sources [
        "Documentation/core-api/irq/irq-affinity.rst in linux 6.12: SMP IRQ affinity",
        "kernel/irq/proc.c in linux 6.1, 6.12: write_irq_affinity",
        "kernel/irq/manage.c in linux 6.12: irq_can_set_affinity_usr",
        "Documentation/networking/scaling.rst in linux 6.12: RPS Configuration",
    ];
    needs ["steer.rps"];
}
