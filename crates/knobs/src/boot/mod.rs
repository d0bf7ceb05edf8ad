//! Boot parameters.

mod idle;
mod intel_idle_max_cstate;
mod isolcpus;
mod mitigations;
mod nohz_full;
mod preempt;
mod preempt_rt;
mod processor_max_cstate;
mod rcu_nocbs;
mod skew_tick;
mod tsc;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[
    &isolcpus::KNOB,
    &nohz_full::KNOB,
    &rcu_nocbs::KNOB,
    &idle::KNOB,
    &intel_idle_max_cstate::KNOB,
    &processor_max_cstate::KNOB,
    &skew_tick::KNOB,
    &tsc::KNOB,
    &mitigations::KNOB,
    &preempt_rt::KNOB,
    &preempt::KNOB,
];
