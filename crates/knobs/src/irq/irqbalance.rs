use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// The daemon that moves interrupts between CPUs every ten seconds.
    /// ## Why it matters
    /// It moves a pinned interrupt away, in the middle of a measurement. Tuning lists stop it; then nobody spreads the
    /// interrupts of all other devices, and after a reset of the device all its lines may land on one CPU (Amazon
    /// advises against it for ENA). Ban what must stay instead: `IRQBALANCE_BANNED_CPULIST=2-3` keeps it off the path's
    /// CPUs, `--banirq=N` leaves one line alone. CPUs of `isolcpus` and `nohz_full` it leaves out on its own, as long
    /// as no list is given: one that is given has to name them too.
    /// ## Cost
    /// A banned CPU gets no interrupts from it at all. The file that holds the options is the distribution's (Debian:
    /// `/etc/default/irqbalance`), and line numbers change when a driver reloads.
    /// ## Example
    /// lowlat explains it and never writes it.
    "irq.irqbalance";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "ban the path's CPUs (IRQBALANCE_BANNED_CPULIST) or lines (--banirq) in its own configuration; the file is not lowlat's";
    also [];
    sources [
        "man 1 irqbalance (--banirq, --interval, IRQBALANCE_BANNED_CPUS, IRQBALANCE_BANNED_CPULIST; 1.9.2)",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (we do not recommend disabling irqbalance service)",
    ];
}
