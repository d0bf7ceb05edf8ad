//! Traffic control: queue disciplines and filters.
//!
//! [`qdisc`] dumps, puts and deletes; [`options`] reads a kind's `TCA_OPTIONS` for people and writes them for the lab;
//! [`filter`] redirects what comes in, [`redirects`] reads where filters send packets. Options that are put back are
//! the kernel's own bytes, unread.

pub mod filter;
pub mod options;
pub mod qdisc;
pub mod redirects;
mod restore;

pub use qdisc::{Parent, QdiscMessage, TcHandle, delete, put, qdiscs};
pub use restore::{attached, restorable, why_not_restorable};
