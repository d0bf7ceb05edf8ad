//! Private networks for the demo and the tests.
//!
//! [`netns`] joins two network namespaces by a veth link, in milliseconds; [`faults`] plants in them what real hosts
//! have; [`traffic`] is what runs beside the probe there.

pub mod faults;
pub mod netns;
mod sockopt;
pub mod traffic;
pub mod vm;
