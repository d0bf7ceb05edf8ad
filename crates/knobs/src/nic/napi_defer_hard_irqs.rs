use lowlat_settings::napi;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Number of empty polls, one for each gro_flush_timeout, before NAPI switches the interrupt on again. Without that
    /// timeout it does nothing. 0 by default. From 6.13 on, each NAPI instance also has its own value, at the target
    /// `IF/napi-N`.
    /// ## Why it matters
    /// Together with gro_flush_timeout it lets a busy-polling reader run without interrupts.
    /// ## Cost
    /// Delay wherever no program polls: a packet waits for the timer instead of the interrupt.
    /// ## Example
    /// `0 -> 2` writes `/sys/class/net/IF/napi_defer_hard_irqs = 2`
    "nic.napi-defer-hard-irqs";
    kernels "5.8.."; phase 2; risk Medium; resets_link false; standing Acts;
    place napi::NapiDevice("napi_defer_hard_irqs");
    value Value::Number(0, 2_147_483_647);
    also ["napi_defer_hard_irqs"];
    sources [
        "Documentation/networking/napi.rst in linux 6.12: Software IRQ coalescing",
        "net/core/dev.c in linux 6.12: napi_complete_done",
        "not confirmed: 5.8 as its first release (read: present in 6.1)",
        "measured: set on one instance of a veth pair on 6.18; on 6.12 no instance has a value of its own",
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation",
    ];
    needs ["nic.gro-flush-timeout", "sysctl.net.core.busy_poll", "sysctl.net.core.busy_read"];
}
