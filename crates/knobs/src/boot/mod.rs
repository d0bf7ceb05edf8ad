//! Boot parameters.

pub(crate) mod idle;
pub(crate) mod isolcpus;
pub(crate) mod nohz_full;
pub(crate) mod rcu_nocbs;
