//! Kernel bypass, explained only.

mod vfio;
mod xdp;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&vfio::KNOB, &xdp::KNOB];
