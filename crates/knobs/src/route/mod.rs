//! Metrics of routes.

pub(crate) mod quickack;
pub(crate) mod rto_min;
