//! One A/B test of something that can be put in and taken out.

use lowlat_apply::writer::HostWriter;
use lowlat_apply::{Session, StepError, StepHandle};
use lowlat_model::PlannedStep;
use lowlat_model::plan::JudgedBy;
use lowlat_model::tune::Resets;
use lowlat_model::verdict::{Comparison, Round, Stopped, TooSlow};
use lowlat_sys::Sys;
use lowlat_verdict::sequential::{Coins, CountTest, FigureTest, SequentialOptions, Test};

use crate::alternate::{Halt, Pairing, alternate};
use crate::engines::AGAINST;
use crate::progress::Schedule;
use crate::{Attach, Bench, Limits, LinkReport, RoundAsk, TuneError};

/// A link that went down for a setting has this long to come up again. Copper autonegotiation takes two to three
/// seconds (IEEE 802.3 clause 28 timers and the drivers' link watch); a switch port that relearns may take longer.
pub(crate) const LINK_UP_NS: u64 = 15_000_000_000;
/// After a toggle that resets something: rounds of this length until the path is steady.
const SETTLE_ROUND_NS: u64 = 20_000_000;
/// Two neighbouring settling rounds whose medians differ by less than this share are called steady.
const STEADY_WITHIN: f64 = 0.25;
/// Most settling rounds.
const MOST_SETTLING: u32 = 100;
/// A receiver that opens its sockets anew takes a changed default only then; this long after a toggle no count counts.
const COUNT_SETTLE_NS: u64 = 250_000_000;
/// Chance that harm is shown of a change that does none: of one test, and of all tests of the backward pass together.
pub(crate) const HARM: f64 = 0.05;
/// Fewest pairs of a test: an effect of less than four pairs is one moment of the host.
const LEAST_PAIRS: u32 = 4;

/// Everything a trial works with.
pub(crate) struct Rig<'a, W: HostWriter> {
    pub(crate) bench: &'a mut dyn Bench,
    pub(crate) sys: &'a dyn Sys,
    pub(crate) session: &'a mut Session<W>,
    pub(crate) limits: &'a Limits,
    /// What is ahead, for those who wait.
    pub(crate) schedule: Schedule,
    /// Tests so far: each draws its coins from a seed of its own.
    pub(crate) tests: u64,
    /// Median of the path before the run, ns.
    pub(crate) first_median_ns: Option<u64>,
    /// Median of the path as it stands, ns: how long a round has to be, and how fast its plan.
    pub(crate) median_ns: Option<u64>,
    /// What was said last about planned sends that are left out.
    pub(crate) said: Option<TooSlow>,
    /// What opening and closing the run's own engine resets, where it attaches a program to the interface.
    pub(crate) attach: Option<&'a Attach>,
}

/// Steps that go in and out as one.
pub(crate) struct Bundle {
    parts: Vec<(PlannedStep, Option<StepHandle>)>,
    /// What the first step's writes were read back as, when it was first applied.
    pub(crate) read_back: Option<String>,
}

impl Bundle {
    /// A step that is not applied.
    pub(crate) fn new(step: PlannedStep) -> Self {
        Self { parts: vec![(step, None)], read_back: None }
    }

    /// Steps of which none is applied, in order.
    pub(crate) fn of_all(steps: &[PlannedStep]) -> Self {
        Self { parts: steps.iter().map(|s| (s.clone(), None)).collect(), read_back: None }
    }

    /// Steps that stand, in the order in which they were applied.
    pub(crate) fn standing(parts: Vec<(PlannedStep, StepHandle)>) -> Self {
        Self { parts: parts.into_iter().map(|(s, h)| (s, Some(h))).collect(), read_back: None }
    }

    /// The steps with their handles, all of them applied; `None` where one is not.
    pub(crate) fn into_standing(self) -> Option<Vec<(PlannedStep, StepHandle)>> {
        self.parts.into_iter().map(|(s, h)| Some((s, h?))).collect()
    }

    fn resets(&self) -> Resets {
        self.parts.iter().map(|(s, _)| s.resets).max().unwrap_or_default()
    }

