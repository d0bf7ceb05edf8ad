use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// A control group that owns its CPUs: `cpuset.cpus`, and `isolated` in its `cpuset.cpus.partition`, take them out
    /// of the scheduler's load balancing for all others, at any time and without a reboot.
    /// ## Why it matters
    /// It does what `isolcpus=` does, and one write undoes it; the kernel's documentation prefers it. Programs enter it
    /// through their group. 6.12 takes unbound workqueues off its CPUs too; interrupts do not move (irq.affinity).
    /// lowlat counts the CPUs of a valid isolated partition as isolated, and reports one that the kernel calls invalid.
    /// ## Cost
    /// The CPUs are lost to everything else. systemd has to own the group (`AllowedCPUs=` of a slice), or it undoes the
    /// partition. lowlat makes none: a partition takes its CPUs from every other group, and from the tasks pinned to them, in
    /// a tree that systemd writes as well. No write of lowlat's could be undone exactly.
    /// ## Example
    /// `mkdir /sys/fs/cgroup/rt; echo 2-3 > /sys/fs/cgroup/rt/cpuset.cpus;
    /// echo isolated > /sys/fs/cgroup/rt/cpuset.cpus.partition`
    "sched.cpuset-partition";
    kernels "5.17.."; phase 2; risk Medium; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a control group is its owner's; make it by systemd or by hand, and boot.isolcpus for what needs a boot parameter";
    also ["cpuset", "cpuset.cpus.partition", "cset"];
    sources [
        "Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpuset.cpus.partition",
        "not confirmed: 5.17 as the first release with isolated partitions",
    ];
}
