//! The bus.

pub(crate) mod aspm_policy;
