//! Measuring one path: when each probe leaves, what came back, and what the host itself did meanwhile.
//!
//! ```text
//! Spec ──► Session::round ──► Samples ──► Measurement (model)
//!            │  Engine (bytes)   │
//!            │  Peer (meaning)   └─► SampleSink (the full log: `samplelog`)
//! ```
//!
//! Three laws hold here. **Nothing is censored**: a probe that was planned is counted, whether it left late, never
//! left, or never came back; lost ones rank as +∞. **Latency is counted from the plan** as well as from the send, so a
//! stall of this program shows. **The clock is the engine's**: the loop learns the time from send and receive stamps,
//! so a simulated engine can run it in no time and to the nanosecond (`testing`).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

pub mod clock;
mod error;
pub mod floor;
mod gaps;
pub mod histogram;
pub mod load;
pub mod oneway;
mod openloop;
mod paced;
mod pingpong;
pub mod placement;
mod probe;
mod probed;
mod round;
mod samples;
mod schedule;
mod sends;
mod session;
mod spec;
mod stages;
pub mod sweep;
pub mod testing;
pub mod wake;
mod window;
pub mod zerocopy;

pub use error::MeasureError;
pub use floor::self_test;
pub use histogram::Histogram;
pub use paced::{paced, plan_gap};
pub use probe::{Counts, Flags, Probe, SampleSink};
pub use round::Progress;
pub use samples::{Context, Samples};
pub use session::ProbeSession;
pub use spec::{Mode, Pattern, Spec, Warmup};
