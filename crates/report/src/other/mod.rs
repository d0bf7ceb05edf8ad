//! The smaller documents as text: one file each.

mod check;
mod comparison;
mod facts;
mod insight;
mod measurement;
mod noise;
mod plan;
mod status;

pub use check::check;
pub(crate) use check::{findings, not_seen, severity};
pub use comparison::comparison;
pub use facts::facts;
pub use measurement::measurement;
pub use noise::noise;
pub use plan::plan;
pub use status::status;
