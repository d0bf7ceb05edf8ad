//! Interrupts.

pub(crate) mod affinity;
