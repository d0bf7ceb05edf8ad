//! The whole loop: forward, together, backward, headline.

use lowlat_apply::Session;
use lowlat_apply::writer::HostWriter;
use lowlat_model::document::StepResult;
use lowlat_model::tune::{Headline, Modes};
use lowlat_model::{Measurement, Plan};
use lowlat_sys::Sys;

use crate::progress::Schedule;
use crate::steps::Tried;
use crate::trial::Rig;
use crate::{Attach, Bench, Limits, TuneError, backward, headline, partners, steps};

/// What the loop leaves: the kept steps stand in the session.
#[derive(Debug)]
pub struct Tuned {
    /// Every try, in order.
    pub steps: Vec<StepResult>,
    /// What the whole gained.
    pub headline: Headline,
    /// The path without what was kept: the headline's first arm; `None` where nothing was kept.
    pub baseline: Option<Measurement>,
    /// The path with it, or as it stands where nothing was kept.
    pub result: Option<Measurement>,
    /// The first arm under load.
    pub loaded_baseline: Option<Measurement>,
    /// The second arm under load, or the path as it stands.
    pub loaded: Option<Measurement>,
    /// The path has two modes.
    pub modes: Option<Modes>,
}

/// What all steps of a plan do together.
#[derive(Debug, Default)]
pub struct Together {
    /// The test: all in against all out, alternated; its figures are `None` where it was not made.
    pub headline: Headline,
    /// The path without them; `None` where the judge is a command.
    pub baseline: Option<Measurement>,
    /// The path with them.
    pub result: Option<Measurement>,
    /// Why there was no test.
    pub why_not: Option<String>,
}

/// Tests all steps of a plan together, in against out. None stands before or after.
pub fn together<W: HostWriter>(
    bench: &mut dyn Bench,
    sys: &dyn Sys,
    session: &mut Session<W>,
    plan: &Plan,
    (limits, median_ns): (&Limits, Option<u64>),
    attach: Option<&Attach>,
    say: &mut dyn FnMut(&str),
) -> Result<Together, TuneError> {
    let schedule = Schedule::new(1, 0, []);
    let mut rig = Rig {
        bench,
        sys,
        session,
        limits,
        schedule,
        // The loop's tests count from 0 on: this one draws its coins from another seed.
        tests: 1 << 32,
        first_median_ns: median_ns,
        median_ns,
        said: None,
        attach,
    };
    headline::all_together(&mut rig, plan, say)
}

/// Runs the loop. `attach` is what the run's own engine resets each time it is opened and closed, for one that attaches a
/// program to the interface. On an error the caller rolls the session back; the loop leaves it as the journal says.
pub fn tune<W: HostWriter>(
    bench: &mut dyn Bench,
    sys: &dyn Sys,
    session: &mut Session<W>,
    plan: &Plan,
    (limits, median_ns): (&Limits, Option<u64>),
    attach: Option<&Attach>,
    say: &mut dyn FnMut(&str),
) -> Result<Tuned, TuneError> {
    let schedule = Schedule::new(plan.steps.len(), 0, headline::lengths(limits));
    let mut rig = Rig {
        bench,
        sys,
        session,
        limits,
        schedule,
        tests: 0,
        first_median_ns: median_ns,
        median_ns,
        said: None,
        attach,
    };
    let mut tried = Tried::new(limits.false_keep);
    steps::forward(&mut rig, plan, &mut tried, say)?;
    partners::together_where_needed(&mut rig, &mut tried, say)?;
    backward::backward(&mut rig, &mut tried, say)?;
    let proof = headline::prove(&mut rig, &mut tried, say)?;
    Ok(Tuned {
        steps: tried.results,
        headline: proof.headline,
        baseline: proof.baseline,
        result: proof.result,
        loaded_baseline: proof.loaded_baseline,
        loaded: proof.loaded,
        modes: proof.modes,
    })
}
