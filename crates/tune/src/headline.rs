//! The headline: the whole kept configuration in against all of it out, alternated. What the report claims is this
//! test.

use lowlat_apply::writer::HostWriter;
use lowlat_model::plan::JudgedBy;
use lowlat_model::tune::{Headline, Modes};
use lowlat_model::verdict::{Comparison, Round, Stopped};
use lowlat_model::{Measurement, Plan};

use crate::alternate::Halt;
use crate::steps::{Kept, Tried, put_in};
use crate::trial::{Bundle, HARM, Rig, Shown, Trial, own_round, stopped};
use crate::whole::Together;
use crate::{Limits, RoundAsk, Summary, TuneError};

/// Pairs of the headline: short enough rounds that drift falls on both sides, and enough of them for an interval.
const PAIRS: u32 = 20;
/// Most of them. A lean to harm keeps the whole from being called better, and after a fixed number of pairs it would stand even
/// where chance made it: while there is one, or an effect may still be shown, the test goes on.
const MOST_PAIRS: u32 = 40;
/// Level of the headline's own test and of its intervals.
const ALPHA: f64 = 0.05;

/// The two arms of the headline, and what it shows.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub(crate) headline: Headline,
    pub(crate) baseline: Option<Measurement>,
    pub(crate) result: Option<Measurement>,
    pub(crate) loaded_baseline: Option<Measurement>,
    pub(crate) loaded: Option<Measurement>,
    pub(crate) modes: Option<Modes>,
}

/// How long the idle and the loaded test take, ns: each arm its length of ping-pong, and half of it of planned sends.
pub(crate) fn lengths(limits: &Limits) -> Vec<u64> {
    let Some(judge) = &limits.judge else {
        return vec![limits.headline_ns.saturating_mul(3); idle_and_loaded(limits)];
    };
    let whole = judge.run_ns.saturating_mul(2 * u64::from(PAIRS.min(limits.most_pairs)));
    if judge.probed_too { vec![whole, limits.headline_ns] } else { vec![whole] }
}

fn idle_and_loaded(limits: &Limits) -> usize {
    if limits.load_streams > 0 { 2 } else { 1 }
}

/// Alternates everything kept with the original state, idle and, where asked for, under load. Where nothing is kept,
/// the path is measured as it stands. Where the user's own command is the judge there is no test under load, and a path
/// that is probed too is measured once more at the end.
///
/// A whole that is shown to be worse is put back, and the results say so.
pub(crate) fn prove<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    tried: &mut Tried,
    say: &mut dyn FnMut(&str),
) -> Result<Proof, TuneError> {
    let mut proof = Proof {
        headline: Headline {
            confidence: 1.0 - ALPHA,
            false_keep_bound: Some(tried.online.bound()),
            ..Headline::default()
        },
        ..Proof::default()
    };
    if tried.kept.is_empty() {
        unchanged(rig, &mut proof, say)?;
        return Ok(proof);
    }
    say("headline: everything kept against the state before the run, alternated");
    let idle = whole(rig, tried, "headline")?;
    let modes = |is_b: bool| {
        let rounds: Vec<Round> = idle.rounds.iter().filter(|r| r.is_b == is_b).cloned().collect();
        lowlat_verdict::modes(&rounds)
    };
    proof.modes = modes(true).or_else(|| modes(false));
    if stopped(&idle.comparison) == Stopped::Worse {
        say(&format!("  the whole is worse than before the run: {}; everything is put back", idle.comparison.words));
        put_all_back(rig, tried, &idle.comparison.words)?;
        unchanged(rig, &mut proof, say)?;
        return Ok(proof);
    }
    say(&format!("  idle: {}", idle.comparison.words));
    (proof.baseline, proof.result) = arms(rig, &idle, 0);
    fill(&mut proof.headline, idle.comparison);
    if rig.limits.judge.is_some() {
        as_it_stands(rig, &mut proof)?;
        return Ok(proof);
    }
    let streams = rig.limits.load_streams;
    if streams > 0 {
        rig.bench.start_load(streams)?;
        let shown = whole(rig, tried, "headline under load");
        rig.bench.stop_load();
        let shown = shown?;
        say(&format!("  under load ({streams} streams): {}", shown.comparison.words));
        (proof.loaded_baseline, proof.loaded) = arms(rig, &shown, streams);
        proof.headline.loaded = Some(shown.comparison);
    }
    Ok(proof)
}

