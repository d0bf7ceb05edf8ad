//! Queue disciplines.

pub(crate) mod kind;
