//! Whether kernel bypass is worth it on a path, by recorded rounds of engines: pure, so the same rounds give the same
//! verdict.
//!
//! **Against what.** The kernel's best: of the engines without bypass, that with the lowest median. It is chosen by the
//! same rounds that it is then judged by, which makes it look a little better than it is, and so errs against bypass.
//!
//! **The rule** ([`RULE`]). *Go*: the test of `compare` calls the bypass engine better (so neither its tail nor its losses
//! lean to harm), and of its median's gain the interval lies beyond what is worth having; and where there are goals, it
//! meets them and the kernel's best misses one. *No-go*: the gain is shown to be smaller than that, the engine is shown to
//! be worse, the kernel's best meets the goals, or bypass misses them too. Everything else is *not decided*: no bypass
//! engine ran, the sample is too small, or the time is spent elsewhere: where the CPU time of a message is a smaller part
//! of the median than what is worth having, no engine at this end could gain as much, whatever the NIC can do.
//!
//! The level of the test is shared by the bypass engines, so that the chance of a go without an effect is at most 5 % for
//! all of them together.

use lowlat_model::bypass_verdict::{BypassRounds, BypassVerdict, EngineRounds, EngineVerdict, Extent};
use lowlat_model::engine::EngineCost;
use lowlat_model::goal::all_met;
use lowlat_model::measurement::LOST;
use lowlat_model::verdict::{Comparison, QuantileDifference, Round};
use lowlat_model::{GoalResult, Quantiles, Schema, Verdict, units};

use crate::quantiles;
use crate::sequential::{SequentialOptions, Test};

/// The rule, as text.
pub const RULE: &str = "go where a bypass engine is shown to be better than the kernel's best, its median's gain beyond what is \
     worth having with its whole interval, and, with goals, it meets them and the kernel's best does not; no-go where the \
     gain is shown to be smaller or the goals need no bypass; else not decided";

/// Level of all tests of a verdict together.
const ALPHA: f64 = 0.05;
/// The engine that sleeps: its CPU time is what the host works on a message, and not what it waits.
const SLEEPS: &str = "block";

/// The test of one engine's rounds against another's, lap by lap; the first names are those of A and B. All laps count.
pub fn against(names: (&str, &str), a: &[Round], b: &[Round], options: &SequentialOptions) -> Comparison {
    let laps = u32::try_from(a.len().min(b.len())).unwrap_or(u32::MAX);
    let options = SequentialOptions { least_pairs: laps, most_pairs: laps, ..options.clone() };
    let mut test = Test::new(names, options);
    for (a, b) in a.iter().zip(b) {
        test.push(Round { is_b: false, ..a.clone() }, Round { is_b: true, ..b.clone() });
    }
    test.comparison()
}

/// The verdict that rounds give.
pub fn verdict(recorded: &BypassRounds) -> BypassVerdict {
    let mut engines: Vec<EngineVerdict> = recorded.engines.iter().map(|e| figures(e, recorded)).collect();
    let reference = best(&engines);
    let candidates = candidates(&engines);
    let options = SequentialOptions {
        alpha: ALPHA / candidates.len().max(1) as f64,
        seed: recorded.seed,
        ..SequentialOptions::default()
    };
    let sleeps = engines.iter().position(|e| e.engine == SLEEPS && measured(e));
    let ran: Vec<bool> = engines.iter().map(measured).collect();
    let cpu_ns = reference.and_then(|r| EngineCost::of(&recorded.engines[r].rounds).cpu_ns_per_message);
    for (i, engine) in engines.iter_mut().enumerate() {
        let test = |a: usize| {
            let names = (recorded.engines[a].name(), recorded.engines[i].name());
            let (a, b) = (&recorded.engines[a].rounds, &recorded.engines[i].rounds);
            against((&names.0, &names.1), a, b, &options)
        };
        let of = |a: Option<usize>| a.filter(|a| *a != i && ran[i]).map(test);
        set_against(engine, of(reference), of(sleeps), cpu_ns);
    }
    let decided = decide(&engines, reference, &candidates, recorded.worth_ratio);
    let warnings = warnings(&engines, recorded);
    BypassVerdict {
        schema: Schema::current("bypass-verdict"),
        run: recorded.run.clone(),
        started_unix_ns: recorded.started_unix_ns,
        iface: recorded.iface.clone(),
        driver: recorded.driver.clone(),
        kernel: recorded.kernel.clone(),
        target: recorded.target.clone(),
        proto: recorded.proto.clone(),
        size_bytes: recorded.size_bytes,
        go: decided.go,
        why: decided.why,
        rule: RULE.to_owned(),
        reference: reference.map(|r| engines[r].name()),
        candidate: decided.candidate.map(|c| engines[c].name()),
        worth_ratio: recorded.worth_ratio,
        laps: recorded.engines.iter().map(|e| e.rounds.len()).max().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        seed: recorded.seed,
        engines,
        placement: recorded.placement.clone(),
        warnings,
    }
}

