//! Interrupts.

mod affinity;
mod irqbalance;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&affinity::KNOB, &irqbalance::KNOB];
