//! Memory.

pub(crate) mod hugepages;
