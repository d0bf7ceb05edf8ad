//! Boot parameters.

pub(crate) mod idle;
pub(crate) mod intel_idle_max_cstate;
pub(crate) mod isolcpus;
pub(crate) mod mitigations;
pub(crate) mod nohz_full;
pub(crate) mod preempt_rt;
pub(crate) mod processor_max_cstate;
pub(crate) mod rcu_nocbs;
pub(crate) mod skew_tick;
pub(crate) mod tsc;
