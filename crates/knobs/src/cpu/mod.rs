//! Processor power and idle.

pub(crate) mod dma_latency;
pub(crate) mod energy_preference;
pub(crate) mod governor;
pub(crate) mod max_frequency;
pub(crate) mod min_frequency;
pub(crate) mod resume_latency;
pub(crate) mod smt;
pub(crate) mod workqueue_mask;
