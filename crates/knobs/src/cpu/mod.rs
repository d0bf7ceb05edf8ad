//! Processor power and idle.

mod dma_latency;
mod energy_preference;
mod governor;
mod halt_polling;
mod idle_states;
mod max_frequency;
mod min_frequency;
mod resume_latency;
mod smt;
mod uncore_frequency;
mod workqueue_mask;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[
    &dma_latency::KNOB,
    &governor::KNOB,
    &min_frequency::KNOB,
    &max_frequency::KNOB,
    &energy_preference::KNOB,
    &resume_latency::KNOB,
    &smt::KNOB,
    &workqueue_mask::KNOB,
    &uncore_frequency::KNOB,
    &idle_states::KNOB,
    &halt_polling::KNOB,
];
