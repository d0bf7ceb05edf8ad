//! Processor power and idle.

pub(crate) mod dma_latency;
pub(crate) mod governor;
pub(crate) mod min_frequency;
pub(crate) mod resume_latency;
