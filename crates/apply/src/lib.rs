//! placeholder for the brief