    /// Applies what is not applied, in order. A refusal leaves the bundle out as a whole.
    pub(crate) fn put_in<W: HostWriter>(&mut self, session: &mut Session<W>, sys: &dyn Sys) -> Result<(), Halt> {
        for i in 0..self.parts.len() {
            let (step, handle) = &mut self.parts[i];
            if handle.is_some() {
                continue;
            }
            match session.apply(sys, step) {
                Ok(done) => {
                    self.read_back.get_or_insert_with(|| done.read_back_words());
                    *handle = Some(done);
                }
                Err(StepError::Refused { why }) => {
                    self.take_out(session, sys)?;
                    return Err(Halt::Refused(why));
                }
                Err(fatal) => return Err(TuneError::from(fatal).into()),
            }
        }
        Ok(())
    }

    /// Undoes what is applied, last first.
    pub(crate) fn take_out<W: HostWriter>(&mut self, session: &mut Session<W>, sys: &dyn Sys) -> Result<(), TuneError> {
        for (_, handle) in self.parts.iter_mut().rev() {
            if let Some(handle) = handle.take() {
                session.undo(sys, handle)?;
            }
        }
        Ok(())
    }
}

/// What a trial is judged by, and how.
pub(crate) struct Trial<'a> {
    pub(crate) judged_by: &'a JudgedBy,
    pub(crate) alpha: f64,
    /// Level of *worse*.
    pub(crate) harm: f64,
    pub(crate) least_pairs: u32,
    pub(crate) most_pairs: u32,
    pub(crate) ask: RoundAsk,
    /// Why the rounds hold no planned sends.
    pub(crate) too_slow: Option<TooSlow>,
    /// All pairs are run, whatever they show.
    pub(crate) fixed: bool,
}

/// What a trial showed.
pub(crate) struct Shown {
    pub(crate) comparison: Comparison,
    pub(crate) e_value: f64,
    pub(crate) took_ns: u64,
    /// The rounds, in pairs: A, B, A, B, …; none where a counter was the judge.
    pub(crate) rounds: Vec<Round>,
}

