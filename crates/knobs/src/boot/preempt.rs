use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Sets how soon a woken program takes the CPU from kernel code, on a kernel with CONFIG_PREEMPT_DYNAMIC: `none`,
    /// `voluntary` or `full`.
    /// ## Why it matters
    /// With `none`, a long system call of another program first runs to its end or to a scheduling point: hundreds of
    /// microseconds at worst. `full` limits that wait to the code that cannot be preempted. The median hardly changes.
    /// ## Cost
    /// A little throughput.
    /// ## Example
    /// `preempt=full` on the kernel's command line; `/sys/kernel/debug/sched/preempt` changes it while it runs.
    "boot.preempt";
    kernels "5.12.."; phase 2; risk Reboot; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a boot parameter that lowlat does not write yet; `uname -v` and the parameter show the mode";
    also ["preempt=", "PREEMPT_DYNAMIC"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: preempt=",
        "kernel/sched/core.c in linux 6.12: sched_dynamic_update",
        "not confirmed: 5.12 as its first release",
    ];
}
