use lowlat_settings::napi;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Nanoseconds until the next poll of the device, once a poll was the last: NAPI then keeps the packets that GRO
    /// may still merge, and with napi_defer_hard_irqs also leaves the interrupt off. 0, the default, means neither.
    /// From 6.13 on it is also per NAPI, by netlink.
    /// ## Why it matters
    /// With a program that busy-polls it keeps interrupts away (`SO_PREFER_BUSY_POLL`); without one it is pure delay.
    /// ## Cost
    /// Delay wherever nobody polls.
    /// ## Example
    /// `200000 -> 0` writes `/sys/class/net/IF/gro_flush_timeout = 0`
    "nic.gro-flush-timeout";
    kernels "3.19.."; phase 2; risk Medium; resets_link false; standing Acts;
    place napi::Device("gro_flush_timeout");
    value Value::Number(0, 1_000_000_000);
    also ["gro_flush_timeout"];
    sources [
        "Documentation/networking/napi.rst in linux 6.12: Software IRQ coalescing, IRQ mitigation",
        "net/core/dev.c in linux 6.12: napi_complete_done",
        "not confirmed: 3.19 as its first release, and 6.13 for the one per NAPI (read: present in 6.1 and 6.12, per NAPI in neither)",
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation",
    ];
    needs ["nic.napi-defer-hard-irqs", "sysctl.net.core.busy_poll", "sysctl.net.core.busy_read"];
}
