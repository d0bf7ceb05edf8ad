//! The tuning loop: each step proved on the live path, the whole proved again.
//!
//! The loop knows no socket and no netlink: it measures through a [`Bench`] and changes the host through
//! [`lowlat_apply::Session`], so the same loop runs against a simulated path and host in tests.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

mod bench;
pub mod placement;

pub use bench::{Bench, BenchError, RoundAsk};
