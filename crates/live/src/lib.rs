//! A live run on one path of this host: engine and peer opened by name, probers placed, one measurement, an A/B test,
//! and the whole job of `optimize`; and what is left of a run on the disk ([`stored`]).
//!
//! The crate wires the stages to the live host, as the command line wires them to files and people. It prints nothing:
//! what there is to say goes to its caller.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

pub mod ab;
pub mod around;
pub mod bench;
pub mod by_hand;
pub mod bypass;
pub mod clocks;
pub mod conditions;
pub mod device;
pub mod engines;
mod failure;
pub mod far;
pub mod figures;
pub mod given;
pub mod judge;
pub mod optimize;
pub mod path;
pub mod privilege;
pub mod probe;
pub mod responder;
pub mod shape;
pub mod side;
pub mod signals;
pub mod stored;
pub mod suspend;
pub mod trace;
pub mod watch;
pub mod watched;
pub mod zerocopy;

pub use failure::{Failure, Outcome};

/// Wall clock, ns since the epoch; 0 before it.
pub fn wall_clock_ns() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|d| u64::try_from(d.as_nanos()).ok())
        .unwrap_or(0)
}
