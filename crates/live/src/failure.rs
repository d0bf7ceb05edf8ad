//! Exit 2: one line that says what was tried, on what, why it failed and what to do next.

use std::fmt;

/// Something that could not be done. Printed as one line; nothing is left half-changed when it is returned.
#[derive(Debug)]
pub struct Failure(String);

/// What a command returns: its exit code (0 or 1), or a failure (2).
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// From a full sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// From an error of a stage, which names operation, target and cause, and the next step.
    pub fn because(error: impl fmt::Display, next: &str) -> Self {
        Self(format!("{error}; {next}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever an error below brought along.
        let mut line = String::with_capacity(self.0.len());
        for word in self.0.split_whitespace() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        f.write_str(&line)
    }
}

macro_rules! from_display {
    ($($ty:ty),* $(,)?) => {$(
        impl From<$ty> for Failure {
            fn from(e: $ty) -> Self {
                Self(e.to_string())
            }
        }
    )*};
}

from_display!(
    lowlat_transport::EngineError,
    lowlat_apply::ApplyError,
    lowlat_sys::SysError,
    lowlat_sys::store::StoreError,
    lowlat_measure::MeasureError,
    lowlat_peers::serve::ServeError,
    lowlat_tune::TuneError,
    lowlat_collect::PathProblem,
    lowlat_collect::ApplicationProblem,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(Failure::new("open x:\n  no such file\n").to_string(), "open x: no such file");
    }
}
