//! Private networks for the demo and the tests.
//!
//! [`netns`] joins two network namespaces by a veth link, in milliseconds; [`faults`] plants in them what real hosts
//! have; [`traffic`] is what runs along with the probe there.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

pub mod faults;
pub mod netns;
pub mod traffic;
pub mod vm;