/// One test of everything kept; it stands again afterwards.
fn whole<W: HostWriter>(rig: &mut Rig<'_, W>, tried: &mut Tried, what: &str) -> Result<Shown, TuneError> {
    let (parts, results): (Vec<_>, Vec<_>) =
        tried.kept.drain(..).map(|Kept { step, handle, result }| ((step, handle), result)).unzip();
    let mut bundle = Bundle::standing(parts);
    let judged_by = rig.limits.whole_judged_by();
    let trial = trial_of_whole(rig, &judged_by);
    rig.schedule.begin_known(what, rig.bench.now_ns());
    let shown = rig.alternate(&mut bundle, &trial).map_err(|halt| match halt {
        Halt::Fail(error) => error,
        Halt::Refused(why) | Halt::Reset(why) => {
            crate::BenchError(format!("alternate everything kept: {why}; run it again")).into()
        }
    })?;
    put_in(rig, &mut bundle)?;
    if let Some(parts) = bundle.into_standing() {
        tried.kept =
            parts.into_iter().zip(results).map(|((step, handle), result)| Kept { step, handle, result }).collect();
    }
    Ok(shown)
}

/// All steps of a plan together, none of which stands before or after: what they do as a whole.
pub(crate) fn all_together<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    plan: &Plan,
    say: &mut dyn FnMut(&str),
) -> Result<Together, TuneError> {
    let mut bundle = Bundle::of_all(&plan.steps);
    let judged_by = rig.limits.whole_judged_by();
    let trial = trial_of_whole(rig, &judged_by);
    rig.begin("all of it", &trial);
    let why = match rig.alternate(&mut bundle, &trial) {
        Ok(shown) => {
            bundle.take_out(rig.session, rig.sys)?;
            say(&format!("  all of it: {}", shown.comparison.words));
            let (baseline, result) = arms(rig, &shown, 0);
            let mut headline = Headline { confidence: 1.0 - ALPHA, ..Headline::default() };
            fill(&mut headline, shown.comparison);
            return Ok(Together { headline, baseline, result, why_not: None });
        }
        Err(Halt::Fail(error)) => return Err(error),
        Err(Halt::Refused(why)) => why,
        Err(Halt::Reset(why)) => format!("it reset the link unexpectedly: {why}"),
    };
    rig.clear(&mut bundle)?;
    say(&format!("  all of it: not judged: {why}"));
    Ok(Together { why_not: Some(why), ..Together::default() })
}

/// Enough pairs for the figures of a report.
fn trial_of_whole<'t, W: HostWriter>(rig: &Rig<'_, W>, judged_by: &'t JudgedBy) -> Trial<'t> {
    let ping_pong_ns = rig.limits.headline_ns / u64::from(PAIRS);
    let median_ns = rig.first_median_ns;
    let ask = RoundAsk { ping_pong_ns, planned_ns: ping_pong_ns / 2, median_ns, ..RoundAsk::default() };
    // Never fewer: both arms are figures of the report and want their samples. The runs of a command are as many as the
    // user allows.
    let (least_pairs, most_pairs) = match judged_by {
        JudgedBy::Command { .. } => (PAIRS.min(rig.limits.most_pairs), MOST_PAIRS.min(rig.limits.most_pairs)),
        JudgedBy::RoundTrips | JudgedBy::Counter { .. } => (PAIRS, MOST_PAIRS),
    };
    Trial {
        judged_by,
        alpha: ALPHA,
        harm: HARM,
        least_pairs,
        most_pairs,
        ask,
        // Too few in one round, they are enough in all of an arm: the figures of the report are of them.
        too_slow: None,
        fixed: false,
    }
}

/// The path as it stands, in rounds, so that two modes show; idle and under load.
fn unchanged<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    proof: &mut Proof,
    say: &mut dyn FnMut(&str),
) -> Result<(), TuneError> {
    if rig.limits.judge.is_some() {
        say("nothing is kept");
        return as_it_stands(rig, proof);
    }
    say("nothing is kept: the path is measured as it is");
    rig.schedule.set_known(vec![rig.limits.headline_ns; idle_and_loaded(rig.limits)]);
    let idle = rounds(rig, "the path as it is")?;
    proof.modes = lowlat_verdict::modes(&idle);
    proof.result = Some(sum(rig, &idle.iter().collect::<Vec<_>>(), 0));
    let streams = rig.limits.load_streams;
    if streams > 0 {
        rig.bench.start_load(streams)?;
        let loaded = rounds(rig, "the path under load");
        rig.bench.stop_load();
        proof.loaded = Some(sum(rig, &loaded?.iter().collect::<Vec<_>>(), streams));
    }
    Ok(())
}

