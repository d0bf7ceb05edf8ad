//! Queue disciplines.

mod kind;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&kind::KNOB];
