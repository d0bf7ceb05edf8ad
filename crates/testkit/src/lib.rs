//! Hosts for tests: [`FakeSys`] answers the reading door from memory, [`facts::healthy`] is a host on which no rule fires.
//!
//! A rule's test then reads as the sentence it proves: a healthy host, one planted fault, exactly that finding.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod application;
pub mod facts;
mod fake;
pub mod run;

pub use fake::FakeSys;
