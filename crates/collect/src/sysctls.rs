//! Kernel settings under `/proc/sys`.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

crate::collector! {
    /// The kernel settings that affect latency, as the kernel prints them, without the trailing newline.
    ///
    /// Some of them are read only so that lowlat can explain them: that a setting is absent on this kernel
    /// (`tcp_delack_min` never was in mainline) is an answer too. Settings under `net.` belong to the network namespace
    /// where the kernel has made them so; the others belong to the host.
    pub SYSCTLS = "sysctls";
    reads ["/proc/sys/net/core/*", "/proc/sys/net/ipv4/*", "/proc/sys/net/ipv6/neigh/default/*", "/proc/sys/kernel/*", "/proc/sys/vm/*"];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: /proc/sys/net/core",
        "Documentation/networking/ip-sysctl.rst in linux 6.12: TCP variables, UDP variables",
        "Documentation/admin-guide/sysctl/kernel.rst in linux 6.12: numa_balancing",
        "Documentation/admin-guide/sysctl/vm.rst in linux 6.12: stat_interval, swappiness",
    ];
}

/// What is read. The first two blocks are the settings people are told to change; the rest is what rules ask about.
pub const KEYS: &[&str] = &[
    "net.ipv4.tcp_autocorking",
    "net.ipv4.tcp_delack_min",
    "net.ipv4.tcp_fastopen",
    "net.ipv4.tcp_low_latency",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.netdev_budget",
    "net.core.netdev_budget_usecs",
    "net.core.netdev_max_backlog",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "kernel.sched_rt_runtime_us",
    "kernel.numa_balancing",
    "kernel.sched_rt_period_us",
    "kernel.watchdog",
    "kernel.watchdog_cpumask",
    "kernel.timer_migration",
    "net.core.default_qdisc",
    "net.core.rps_sock_flow_entries",
    "net.core.somaxconn",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.igmp_max_memberships",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv4.tcp_limit_output_bytes",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rto_min_us",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.udp_mem",
    "net.ipv6.neigh.default.gc_thresh3",
    "vm.compact_unevictable_allowed",
    "vm.compaction_proactiveness",
    "vm.stat_interval",
    "vm.swappiness",
];

/// All of [`KEYS`].
pub(crate) fn read(sys: &dyn Sys) -> BTreeMap<String, Reading<String>> {
    KEYS.iter().map(|key| ((*key).to_owned(), sys.sysctl(key))).collect()
}