/// What decides, and for which engine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decided {
    go: Option<bool>,
    why: String,
    candidate: Option<usize>,
}

fn measured(e: &EngineVerdict) -> bool {
    e.why_not.is_none() && e.p50_ns.is_some()
}

/// The engine without bypass that has the lowest median.
fn best(engines: &[EngineVerdict]) -> Option<usize> {
    let kernel = |i: &usize| engines[*i].bypass == Extent::None && !engines[*i].control && measured(&engines[*i]);
    (0..engines.len()).filter(kernel).min_by_key(|i| engines[*i].p50_ns)
}

/// What is judged: the bypass engines that ran; where none is named, the controls, which show how the test answers where
/// there is no difference.
fn candidates(engines: &[EngineVerdict]) -> Vec<usize> {
    let all = |f: &dyn Fn(&EngineVerdict) -> bool| (0..engines.len()).filter(|i| f(&engines[*i])).collect::<Vec<_>>();
    if engines.iter().any(|e| e.bypass != Extent::None && !e.control) {
        return all(&|e| e.bypass != Extent::None && !e.control && measured(e));
    }
    all(&|e| e.control && measured(e))
}

/// An engine's own figures.
fn figures(e: &EngineRounds, recorded: &BypassRounds) -> EngineVerdict {
    let unmeasured = EngineVerdict {
        engine: e.engine.clone(),
        control: e.control,
        bypass: e.bypass,
        why_not: e.why_not.clone(),
        loses: e.loses.clone(),
        costs: e.costs.clone(),
        ..EngineVerdict::default()
    };
    if e.why_not.is_some() {
        return unmeasured;
    }
    let samples: Vec<u64> = e.rounds.iter().flat_map(|r| r.samples_ns.iter().copied()).collect();
    let lost = samples.iter().filter(|ns| **ns == LOST).count();
    let figures: Quantiles = quantiles(&samples);
    let rounded = |r: f64| if r.is_finite() { Some((r * 1000.0).round() / 1000.0) } else { None };
    let cost = EngineCost::of(&e.rounds);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
    let cpu_ns = cost.cpu_ns_per_message.map(|ns| ns.round() as u64);
    EngineVerdict {
        p50_ns: figures.p50_ns,
        p99_ns: figures.p99_ns,
        p999_ns: figures.p999_ns,
        loss_ratio: (!samples.is_empty()).then(|| lost as f64 / samples.len() as f64),
        cpu_ns_per_message: cpu_ns,
        cores_busy: cost.cpu_ratio.and_then(rounded),
        syscalls_per_message: cost.syscalls_per_message.and_then(rounded),
        interrupts_per_message: cost.interrupts_per_message.and_then(rounded),
        sleeps_per_message: cost.sleeps_per_message.and_then(rounded),
        not_counted: cost.not_counted,
        goals: recorded.goals.iter().map(|g| GoalResult::judge(*g, Some(&figures))).collect(),
        ..unmeasured
    }
}

