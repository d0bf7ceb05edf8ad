//! Scheduling, explained only.

pub(crate) mod rt_priority;
