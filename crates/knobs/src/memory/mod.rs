//! Memory.

pub(crate) mod hugepages;
pub(crate) mod hugetlbfs;
pub(crate) mod ksm;
pub(crate) mod mlock;
pub(crate) mod numa;
pub(crate) mod thp;
