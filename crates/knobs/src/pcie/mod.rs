//! The bus.

mod aspm_l1;
mod aspm_policy;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[&aspm_policy::KNOB, &aspm_l1::KNOB];
