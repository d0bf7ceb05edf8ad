//! Packets that were captured or seen at a socket to the shape of one flow: sizes and gaps. Pure: bytes in, values out.
//!
//! ```text
//! bytes of a file ─► capture ─► packet (headers alone) ──┐
//! datagrams of a packet socket ──────────────────────────┴─► flows ─► packets of a FlowShape
//! ```
//!
//! What a packet carries is stepped over and never kept.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

pub mod capture;
mod flows;
mod packet;

pub use flows::{FlowKey, Flows, LargestFlow, ShapedFlow, shaped};
pub use packet::{FlowEnd, Segment, segment};
