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
    ///
    /// A running irqbalance also takes bans on its socket (`/run/irqbalance/irqbalancePID.sock`, `settings ban irqs N M`),
    /// until it ends. The list replaces the one before, so those of `--banirq` have to be in it again. It is in force from
    /// the next look on, which places all other lines anew. Up to 1.9.3 the socket then answers nobody for another
    /// interval, and up to 1.6.0 a question for the present list (`setup`) may end it, so lowlat sends it nothing.
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
        "https://github.com/Irqbalance/irqbalance/blob/0680912fba002e419170f63a3d66ac079fa7c427/irqbalance.c (1.9.2: sock_handle, scan, sleep_approx)",
        "https://github.com/Irqbalance/irqbalance/blob/de0fe4a799c0bd62afcaf11b0ff5fc85f0b24c3e/irqbalance.c (1.9.4: scan)",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (we do not recommend disabling irqbalance service)",
    ];
}
