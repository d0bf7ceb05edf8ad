//! Kernel bypass, explained only.

pub(crate) mod vfio;
pub(crate) mod xdp;
