//! A run: the verdict, the prescribed block, and the sections after it.

mod block;
mod drawings;
mod proof;
mod sections;
mod steps;

pub(crate) use block::{block, verdict, verdict_text};
pub(crate) use drawings::percentiles;
pub(crate) use proof::placement;
pub(crate) use sections::sections;
pub(crate) use steps::worse_by;
