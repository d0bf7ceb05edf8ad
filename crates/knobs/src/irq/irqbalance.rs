use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// The daemon that moves interrupts between CPUs every ten seconds.
    /// ## Why it matters
    /// It moves a pinned interrupt away, even in the middle of a measurement. Tuning lists stop the daemon; then
    /// nothing spreads the interrupts of all other devices, and after a reset of the device all its interrupts may land
    /// on one CPU (Amazon advises against it for ENA). Configure exceptions instead: `IRQBALANCE_BANNED_CPULIST=2-3`
    /// keeps irqbalance off the path's CPUs, and `--banirq=N` excludes one interrupt. It skips the CPUs of `isolcpus`
    /// and `nohz_full` on its own, as long as no list is given; a given list has to name them too.
    /// ## Cost
    /// irqbalance moves no interrupt at all to a banned CPU. The distribution owns the file with the options (Debian:
    /// `/etc/default/irqbalance`), and interrupt numbers change when a driver reloads.
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
