use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// CPUs that may take an interrupt of the device.
    /// ## Why it matters
    /// The interrupt on the reader's core takes its time; on another node it fetches every packet across the socket
    /// link.
    /// ## Cost
    /// Managed interrupts refuse (EIO; EPERM from 6.12 on), and irqbalance moves it again unless it is banned there.
    /// ## Example
    /// `0-3 -> 2` writes the list to the line's `smp_affinity_list`
    "irq.affinity";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Irq;
    value Value::List;
    words "the interrupt goes from CPU {was} to CPU {want}";
    refusal "";
    sources ["https://docs.kernel.org/core-api/irq/irq-affinity.html", "kernel/irq/proc.c (v6.12): write_irq_affinity"];
}
