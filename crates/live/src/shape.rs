//! The shape of a flow: recorded from a capture or from a live socket, and sent as probes.
//!
//! Headers alone are looked at; what packets carry is neither kept nor written.

mod fitted;
mod record;

use std::path::Path;

use lowlat_model::FlowShape;

use crate::Failure;

pub use fitted::FittedShape;
pub use record::{SocketAsk, of_capture, of_socket};

/// A gap of at least this begins a burst where nobody asked for another, ns: as `lowlat watch` counts bursts.
pub const BURST_GAP_NS: u64 = lowlat_watch::BURST_GAP_NS;

/// A shape that was stored, checked.
pub fn load(file: &Path) -> Result<FlowShape, Failure> {
    const NEXT: &str = "give a file of `lowlat shape --out`";
    let bytes = lowlat_sys::store::read(file).map_err(|e| Failure::because(e, NEXT))?;
    let wrong = |why: String| Failure::new(format!("read the shape {}: {why}; {NEXT}", file.display()));
    let shape: FlowShape = lowlat_model::stored::read(&bytes, "shape").map_err(wrong)?;
    shape.check().map_err(wrong)?;
    Ok(shape)
}
