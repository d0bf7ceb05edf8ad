//! Memory.

mod hugepages;
mod hugepages_1g;
mod hugetlbfs;
mod ksm;
mod mlock;
mod numa;
mod thp;
mod thp_defrag;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[
    &hugepages::KNOB,
    &hugepages_1g::KNOB,
    &hugetlbfs::KNOB,
    &thp::KNOB,
    &ksm::KNOB,
    &mlock::KNOB,
    &numa::KNOB,
    &thp_defrag::KNOB,
];
