//! The user's own metric as the judge: a command that prints a number, a latency histogram that the application exports, or the
//! round trips of its own connections.
//!
//! One figure is one round of an A/B test. A histogram and connections are read at the begin and at the end of a round, and only
//! what came in between counts; a round in which too little came goes on until there is enough, or the time limit.

mod command;
mod connections;
mod histogram;

use lowlat_model::judge::{OwnFigure, OwnSource};
use lowlat_sys::Sys;
use lowlat_transport::clock;
use lowlat_tune::CommandJudge;

pub(crate) use command::run_through;
pub use connections::ConnectionsAsk;
pub use histogram::{HistogramAsk, quantile};
pub use lowlat_samplelog::exported::ChosenHistogram;

use crate::{Failure, signals};

/// Rounds before anything is changed: they show that it works, how long it takes, and where it starts.
const RUNS_BEFORE: u32 = 3;
/// Between two looks at what has come, where a round is too short for it; and at the flag of a signal, ns.
const LOOK_NS: u64 = 100_000_000;

/// Where the figure comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum JudgeSource {
    /// Run by `sh -c`.
    Command(String),
    /// Read from a file or a page.
    Histogram(HistogramAsk),
    /// Read from the kernel.
    Connections(ConnectionsAsk),
}

/// A judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    /// Where the figure comes from.
    pub source: JudgeSource,
    /// A larger number is better.
    pub higher_is_better: bool,
    /// A round that takes longer has failed, ns.
    pub timeout_ns: u64,
}

impl Judge {
    /// A judge that the user named, with the longest that a round may take, ns.
    pub fn new(source: JudgeSource, higher_is_better: bool, timeout_ns: u64) -> Result<Self, Failure> {
        match &source {
            JudgeSource::Command(command) if command.trim().is_empty() => {
                return Err(Failure::new("judge by a command: it is empty; give one that prints a number"));
            }
            JudgeSource::Command(command) if command.contains('\0') => {
                return Err(Failure::new("judge by a command: it holds a NUL byte; leave it out"));
            }
            JudgeSource::Histogram(HistogramAsk { round_ns, .. })
            | JudgeSource::Connections(ConnectionsAsk { round_ns, .. })
                if *round_ns > timeout_ns =>
            {
                return Err(Failure::new(format!(
                    "judge by rounds of {} s: --judge-timeout ends them after {} s; give a longer one",
                    *round_ns as f64 / 1e9,
                    timeout_ns as f64 / 1e9
                )));
            }
            _ => {}
        }
        Ok(Self { source, higher_is_better, timeout_ns })
    }

    /// The figure of one round, which begins now.
    pub fn run(&self, sys: &dyn Sys) -> Result<f64, Failure> {
        match &self.source {
            JudgeSource::Command(command) => command::run(command, self.timeout_ns),
            JudgeSource::Histogram(ask) => ask.round(self.timeout_ns),
            JudgeSource::Connections(ask) => ask.round(self.timeout_ns, sys),
        }
    }

    /// Some rounds in a row, before anything is changed.
    pub fn before(&self, sys: &dyn Sys) -> Result<OwnFigure, Failure> {
        let mut own = OwnFigure {
            source: self.kind(),
            command: self.words(),
            higher_is_better: self.higher_is_better,
            ..OwnFigure::default()
        };
        for _ in 0..RUNS_BEFORE {
            let started = clock::now();
            own.before.push(self.run(sys)?);
            own.run_ns = own.run_ns.max(clock::now().saturating_sub(started));
        }
        Ok(own)
    }

    /// The loop's judge, by what the rounds before showed.
    pub fn of_the_loop(&self, before: &OwnFigure, probed_too: bool) -> CommandJudge {
        CommandJudge {
            command: self.words(),
            higher_is_better: self.higher_is_better,
            run_ns: before.run_ns,
            probed_too,
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> OwnSource {
        match self.source {
            JudgeSource::Command(_) => OwnSource::Command,
            JudgeSource::Histogram(_) => OwnSource::Histogram,
            JudgeSource::Connections(_) => OwnSource::Connections,
        }
    }

    /// As the user named it.
    pub fn words(&self) -> String {
        match &self.source {
            JudgeSource::Command(command) => command.clone(),
            JudgeSource::Histogram(ask) => ask.words(),
            JudgeSource::Connections(ask) => ask.words(),
        }
    }
}

/// Waits until `at`, ns on the probe's clock; `false` after a signal.
fn until(at: u64) -> bool {
    loop {
        let left = at.saturating_sub(clock::now());
        if signals::stopped() {
            return false;
        }
        if left == 0 {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_nanos(left.min(LOOK_NS)));
    }
}

/// What two looks give.
enum Found {
    Figure(f64),
    /// What is still missing.
    Missing(String),
}

/// A round whose figure comes from two looks.
fn round<T>(
    (round_ns, timeout_ns): (u64, u64),
    look: &mut dyn FnMut() -> Result<T, Failure>,
    figure: &dyn Fn(&T, &T) -> Result<Found, Failure>,
    failed: &dyn Fn(&str, &str) -> Failure,
) -> Result<f64, Failure> {
    let began = clock::now();
    let first = look()?;
    let mut due = began.saturating_add(round_ns);
    loop {
        if !until(due) {
            return Err(failed("interrupted by a signal", "run it again"));
        }
        let missing = match figure(&first, &look()?)? {
            Found::Figure(figure) => return Ok(figure),
            Found::Missing(missing) => missing,
        };
        if clock::now().saturating_sub(began) >= timeout_ns {
            let limit = timeout_ns as f64 / 1e9;
            return Err(failed(
                &format!("after {limit} s {missing}"),
                "let the application run under its usual load, or give a longer --judge-timeout",
            ));
        }
        due = clock::now().saturating_add(LOOK_NS);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn judge(source: JudgeSource) -> Result<Judge, Failure> {
        Judge::new(source, false, 1_000_000_000)
    }

    #[test]
    fn what_cannot_judge_is_refused() {
        for command in ["", "  ", "a\0b"] {
            assert!(judge(JudgeSource::Command(command.to_owned())).is_err(), "{command:?}");
        }
        let ask = HistogramAsk { round_ns: 2_000_000_000, ..HistogramAsk::new("/x").unwrap() };
        let why = judge(JudgeSource::Histogram(ask)).unwrap_err().to_string();
        assert!(why.contains("rounds of 2 s") && why.contains("--judge-timeout"), "{why}");
    }

    #[test]
    fn a_round_goes_on_until_there_is_enough_or_its_time_is_over() {
        let looks = Cell::new(0u32);
        let mut look = || {
            looks.set(looks.get() + 1);
            Ok(looks.get())
        };
        let enough = |first: &u32, now: &u32| {
            Ok(if now - first >= 3 {
                Found::Figure(f64::from(*now))
            } else {
                Found::Missing(format!("only {}", now - first))
            })
        };
        let failed = |why: &str, next: &str| Failure::new(format!("judge: {why}; {next}"));
        assert_eq!(round((1_000_000, 60_000_000_000), &mut look, &enough, &failed).unwrap().to_string(), "4");
        let never = |_: &u32, _: &u32| Ok(Found::Missing("nothing came".to_owned()));
        let why = round((1_000_000, 150_000_000), &mut look, &never, &failed).unwrap_err().to_string();
        assert!(why.contains("after 0.15 s nothing came; let the application run"), "{why}");
    }
}
