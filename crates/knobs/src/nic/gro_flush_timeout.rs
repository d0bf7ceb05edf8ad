use lowlat_settings::napi;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Nanoseconds from the end of polling until the kernel polls the device again. During this time, NAPI keeps the
    /// packets that GRO may still merge, and with napi_defer_hard_irqs also keeps the interrupt off. 0, the default,
    /// does neither. From 6.13 on, each NAPI instance also has its own value, at the target `IF/napi-N`.
    /// ## Why it matters
    /// With a program that busy-polls (`SO_PREFER_BUSY_POLL`), it keeps interrupts away; without one, it is pure delay.
    /// ## Cost
    /// Delay wherever no program polls.
    /// ## Example
    /// `200000 -> 0` writes `/sys/class/net/IF/gro_flush_timeout = 0`
    "nic.gro-flush-timeout";
    kernels "3.19.."; phase 2; risk Medium; resets_link false; standing Acts;
    place napi::NapiDevice("gro_flush_timeout");
    value Value::Number(0, 1_000_000_000);
    also ["gro_flush_timeout"];
    sources [
        "Documentation/networking/napi.rst in linux 6.12: Software IRQ coalescing, IRQ mitigation",
        "net/core/dev.c in linux 6.12: napi_complete_done",
        "not confirmed: 3.19 as its first release",
        "linux commit acb8d4ed5661d05f794ef2ce34fd11e699e9ca32: net: napi: Make gro_flush_timeout per-NAPI",
        "measured: set on one instance of a veth pair on 6.18; on 6.12 no instance has a value of its own",
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation",
    ];
    needs ["nic.napi-defer-hard-irqs", "sysctl.net.core.busy_poll", "sysctl.net.core.busy_read"];
}
