use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Takes CPUs out of the scheduler's load balancing at boot (`domain`). A list without flags means `domain`. Any
    /// flag before the list replaces that default: `nohz,2-3` or `managed_irq,2-3` leave balancing unchanged, and
    /// `managed_irq,domain,2-3` asks for both.
    /// ## Why it matters
    /// Only tasks that are pinned to these CPUs run there. The kernel calls the parameter deprecated: an isolated
    /// cpuset partition (cgroup v2, `cpuset.cpus.partition = isolated`) does the same without a reboot and can be
    /// undone.
    /// ## Cost
    /// The CPUs are lost to everything that is not pinned.
    /// ## Example
    /// `none -> 2-3` writes `/etc/default/grub.d/90-lowlat-isolcpus.cfg`, which takes effect after `update-grub` and a
    /// reboot
    "boot.isolcpus";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("isolcpus");
    value Value::Own(|value| boot::encode("isolcpus", value));
    also ["isolcpus"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: isolcpus=",
        "kernel/sched/isolation.c in linux 6.12: housekeeping_isolcpus_setup",
        "Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpuset.cpus.partition",
    ];
}
