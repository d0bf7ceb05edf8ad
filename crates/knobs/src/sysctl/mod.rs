//! Kernel parameters under `/proc/sys`.

mod busy_poll;
mod busy_read;
mod compact_unevictable_allowed;
mod compaction_proactiveness;
mod default_qdisc;
mod igmp_max_memberships;
mod netdev_budget;
mod netdev_budget_usecs;
mod netdev_max_backlog;
mod numa_balancing;
mod rmem_default;
mod rmem_max;
mod rps_sock_flow_entries;
mod sched_rt_runtime_us;
mod somaxconn;
mod stat_interval;
mod swappiness;
mod tcp_autocorking;
mod tcp_delack_min;
mod tcp_fastopen;
mod tcp_limit_output_bytes;
mod tcp_low_latency;
mod tcp_notsent_lowat;
mod tcp_rmem;
mod tcp_rto_min_us;
mod tcp_sack;
mod tcp_slow_start_after_idle;
mod tcp_timestamps;
mod tcp_window_scaling;
mod tcp_wmem;
mod timer_migration;
mod watchdog_cpumask;
mod wmem_default;
mod wmem_max;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[
    &tcp_low_latency::KNOB,
    &tcp_fastopen::KNOB,
    &tcp_timestamps::KNOB,
    &tcp_sack::KNOB,
    &tcp_window_scaling::KNOB,
    &tcp_delack_min::KNOB,
    &tcp_autocorking::KNOB,
    &tcp_rmem::KNOB,
    &tcp_wmem::KNOB,
    &tcp_slow_start_after_idle::KNOB,
    &tcp_notsent_lowat::KNOB,
    &tcp_limit_output_bytes::KNOB,
    &tcp_rto_min_us::KNOB,
    &rmem_max::KNOB,
    &wmem_max::KNOB,
    &rmem_default::KNOB,
    &wmem_default::KNOB,
    &netdev_max_backlog::KNOB,
    &netdev_budget::KNOB,
    &netdev_budget_usecs::KNOB,
    &busy_poll::KNOB,
    &busy_read::KNOB,
    &default_qdisc::KNOB,
    &rps_sock_flow_entries::KNOB,
    &somaxconn::KNOB,
    &sched_rt_runtime_us::KNOB,
    &numa_balancing::KNOB,
    &timer_migration::KNOB,
    &watchdog_cpumask::KNOB,
    &stat_interval::KNOB,
    &swappiness::KNOB,
    &compaction_proactiveness::KNOB,
    &compact_unevictable_allowed::KNOB,
    &igmp_max_memberships::KNOB,
];
