//! Kernel parameters under `/proc/sys`.

pub(crate) mod busy_poll;
pub(crate) mod busy_read;
pub(crate) mod netdev_budget;
pub(crate) mod netdev_budget_usecs;
pub(crate) mod netdev_max_backlog;
pub(crate) mod numa_balancing;
pub(crate) mod rmem_default;
pub(crate) mod rmem_max;
pub(crate) mod sched_rt_runtime_us;
pub(crate) mod tcp_autocorking;
pub(crate) mod tcp_delack_min;
pub(crate) mod tcp_fastopen;
pub(crate) mod tcp_limit_output_bytes;
pub(crate) mod tcp_low_latency;
pub(crate) mod tcp_notsent_lowat;
pub(crate) mod tcp_rmem;
pub(crate) mod tcp_sack;
pub(crate) mod tcp_slow_start_after_idle;
pub(crate) mod tcp_timestamps;
pub(crate) mod tcp_window_scaling;
pub(crate) mod tcp_wmem;
pub(crate) mod wmem_default;
pub(crate) mod wmem_max;
