//! Memory.

mod hugepages;
mod hugetlbfs;
mod ksm;
mod mlock;
mod numa;
mod thp;
mod thp_defrag;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] =
    &[&hugepages::KNOB, &hugetlbfs::KNOB, &thp::KNOB, &ksm::KNOB, &mlock::KNOB, &numa::KNOB, &thp_defrag::KNOB];
