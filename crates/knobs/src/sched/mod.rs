//! Scheduling, explained only.

mod affinity;
mod cpuset_partition;
mod rt_priority;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&rt_priority::KNOB, &affinity::KNOB, &cpuset_partition::KNOB];
