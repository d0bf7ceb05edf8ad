use lowlat_settings::irq_affinity;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs that may take an interrupt of the device.
    /// ## Why it matters
    /// The interrupt on the reader's core takes time from it; on another node it fetches every packet across the link
    /// between the nodes. A program that sleeps between packets may do as well with its interrupt on its own core.
    /// ## Cost
    /// Interrupts that the kernel manages itself (as those of many NVMe and some virtio devices) refuse: EIO in 6.1,
    /// EPERM in 6.12. irqbalance moves it again unless it is told not to (irq.irqbalance).
    /// ## Example
    /// `0-3 -> 2` writes the list to the line's `smp_affinity_list`
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
