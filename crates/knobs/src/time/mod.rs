//! Clock daemons, explained only.

mod phc2sys;
mod ptp4l;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&ptp4l::KNOB, &phc2sys::KNOB];