impl<W: HostWriter> Rig<'_, W> {
    /// A round of the length that the path needs, with probes on a plan after the ping-pong ones where enough of them fit;
    /// else why not. The path as it stands before the test decides, so that nothing of the test does; `slowest` is the
    /// median that one of its sides may have, ns.
    fn ask(&self, slowest: Option<u64>) -> (RoundAsk, Option<TooSlow>) {
        let ping_pong_ns = self.limits.round_for(self.median_ns);
        let planned = Limits::planned_for(ping_pong_ns, self.median_ns.map(|ns| self.bench.plan_gap_ns(ns)));
        let ask = RoundAsk {
            ping_pong_ns,
            planned_ns: planned.length_ns,
            median_ns: self.median_ns,
            timeout_ns: Some(Limits::timeout_for(slowest)),
            ..RoundAsk::default()
        };
        (ask, planned.too_slow)
    }

    /// A trial of a step at this level, against the path as it stands.
    pub(crate) fn trial<'t>(&self, judged_by: &'t JudgedBy, alpha: f64) -> Trial<'t> {
        self.trial_of(judged_by, alpha, self.median_ns)
    }

    /// A trial of a step that is kept: without it the path may be as slow as it was before the run.
    pub(crate) fn trial_of_standing<'t>(&self, judged_by: &'t JudgedBy, alpha: f64) -> Trial<'t> {
        self.trial_of(judged_by, alpha, self.first_median_ns.max(self.median_ns))
    }

    fn trial_of<'t>(&self, judged_by: &'t JudgedBy, alpha: f64, slowest: Option<u64>) -> Trial<'t> {
        let (ask, too_slow) = self.ask(slowest);
        Trial {
            judged_by,
            alpha,
            harm: HARM,
            least_pairs: LEAST_PAIRS.min(self.limits.most_pairs),
            most_pairs: self.limits.most_pairs,
            ask,
            too_slow,
            fixed: self.limits.fixed,
        }
    }

    /// Says that planned sends are left out, or are judged again, where that is news.
    pub(crate) fn say_plan(&mut self, trial: &Trial<'_>, say: &mut dyn FnMut(&str)) {
        if *trial.judged_by != JudgedBy::RoundTrips || trial.too_slow == self.said {
            return;
        }
        self.said = trial.too_slow;
        match trial.too_slow {
            Some(too_slow) => say(&format!("  {too_slow}")),
            None => say("  planned sends: judged from here on, the path is fast enough now"),
        }
    }

    /// A test of this name begins. One that is clear ends after a few pairs and one that is not takes them all, so half
    /// of them is the plan.
    pub(crate) fn begin(&mut self, what: &str, trial: &Trial<'_>) {
        let round_ns = match (trial.judged_by, &self.limits.judge) {
            (JudgedBy::Command { .. }, Some(judge)) => judge.run_ns,
            _ => trial.ask.ping_pong_ns + trial.ask.planned_ns,
        };
        let pair_ns = round_ns.saturating_mul(2);
        let pairs = u64::from(if trial.fixed { trial.most_pairs } else { trial.most_pairs.div_ceil(2) });
        self.schedule.begin_test(what, pair_ns.saturating_mul(pairs), self.bench.now_ns());
    }

    /// Tests the bundle in against out, alternated, and ends the step that was begun. The bundle is left wherever the last
    /// round had it.
    pub(crate) fn alternate(&mut self, bundle: &mut Bundle, trial: &Trial<'_>) -> Result<Shown, Halt> {
        let shown = self.test(bundle, trial);
        self.schedule.end(self.bench.now_ns());
        shown
    }

    fn test(&mut self, bundle: &mut Bundle, trial: &Trial<'_>) -> Result<Shown, Halt> {
        self.tests += 1;
        let seed = self.limits.seed.wrapping_add(self.tests) & ((1 << 53) - 1);
        let options = SequentialOptions {
            alpha: trial.alpha,
            harm: trial.harm,
            worth_ratio: self.limits.worth_ratio,
            worth_floor_ns: self.limits.worth_ns,
            least_pairs: if trial.fixed { trial.most_pairs } else { trial.least_pairs },
            most_pairs: trial.most_pairs,
            seed,
            goals: self.limits.goals.clone(),
            timeout_ns: trial.ask.timeout_ns,
            planned_too_slow: trial.too_slow,
            ..SequentialOptions::default()
        };
        let started = self.bench.now_ns();
        // What moved before this test is no doing of its toggles.
        let _ = self.bench.links();
        let mut shown = match trial.judged_by {
            JudgedBy::RoundTrips => self.by_round_trips(bundle, trial, options)?,
            JudgedBy::Counter { group, key } => self.by_counter(bundle, trial, options, (group, key))?,
            JudgedBy::Command { higher_is_better, .. } => self.by_figure(bundle, trial, options, *higher_is_better)?,
        };
        shown.took_ns = self.bench.now_ns().saturating_sub(started);
        Ok(shown)
    }

    fn by_round_trips(
        &mut self,
        bundle: &mut Bundle,
        trial: &Trial<'_>,
        options: SequentialOptions,
    ) -> Result<Shown, Halt> {
        let mut coins = Coins::new(options.seed);
        let mut test = Test::new(("without", "with"), options);
        let mut rounds = Vec::new();
        let (session, sys, attach) = (&mut *self.session, self.sys, self.attach);
        let mut counted = Counted::new(&self.schedule, trial);
        alternate(
            self.bench,
            &mut coins,
            &mut Pairing {
                switch: &mut |bench, on, changes| switch((bench, sys, probed(attach)), session, bundle, (on, changes)),
                round: &mut |bench, is_b, source_port| {
                    counted.report(bench);
                    let round = own_round(bench, attach, RoundAsk { source_port, ..trial.ask.clone() })?;
                    Ok(Round { is_b, ..round })
                },
                push: &mut |a: Round, b: Round| {
                    rounds.extend([a.clone(), b.clone()]);
                    test.push(a, b)
                },
            },
        )?;
        Ok(Shown { comparison: test.comparison(), e_value: test.e_value(), took_ns: 0, rounds })
    }

    fn by_counter(
        &mut self,
        bundle: &mut Bundle,
        trial: &Trial<'_>,
        options: SequentialOptions,
        (group, key): (&str, &str),
    ) -> Result<Shown, Halt> {
        let mut coins = Coins::new(options.seed);
        let mut test = CountTest::new(key, ("without", "with"), options);
        let (session, sys, attach) = (&mut *self.session, self.sys, self.attach);
        let mut counted = Counted::new(&self.schedule, trial);
        alternate(
            self.bench,
            &mut coins,
            &mut Pairing {
                switch: &mut |bench, on, changes| switch((bench, sys, probed(attach)), session, bundle, (on, changes)),
                round: &mut |bench, _, _| {
                    counted.report(bench);
                    bench.wait(COUNT_SETTLE_NS);
                    let before = bench.counter(group, key)?;
                    // As long as a round of both kinds of probes, also where one is left out.
                    bench.wait(trial.ask.ping_pong_ns + trial.ask.planned_ns.max(trial.ask.ping_pong_ns / 2));
                    Ok(bench.counter(group, key)?.saturating_sub(before))
                },
                push: &mut |a: u64, b: u64| test.push(a, b),
            },
        )?;
        Ok(Shown { comparison: test.comparison(), e_value: test.e_value(), took_ns: 0, rounds: Vec::new() })
    }

    /// One run of the user's command is a round.
    fn by_figure(
        &mut self,
        bundle: &mut Bundle,
        trial: &Trial<'_>,
        options: SequentialOptions,
        higher_is_better: bool,
    ) -> Result<Shown, Halt> {
        let mut coins = Coins::new(options.seed);
        let mut test = FigureTest::new(higher_is_better, ("without", "with"), options);
        let (session, sys) = (&mut *self.session, self.sys);
        let mut counted = Counted::new(&self.schedule, trial);
        alternate(
            self.bench,
            &mut coins,
            &mut Pairing {
                switch: &mut |bench, on, changes| {
                    switch((bench, sys, Settling::Figure), session, bundle, (on, changes))
                },
                round: &mut |bench, _, _| {
                    counted.report(bench);
                    Ok(figure(bench)?)
                },
                push: &mut |a: f64, b: f64| test.push(a, b),
            },
        )?;
        Ok(Shown { comparison: test.comparison(), e_value: test.e_value(), took_ns: 0, rounds: Vec::new() })
    }

    /// Puts a trial's loose ends in order: out, links up, path steady.
    pub(crate) fn clear(&mut self, bundle: &mut Bundle) -> Result<(), TuneError> {
        bundle.take_out(self.session, self.sys)?;
        self.bench.await_links(LINK_UP_NS)?;
        let settling = if self.limits.judge.is_some() { Settling::Figure } else { probed(self.attach) };
        steady(self.bench, settling)?;
        let _ = self.bench.links();
        Ok(())
    }
}

