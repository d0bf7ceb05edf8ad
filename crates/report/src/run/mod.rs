//! A run: the brief's block, and the sections after it.

mod block;
mod sections;

pub(crate) use block::block;
pub(crate) use sections::sections;
