//! Why a run ended early. Whoever called the loop rolls the transaction back.

use lowlat_apply::StepError;

use crate::BenchError;

/// The loop could not go on. One line: operation, target, cause, next step.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// A signal asked to stop.
    #[error("optimize: interrupted by a signal")]
    Interrupted,
    /// The path could not be measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The route to the target changed, or an interface of the path went, while the run was on.
    #[error("optimize: {0}; run it again when the path is stable")]
    PathLost(String),
    /// The host is not known to be in the state it should be in.
    #[error(transparent)]
    Host(StepError),
}

impl From<StepError> for TuneError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Stopped => Self::Interrupted,
            other => Self::Host(other),
        }
    }
}