/// The rounds of a test, for its progress.
struct Counted<'a> {
    schedule: &'a Schedule,
    most_pairs: u32,
    begun: u32,
}

impl<'a> Counted<'a> {
    fn new(schedule: &'a Schedule, trial: &Trial<'_>) -> Self {
        Self { schedule, most_pairs: trial.most_pairs, begun: 0 }
    }

    /// One more round begins.
    fn report(&mut self, bench: &mut dyn Bench) {
        let pairs = (self.begun / 2, self.most_pairs);
        bench.progress(&self.schedule.at(pairs, bench.now_ns()));
        self.begun += 1;
    }
}

/// Brings the bundle in or out where it has to change, looks at what the links went through, and waits until the path
/// is steady: after a step that resets something before every round, so that both sides wait alike.
fn switch<W: HostWriter>(
    (bench, sys, settling): (&mut dyn Bench, &dyn Sys, Settling),
    session: &mut Session<W>,
    bundle: &mut Bundle,
    (on, changes): (bool, bool),
) -> Result<(), Halt> {
    let announced = bundle.resets();
    if changes {
        if on {
            bundle.put_in(session, sys)?;
        } else {
            bundle.take_out(session, sys)?;
        }
        if announced == Resets::Link {
            bench.await_links(LINK_UP_NS)?;
        }
        let LinkReport { resets, changes } = bench.links();
        if resets > announced {
            return Err(Halt::Reset(changes.join("; ")));
        }
    }
    if announced > Resets::Nothing {
        steady(bench, settling)?;
    }
    Ok(())
}

