//! A live run on one path of this host: engine and peer opened by name, probers placed, one measurement, an A/B test, and the
//! whole job of `optimize`.
//!
//! The crate wires the stages to the live host, as the command line wires them to files and people. It prints nothing: what
//! there is to say goes to its caller.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))] // a test may end by panic

pub mod ab;
pub mod bench;
pub mod clocks;
pub mod conditions;
mod failure;
pub mod far;
pub mod figures;
pub mod optimize;
pub mod path;
pub mod privilege;
pub mod probe;
pub mod signals;

pub use failure::{Failure, Outcome};

/// Wall clock, ns since the epoch; 0 before it.
pub fn wall_clock_ns() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|d| u64::try_from(d.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_gets_the_one_that_was_meant() {
        let said = |args: &[&str]| {
            let args = std::iter::once("lowlat").chain(args.iter().copied()).map(OsString::from).collect();
            parse(args).map(drop).map_err(|e| e.to_string()).err().unwrap_or_default()
        };
        for (args, meant) in [
            (&["mesure", "h"][..], "'measure', or see `lowlat --help`"),
            (&["measure", "h", "--duratoin", "1s"], "; write '--duration', or see `lowlat measure --help`"),
            (&["frobnicate"], "'frobnicate'; see `lowlat --help`"),
        ] {
            assert!(said(args).contains(meant), "{args:?}: {}", said(args));
        }
    }
}
