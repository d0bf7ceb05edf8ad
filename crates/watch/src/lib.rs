//! From readings of live sockets to what changed and what is wrong. Pure: values in, values out, no file and no clock.
//!
//! ```text
//! readings of the sockets ─► fold ──┐
//! stamps of datagrams ─► arrivals ──┼─► WatchDocument ─► conclude (change, findings)
//! drops of the kernel ──────────────┘
//! ```
//!
//! What a document holds of the readings is enough to conclude again: `lowlat watch --from` does so on a stored one.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

mod arrivals;
mod change;
mod findings;
mod fold;
mod trigger;

pub use arrivals::{ArrivalFold, BURST_GAP_NS};
pub use change::change;
pub use findings::findings;
pub use fold::{MOST_SOCKETS, WatchFold};
pub use trigger::{Crossing, CrossingKind, RttFold, Trigger, stalls};

use lowlat_model::watch::WatchDocument;

/// Everything that follows from what was read: what grew, and what is wrong.
pub fn conclude(document: &mut WatchDocument) {
    for socket in &mut document.sockets {
        socket.change = change(&socket.first, &socket.last);
    }
    document.findings = findings(document);
}
