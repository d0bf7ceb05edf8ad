//! Scheduling, explained only.

pub(crate) mod affinity;
pub(crate) mod rt_priority;
