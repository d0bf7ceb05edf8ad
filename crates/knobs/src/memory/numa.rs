use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `numactl --cpunodebind=N --membind=N`: runs a program, and allocates its memory, on the node of the device
    /// (`/sys/class/net/IF/device/numa_node`).
    /// ## Why it matters
    /// On another node, every packet and descriptor crosses the link between the sockets.
    /// ## Cost
    /// The node's cores and memory must suffice.
    /// ## Example
    /// lowlat explains it and never writes it.
    "memory.numa-placement";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program is started there: `numactl --cpunodebind=N --membind=N PROGRAM`, or `measure --cpu`";
    also ["numactl", "NUMA"];
    sources [
        "man 8 numactl (--cpunodebind, --membind)",
        "Documentation/ABI/testing/sysfs-bus-pci in linux 6.12: numa_node",
    ];
}