/// How a path is made steady again after something was reset.
#[derive(Clone, Copy)]
enum Settling {
    /// By short rounds of this engine; `None` for the run's own.
    Probed(Option<&'static str>),
    /// By one run of the user's command whose number counts for nothing.
    Figure,
}

/// With an engine that attaches no program: one that does would itself stir the path up each time.
fn probed(attach: Option<&Attach>) -> Settling {
    Settling::Probed(attach.map(|_| AGAINST))
}

fn steady(bench: &mut dyn Bench, settling: Settling) -> Result<(), TuneError> {
    match settling {
        Settling::Probed(engine) => settle(bench, engine),
        Settling::Figure => figure(bench).map(drop),
    }
}

/// One run of the user's command. One that a signal cut short is no failure of the command.
fn figure(bench: &mut dyn Bench) -> Result<f64, TuneError> {
    let figure = bench.figure();
    if bench.stopped() { Err(TuneError::Interrupted) } else { Ok(figure?) }
}

/// A round of the run's own engine. What its attaching announces is waited for, and is laid on no step; what came beyond that
/// ends the run.
pub(crate) fn own_round(bench: &mut dyn Bench, attach: Option<&Attach>, ask: RoundAsk) -> Result<Round, TuneError> {
    let Some(attach) = attach else { return Ok(bench.round(&ask)?) };
    let round = bench.round(&RoundAsk { settle: attach.resets > Resets::Nothing, ..ask })?;
    if attach.resets == Resets::Link {
        bench.await_links(LINK_UP_NS)?;
    }
    let LinkReport { resets, changes } = bench.links();
    if resets > attach.resets {
        let what = changes.join("; ");
        return Err(crate::BenchError(format!(
            "measure with an engine that attaches an XDP program: it reset what nothing announced: {what}; use another --engine"
        ))
        .into());
    }
    Ok(round)
}

/// Short rounds until two neighbours agree, so that what a reset stirred up is in no sample; `engine` is none for the run's
/// own.
pub(crate) fn settle(bench: &mut dyn Bench, engine: Option<&str>) -> Result<(), TuneError> {
    let engine = engine.map(str::to_owned);
    let ask = RoundAsk { engine, ping_pong_ns: SETTLE_ROUND_NS, ..RoundAsk::default() };
    let mut last: Option<u64> = None;
    for _ in 0..MOST_SETTLING {
        if bench.stopped() {
            return Err(TuneError::Interrupted);
        }
        let mut samples = bench.round(&ask)?.samples_ns;
        samples.sort_unstable();
        let median = samples.get(samples.len() / 2).copied().filter(|m| *m != lowlat_model::measurement::LOST);
        if let (Some(before), Some(now)) = (last, median) {
            let (low, high) = (before.min(now) as f64, before.max(now) as f64);
            if high <= low * (1.0 + STEADY_WITHIN) {
                return Ok(());
            }
        }
        last = median;
    }
    Err(crate::BenchError(
        "measure the path after a setting was toggled: it is not steady; look at the link and run it again".to_owned(),
    )
    .into())
}

/// Whether a test that ended so shows the change to help.
pub(crate) fn helped(stopped: Stopped) -> bool {
    stopped == Stopped::Better
}

/// Why the test of a comparison stopped.
pub(crate) fn stopped(comparison: &Comparison) -> Stopped {
    comparison.sequential.as_ref().map_or(Stopped::Exhausted, |s| s.stopped)
}
