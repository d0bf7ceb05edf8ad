use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// CPUs on which the kernel's unbound workqueues may run.
    /// ## Why it matters
    /// By default that is every CPU except those of `nohz_full` and `isolcpus=domain`. CPUs isolated in another way
    /// (`isolcpus=nohz`, affinities alone) get deferred kernel work, which interrupts the one task there.
    /// ## Cost
    /// All of this work runs on the remaining CPUs.
    /// ## Example
    /// `0-3 -> 0-1` writes `/sys/devices/virtual/workqueue/cpumask = 3`
    "cpu.workqueue-mask";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place host_file::HostFile("/sys/devices/virtual/workqueue/cpumask");
    value Value::Mask;
    also ["workqueue"];
    sources [
        "kernel/workqueue.c in linux 6.12: workqueue_init_early (HK_TYPE_WQ, HK_TYPE_DOMAIN)",
        "kernel/sched/isolation.c in linux 6.12: housekeeping_nohz_full_setup, housekeeping_isolcpus_setup",
    ];
}
