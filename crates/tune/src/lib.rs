//! The tuning loop: each step proved on the live path, the whole proved again.
//!
//! ```text
//! Plan ─► forward pass ─► partners together ─► each kept step taken out once ─► headline ─► Tuned
//!            (steps)         (partners)               (backward)               (headline)
//! ```
//!
//! The loop knows no socket and no netlink: it measures through a [`Bench`] and changes the host through
//! [`lowlat_apply::Session`], so the same loop runs against a simulated path and host in its tests.
//!
//! Every claim is an A/B test of its own: rounds with and without the change, in pairs whose order a fair coin decides,
//! looked at after every pair ([`lowlat_verdict::sequential`]). Over all steps of a run the chance of keeping one that
//! does nothing is bounded, and the bound is stated.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

mod alternate;
mod backward;
mod bench;
mod engines;
mod error;
mod headline;
mod limits;
mod merge;
mod partners;
pub mod placement;
mod progress;
mod steps;
mod trial;
mod whole;

pub use alternate::{Halt, OneRound, Pairing, Switch, alternate};
pub use bench::{Bench, BenchError, LinkReport, RoundAsk, Summary};
pub use engines::{Attach, EngineTrial, LAPS, Laps, LapsAsk, engines_ns, laps, side_by_side};
pub use error::TuneError;
pub use limits::{CommandJudge, Limits, PlannedPart};
pub use progress::{RunProgress, Schedule};
pub use whole::{Together, Tuned, together, tune};