fn set_against(e: &mut EngineVerdict, best: Option<Comparison>, block: Option<Comparison>, cpu_ns: Option<f64>) {
    if let Some(p50) = best.as_ref().and_then(|c| c.quantiles.first()) {
        (e.p50_change_ratio, e.p50_change_low, e.p50_change_high) = (p50.change_ratio, p50.change_low, p50.change_high);
    }
    if let Some(p99) = best.as_ref().and_then(|c| c.quantiles.iter().find(|d| is_p99(d))) {
        (e.p99_change_ratio, e.p99_change_low, e.p99_change_high) = (p99.change_ratio, p99.change_low, p99.change_high);
    }
    e.cpu_ratio = e
        .cpu_ns_per_message
        .zip(cpu_ns.filter(|ns| *ns > 0.0))
        .map(|(own, of)| (own as f64 / of * 1000.0).round() / 1000.0);
    (e.against_best, e.against_block) = (best, block);
}

fn is_p99(d: &QuantileDifference) -> bool {
    (d.q - 0.99).abs() < 1e-9
}

fn decide(engines: &[EngineVerdict], reference: Option<usize>, candidates: &[usize], worth: f64) -> Decided {
    let open = |why: String| Decided { go: None, why, candidate: None };
    let Some(reference) = reference else {
        return open("no engine without bypass was measured, so there is nothing to compare with".to_owned());
    };
    if candidates.is_empty() {
        let why: Vec<String> = engines
            .iter()
            .filter(|e| e.bypass != Extent::None && !e.control)
            .map(|e| format!("{}: {}", e.engine, e.why_not.as_deref().unwrap_or("too few probes were answered")))
            .collect();
        let why = if why.is_empty() { "none was asked for".to_owned() } else { why.join("; ") };
        return open(format!("no bypass engine was measured ({why})"));
    }
    let share = share_of_this_end(engines, reference);
    let mut all: Vec<Decided> = candidates
        .iter()
        .map(|&c| {
            let (go, why) = one(&engines[c], &engines[reference], worth, share);
            Decided { go, why, candidate: Some(c) }
        })
        .collect();
    let rank = |d: &Decided| match d.go {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    };
    all.sort_by_key(|d| (rank(d), d.candidate.and_then(|c| engines[c].p50_ns)));
    all.swap_remove(0)
}

/// The part of the kernel's median in which this host works on a message, at most: an engine here can gain no more.
fn share_of_this_end(engines: &[EngineVerdict], reference: usize) -> Option<f64> {
    let work = engines.iter().find(|e| e.engine == SLEEPS && measured(e))?.cpu_ns_per_message?;
    Some(work as f64 / engines[reference].p50_ns? as f64)
}

/// One bypass engine against the kernel's best.
fn one(e: &EngineVerdict, best: &EngineVerdict, worth: f64, share: Option<f64>) -> (Option<bool>, String) {
    let (name, kernel) = (e.name(), best.name());
    let (Some(test), Some(low), Some(high)) = (&e.against_best, e.p50_change_low, e.p50_change_high) else {
        return (None, format!("{name}: too few probes for an interval of the median; give a longer --duration"));
    };
    let gain = format!("{name}: P50 {} against {kernel}", interval(e.p50_change_ratio.unwrap_or(low), low, high));
    let least = percent(worth);
    if !e.goals.is_empty() {
        let (own, of_best) = (all_met(&e.goals), all_met(&best.goals));
        match (own, of_best) {
            (_, Some(true)) => return (Some(false), format!("{kernel} meets the goal without bypass; {gain}")),
            (Some(false), _) => return (Some(false), format!("{name} misses the goal too; {gain}")),
            (None, _) | (_, None) => {
                return (None, format!("the goal cannot be judged, too few probes; give a longer --duration; {gain}"));
            }
            (Some(true), Some(false)) => {}
        }
    }
    if test.verdict == Verdict::Worse {
        return (Some(false), format!("{name} is {}", test.words));
    }
    if high <= -worth && test.verdict == Verdict::Better {
        let goal = if e.goals.is_empty() { "" } else { "; it meets the goal, the kernel's best does not" };
        return (Some(true), format!("{gain}, at least {least} % with the whole interval{goal}"));
    }
    if low > -worth {
        if let Some(share) = share.filter(|share| *share < worth) {
            let elsewhere = percent(1.0 - share);
            return (
                None,
                format!(
                    "{elsewhere} % of the median is spent on the path and at the far end, where no engine of this host \
                     acts; measure against a nearer far end to judge this NIC; {gain}"
                ),
            );
        }
        return (Some(false), format!("{gain}: the gain is smaller than {least} %"));
    }
    if high <= -worth {
        return (None, format!("{gain}, but {}", test.words));
    }
    (None, format!("{gain}: the interval reaches to both sides of {least} %; give a longer --duration"))
}

