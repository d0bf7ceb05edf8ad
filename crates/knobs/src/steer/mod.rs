//! Software packet steering.

pub(crate) mod flow_rule;
pub(crate) mod rfs;
pub(crate) mod rps;
pub(crate) mod xps;