/// The path as it stands, where it is probed although the user's own command judges.
fn as_it_stands<W: HostWriter>(rig: &mut Rig<'_, W>, proof: &mut Proof) -> Result<(), TuneError> {
    if !rig.limits.judge.as_ref().is_some_and(|judge| judge.probed_too) {
        return Ok(());
    }
    rig.schedule.set_known(vec![rig.limits.headline_ns]);
    let idle = rounds(rig, "the path as it is")?;
    proof.modes = lowlat_verdict::modes(&idle);
    proof.result = Some(sum(rig, &idle.iter().collect::<Vec<_>>(), 0));
    Ok(())
}

fn rounds<W: HostWriter>(rig: &mut Rig<'_, W>, what: &str) -> Result<Vec<Round>, TuneError> {
    let ping_pong_ns = rig.limits.headline_ns / u64::from(PAIRS);
    let mut rounds = Vec::new();
    rig.schedule.begin_known(what, rig.bench.now_ns());
    for n in 0..PAIRS {
        rig.bench.progress(&rig.schedule.at((n, PAIRS), rig.bench.now_ns()));
        if rig.bench.stopped() {
            return Err(TuneError::Interrupted);
        }
        if let Some(why) = rig.bench.path_lost() {
            return Err(TuneError::PathLost(why));
        }
        let source_port = rig.bench.source_port()?;
        let ask = RoundAsk { ping_pong_ns, source_port, ..RoundAsk::default() };
        rounds.push(own_round(rig.bench, rig.attach, ask)?);
    }
    rig.schedule.end(rig.bench.now_ns());
    Ok(rounds)
}

/// Both arms as measurements: without, with.
fn arms<W: HostWriter>(
    rig: &mut Rig<'_, W>,
    shown: &Shown,
    streams: u32,
) -> (Option<Measurement>, Option<Measurement>) {
    let mut arm = |is_b: bool| {
        let rounds: Vec<&Round> = shown.rounds.iter().filter(|r| r.is_b == is_b).collect();
        (!rounds.is_empty()).then(|| sum(rig, &rounds, streams))
    };
    (arm(false), arm(true))
}

fn sum<W: HostWriter>(rig: &mut Rig<'_, W>, rounds: &[&Round], load_streams: u32) -> Measurement {
    let of = Summary {
        duration_ns: rig.limits.headline_ns,
        load_streams,
        words: "measured in rounds, alternated with the other arm of the test".to_owned(),
        ..Summary::default()
    };
    rig.bench.summarize(rounds, &of)
}

/// The whole is out, and every result that was kept says why it is not any more.
fn put_all_back<W: HostWriter>(rig: &mut Rig<'_, W>, tried: &mut Tried, why: &str) -> Result<(), TuneError> {
    let mut results = Vec::new();
    let parts = tried.kept.drain(..).map(|k| {
        results.push(k.result);
        (k.step, k.handle)
    });
    let mut bundle = Bundle::standing(parts.collect());
    rig.clear(&mut bundle)?;
    for at in results {
        let row = &mut tried.results[at];
        (row.kept, row.disposition) = (false, lowlat_model::tune::Disposition::TakenOut);
        row.why = Some(format!("all kept settings together were worse: {why}"));
    }
    Ok(())
}

fn fill(headline: &mut Headline, idle: Comparison) {
    let of = |q: f64| idle.quantiles.iter().find(|d| (d.q - q).abs() < 1e-9).cloned();
    if let Some(p50) = of(0.5) {
        headline.p50_change_ratio = p50.change_ratio;
        headline.p50_change_low = p50.change_low;
        headline.p50_change_high = p50.change_high;
    }
    if let Some(p99) = of(0.99) {
        headline.p99_change_ratio = p99.change_ratio;
        headline.p99_change_low = p99.change_low;
        headline.p99_change_high = p99.change_high;
    }
    headline.idle = Some(idle);
}
