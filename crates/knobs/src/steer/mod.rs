//! Software packet steering.

mod flow_rule;
mod rfs;
mod rps;
mod xps;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&rps::KNOB, &rfs::KNOB, &xps::KNOB, &flow_rule::KNOB];