/// `−59.0 % [−60.5, −57.8]`.
fn interval(ratio: f64, low: f64, high: f64) -> String {
    let signed = |r: f64| units::minus(&format!("{:+.1}", r * 100.0));
    format!("{} % [{}, {}]", signed(ratio), signed(low), signed(high))
}

/// `20`, `0.5`.
fn percent(ratio: f64) -> String {
    format!("{}", (ratio * 1000.0).round() / 10.0)
}

fn warnings(engines: &[EngineVerdict], recorded: &BypassRounds) -> Vec<String> {
    let mut out = Vec::new();
    for e in engines.iter().filter(|e| e.control) {
        // It is the same engine: what the test shows of it is chance, or something on this host.
        let twin = engines.iter().position(|t| t.engine == e.engine && !t.control);
        let own = recorded.engines.iter().position(|r| r.engine == e.engine && r.control);
        let (Some(twin), Some(own)) = (twin.filter(|t| measured(&engines[*t]) && measured(e)), own) else { continue };
        let options = SequentialOptions { seed: recorded.seed, ..SequentialOptions::default() };
        let name = e.name();
        let (a, b) = (&recorded.engines[twin].rounds, &recorded.engines[own].rounds);
        let test = against((&e.engine, &name), a, b, &options);
        if matches!(test.verdict, Verdict::Better | Verdict::Worse) {
            out.push(format!("the control differs from its own engine ({}): trust no figure of this run", test.words));
        }
    }
    // Alike for most of them: each once.
    let mut lacking: Vec<String> = Vec::new();
    for of in engines.iter().flat_map(|e| &e.not_counted) {
        let line = format!("{}: not counted: {}", of.fact, of.why);
        if !lacking.contains(&line) {
            lacking.push(line);
        }
    }
    out.extend(lacking);
    let few = |e: &&EngineVerdict| measured(e) && e.p999_ns.is_none() && e.loss_ratio.is_some_and(|l| l < 0.001);
    if let Some(e) = engines.iter().find(few) {
        out.push(format!("P99.9 of {} needs 10000 probes; give a longer --duration", e.name()));
    }
    out
}

#[cfg(test)]
mod tests {
    use lowlat_model::engine::RoundCost;

    use super::*;
    use crate::Random;

    const WORK_NS: u64 = 4_000;

