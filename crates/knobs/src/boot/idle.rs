use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// x86: chooses the idle routine at boot. `poll` never sleeps, `halt` uses HLT alone, `nomwait` does without MWAIT.
    /// ## Why it matters
    /// On x86 cpu.dma-latency 0 does much the same without a reboot and ends with one command; where no cpuidle driver runs, as in
    /// many virtual machines, that limit is ignored and this parameter is not. The kernel's documentation says of
    /// `poll`: not recommended.
    /// ## Cost
    /// Full power on every core; SMT siblings lose speed.
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
