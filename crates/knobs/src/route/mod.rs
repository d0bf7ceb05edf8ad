//! Metrics of routes.

mod quickack;
mod rto_min;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&quickack::KNOB, &rto_min::KNOB];
