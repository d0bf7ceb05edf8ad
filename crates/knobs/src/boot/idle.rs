use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// x86: chooses the idle routine at boot. `poll` never sleeps, `halt` uses only HLT, `nomwait` avoids MWAIT.
    /// ## Why it matters
    /// On x86, cpu.dma-latency 0 does much the same without a reboot, and one command ends it. Where no cpuidle driver
    /// runs, as in many virtual machines, the kernel ignores that limit, but not this parameter. The kernel's
    /// documentation does not recommend `poll`.
    /// ## Cost
    /// Full power on every core; SMT siblings slow down.
    /// ## Example
    /// `none -> poll` writes `/etc/default/grub.d/90-lowlat-idle.cfg`, which takes effect after `update-grub` and a
    /// reboot
    "boot.idle";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("idle");
    value Value::Own(|value| boot::encode("idle", value));
    also ["idle=poll"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: idle=",
        "kernel/sched/idle.c in linux 6.12: cpuidle_idle_call",
        "arch/x86/kernel/process.c in linux 6.12: idle_setup",
    ];
}
