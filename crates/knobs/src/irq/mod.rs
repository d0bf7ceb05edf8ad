//! Interrupts.

pub(crate) mod affinity;
pub(crate) mod irqbalance;