    /// Rounds of probes around a median that varies from round to round by 3 %, with a tail.
    fn rounds(random: &mut Random, laps: usize, median_ns: f64, cpu_ns: u64) -> Vec<Round> {
        (0..laps).map(|_| round(random, 0.03, median_ns, cpu_ns, 1_200)).collect()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
    fn round(random: &mut Random, noise: f64, median_ns: f64, cpu_ns: u64, probes: u64) -> Round {
        let level = median_ns * (noise * random.normal()).exp();
        let mut sample = || {
            let stalled = if random.unit() < 0.02 { 3.0 * level * random.unit() } else { 0.0 };
            (level * (0.9 + 0.2 * random.unit()) + stalled) as u64
        };
        let samples_ns = (0..probes).map(|_| sample()).collect();
        let cost = RoundCost {
            messages: probes,
            wall_ns: probes * median_ns as u64,
            cpu_ns: Some(probes * cpu_ns),
            system_calls: Some(2 * probes),
            sleeps: Some(probes),
            net_rx: None,
            interrupts: None,
        };
        Round { samples_ns, cost, ..Round::default() }
    }

    fn engine(name: &str, bypass: Extent, rounds: Vec<Round>) -> EngineRounds {
        EngineRounds { engine: name.to_owned(), bypass, rounds, ..EngineRounds::default() }
    }

    /// Block at 12 µs, spin at 10 µs, and a bypass engine.
    fn recorded(seed: u64, laps: usize, xdp_ns: f64) -> BypassRounds {
        let mut random = Random::new(seed);
        let r = &mut random;
        BypassRounds {
            seed,
            worth_ratio: 0.2,
            engines: vec![
                engine("block", Extent::None, rounds(r, laps, 12_000.0, WORK_NS)),
                engine("spin", Extent::None, rounds(r, laps, 10_000.0, 10_000)),
                engine("af-xdp", Extent::Partial, rounds(r, laps, xdp_ns, 5_000)),
            ],
            ..BypassRounds::default()
        }
    }

    #[test]
    fn a_gain_beyond_what_is_worth_having_is_a_go_and_figures_are_whole() {
        let out = verdict(&recorded(1, 20, 5_000.0));
        assert_eq!(
            (out.go, out.reference.as_deref(), out.candidate.as_deref()),
            (Some(true), Some("spin"), Some("af-xdp"))
        );
        assert!(out.why.starts_with("af-xdp: P50 −") && out.why.contains("at least 20 %"), "{}", out.why);
        let [block, spin, xdp] = out.engines.as_slice() else { panic!() };
        assert!(xdp.p50_change_high.unwrap() < -0.4 && spin.p50_change_ratio.is_none() && spin.against_block.is_some());
        assert_eq!((xdp.cpu_ratio, spin.cpu_ratio), (Some(0.5), Some(1.0)));
        assert_eq!((block.syscalls_per_message, block.interrupts_per_message), (Some(2.0), None));
        assert_eq!((spin.cores_busy, block.cpu_ns_per_message), (Some(1.0), Some(WORK_NS)));
        assert!(block.p999_ns.is_some());
    }

    #[test]
    fn the_same_rounds_give_the_same_verdict_also_from_a_file() {
        let rounds = recorded(2, 16, 7_500.0);
        let stored: BypassRounds = serde_json::from_str(&serde_json::to_string(&rounds).unwrap()).unwrap();
        assert_eq!(stored, rounds);
        assert_eq!(verdict(&stored), verdict(&rounds));
    }

    /// Without a difference the chance of a go is bounded; and most of such runs say no-go, not nothing.
    #[test]
    fn without_a_difference_no_run_says_go() {
        let all: Vec<Option<bool>> = (0..24).map(|seed| verdict(&recorded(seed, 12, 10_000.0)).go).collect();
        assert!(!all.contains(&Some(true)), "{all:?}");
        assert!(all.iter().filter(|go| **go == Some(false)).count() > 18, "{all:?}");
        // Small rounds of a noisy host: hardly anything can be said, and no go is.
        for seed in 0..40 {
            let mut r = Random::new(seed);
            let mut noisy = |ns| (0..8).map(|_| round(&mut r, 0.4, ns, WORK_NS, 60)).collect::<Vec<_>>();
            let mut rounds = recorded(seed, 1, 1.0);
            for e in &mut rounds.engines {
                e.rounds = noisy(10_000.0);
            }
            let out = verdict(&rounds);
            assert_ne!(out.go, Some(true), "seed {seed}: {}", out.why);
        }
    }

    #[test]
    fn an_engine_named_twice_is_a_control_and_no_go() {
        for seed in 0..12 {
            let mut rounds = recorded(seed, 12, 10_000.0);
            rounds.engines[2] =
                EngineRounds { control: true, ..engine("spin", Extent::None, rounds.engines[2].rounds.clone()) };
            let out = verdict(&rounds);
            assert_eq!(out.candidate.as_deref(), Some("spin (again)"));
            assert_ne!(out.go, Some(true), "seed {seed}: {}", out.why);
        }
        // One that differs from its own engine shows that something is wrong.
        let mut odd = recorded(1, 20, 5_000.0);
        odd.engines[2] = EngineRounds { control: true, ..engine("spin", Extent::None, odd.engines[2].rounds.clone()) };
        assert!(verdict(&odd).warnings.iter().any(|w| w.contains("trust no figure")));
    }

    #[test]
    fn a_goal_decides_who_needs_bypass() {
        let with = |goal: &str, ns: f64, seed| {
            let rounds = BypassRounds { goals: vec![goal.parse().unwrap()], ..recorded(seed, 20, ns) };
            let out = verdict(&rounds);
            (out.go, out.why)
        };
        let met = with("8us", 5_000.0, 3);
        assert!(met.0 == Some(true) && met.1.contains("meets the goal"), "{met:?}");
        let needless = with("20us", 5_000.0, 4);
        assert!(needless.0 == Some(false) && needless.1.starts_with("spin meets the goal"), "{needless:?}");
        let missed = with("2us", 5_000.0, 5);
        assert!(missed.0 == Some(false) && missed.1.contains("misses the goal too"), "{missed:?}");
        let few = with("p99.999=8us", 5_000.0, 6);
        assert!(few.0.is_none() && few.1.contains("too few probes"), "{few:?}");
    }

    #[test]
    fn what_cannot_be_decided_says_why() {
        // A path of 3 ms: 4 µs of work here are a thousandth of it.
        let mut far = recorded(7, 20, 3_000_000.0);
        let mut r = Random::new(70);
        far.engines[0].rounds = rounds(&mut r, 20, 3_002_000.0, WORK_NS);
        far.engines[1].rounds = rounds(&mut r, 20, 3_000_000.0, 3_000_000);
        let out = verdict(&far);
        assert!(out.go.is_none() && out.why.starts_with("99.9 % of the median is spent on the path"), "{}", out.why);
        let mut none = recorded(8, 20, 5_000.0);
        none.engines[2].why_not = Some("af-xdp: open 192.0.2.1: no AF_XDP here; use spin".to_owned());
        let out = verdict(&none);
        assert!(out.go.is_none() && out.why.contains("no AF_XDP here"), "{}", out.why);
        assert!(out.engines[2].p50_ns.is_none());
        let alone = BypassRounds { engines: none.engines.split_off(2), ..none };
        assert!(verdict(&alone).why.starts_with("no engine without bypass"));
        // A fifth faster, where a fifth is worth having: the interval lies on both sides of it.
        let out = verdict(&recorded(11, 20, 8_000.0));
        assert!(out.go.is_none() && out.why.contains("both sides of 20 %"), "{}", out.why);
        let out = verdict(&recorded(9, 1, 5_000.0));
        assert!(out.go.is_none() && out.why.contains("longer --duration"), "{}", out.why);
    }

    #[test]
    fn a_faster_median_with_a_worse_tail_is_no_go() {
        let mut rounds = recorded(10, 20, 7_000.0);
        for round in &mut rounds.engines[2].rounds {
            for slow in round.samples_ns.iter_mut().take(60) {
                *slow *= 40;
            }
        }
        let out = verdict(&rounds);
        assert_eq!(out.go, Some(false), "{}", out.why);
        assert!(out.why.contains("P99"), "{}", out.why);
    }
}
