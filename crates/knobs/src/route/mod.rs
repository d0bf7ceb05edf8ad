//! Metrics of routes, explained only.

pub(crate) mod quickack;
pub(crate) mod rto_min;
