//! What makes the path slow, ranked: the first is the one to name.

use lowlat_model::document::{ChecklistItem, EngineResult, item};
use lowlat_model::tune::Modes;
use lowlat_model::{Finding, Measurement, Severity, Verdict};

use crate::Input;
use crate::steps::{self, Standing};
use crate::words::{percent, time};

/// Above this share of lost probes latency is not the first problem.
pub(crate) const LOSS: f64 = 0.0001;
/// An engine is far faster when its median is at most this share of what the sockets of the path need: then settings of
/// the kernel cannot be what is left, since the engine runs under the same ones.
const FAR_FASTER: f64 = 0.5;
/// Engines that go around the kernel's sockets; the others only wait in another way.
const AROUND_SOCKETS: [&str; 2] = ["af-xdp", "dpdk"];

/// Why the path is slow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cause<'a> {
    /// Probes are lost.
    Loss(&'a Measurement, f64),
    /// Counters of dropped packets grew, with the evidence.
    Drops(String),
    /// A finding that a kept step fixed.
    Fixed(&'a Finding),
    /// A finding that nothing fixed.
    Open(&'a Finding, Standing<'a>),
    /// The path has two modes.
    Modes(&'a Modes),
    /// An engine that waits in another way is far faster: its name, and its share of the median.
    Waiting(&'a EngineResult, f64),
    /// An engine that goes around the sockets is far faster.
    SocketPath(&'a EngineResult, f64),
    /// So many settings were tried and none helped, nothing is open, and no engine is far faster.
    Hardware(usize),
}

/// Every cause, weightiest first.
///
/// Lost packets come before latency. Critical findings dominate latency or lose packets, and stand before counters of
/// drops, which also grow by frames that nobody asked for. Of two findings of one weight the fixed one leads: it is
/// proven.
pub(crate) fn ranked<'a>(input: &Input<'a>, checklist: &[ChecklistItem]) -> Vec<Cause<'a>> {
    let mut all: Vec<(f64, Cause<'a>)> = Vec::new();
    if let Some(m) = input.present()
        && let Some(ratio) = m.loss_ratio.filter(|r| *r > LOSS)
    {
        all.push((100.0, Cause::Loss(m, ratio)));
    }
    if let Some(i) = checklist.iter().find(|i| i.id == item::DROPS && i.met == Some(false)) {
        all.push((75.0, Cause::Drops(i.evidence.clone())));
    }
    all.extend(input.modes.map(|m| (70.0, Cause::Modes(m))));
    all.extend(findings(input));
    all.extend(faster_engine(input).map(|c| (40.0, c)));
    all.extend(hardware(input).map(|tried| (10.0, Cause::Hardware(tried))));
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    all.into_iter().map(|(_, c)| c).collect()
}

/// Findings with their weight.
fn findings<'a>(input: &Input<'a>) -> Vec<(f64, Cause<'a>)> {
    let mut all = Vec::new();
    for f in input.findings {
        let base = if f.severity == Severity::Critical { 80.0 } else { 50.0 };
        match steps::standing(input, f) {
            // The gain, at most 100 %, orders those of one weight.
            Standing::Fixed(step) => all.push((base + 5.0 + steps::gain(step).clamp(-1.0, 1.0), Cause::Fixed(f))),
            _ if f.severity < Severity::Warning => {}
            useless @ Standing::Useless(_) => all.push((20.0, Cause::Open(f, useless))),
            open => all.push((base, Cause::Open(f, open))),
        }
    }
    all
}

/// What an engine that is far faster shows. The best engine on the sockets shows what waiting costs, the best one
/// around them what the sockets cost beyond that; the larger part is the cause.
fn faster_engine<'a>(input: &Input<'a>) -> Option<Cause<'a>> {
    let best = |around: bool| {
        let of_kind = input.engines.iter().filter(move |e| AROUND_SOCKETS.contains(&e.engine.as_str()) == around);
        of_kind.filter_map(|e| Some((e, share(input, e)?))).min_by(|(_, a), (_, b)| a.total_cmp(b))
    };
    let (waits, around) = (best(false), best(true));
    let far = |e: Option<(&EngineResult, f64)>| e.is_some_and(|(_, share)| share <= FAR_FASTER);
    if !far(waits) && !far(around) {
        return None;
    }
    // Without a faster engine on the sockets all of it is theirs.
    let on_sockets = waits.map_or(1.0, |(_, share)| share.min(1.0));
    match (waits, around) {
        (_, Some((e, share))) if on_sockets - share > 1.0 - on_sockets => Some(Cause::SocketPath(e, share)),
        (Some((e, share)), _) => Some(Cause::Waiting(e, share)),
        (None, Some((e, share))) => Some(Cause::SocketPath(e, share)),
        (None, None) => None,
    }
}

/// The engine's median as a share of the path's: of what `block` needs in the same interleaved run where the path was
/// measured with that, and the difference is shown; else of the path as it stands.
fn share(input: &Input<'_>, e: &EngineResult) -> Option<f64> {
    let present = input.present()?;
    if e.engine == present.engine {
        return None;
    }
    if present.engine == "block"
        && let Some(c) = &e.against_block
    {
        let p50 = c.quantiles.iter().find(|q| (q.q - 0.5).abs() < 1e-9)?;
        return p50.change_ratio.filter(|_| p50.verdict == Verdict::Better).map(|r| 1.0 + r);
    }
    let now = present.rtt.p50_ns.filter(|p| *p > 0)?;
    let engine = e.measurement.as_ref()?.rtt.p50_ns?;
    Some(engine as f64 / now as f64)
}

/// How many settings were tried, where none helped and nothing else can be blamed.
fn hardware(input: &Input<'_>) -> Option<usize> {
    let tried = steps::judged(input);
    let nothing = !input.dry_run && !tried.is_empty() && !tried.iter().any(|s| s.kept);
    (nothing && steps::open(input).is_empty() && faster_engine(input).is_none() && input.modes.is_none())
        .then_some(tried.len())
}

impl Cause<'_> {
    /// One sentence without a full stop.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Loss(m, ratio) => {
                format!(
                    "{} of the probes are lost ({} of {}), fix this before latency",
                    percent(*ratio),
                    m.lost,
                    m.sent
                )
            }
            Self::Drops(evidence) => format!("packets are dropped on this host ({evidence})"),
            Self::Fixed(f) => format!("{}, fixed ({})", f.title, f.rule),
            Self::Open(f, standing) => format!("{} ({}){}", f.title, f.rule, after(standing)),
            Self::Modes(m) => format!(
                "the path has two modes: P50 {} in {} rounds and {} in {}; {}",
                time(Some(m.fast_ns)),
                m.fast_rounds,
                time(Some(m.slow_ns)),
                m.slow_rounds,
                differs(m)
            ),
            Self::Waiting(e, share) => format!(
                "waiting for the packet (interrupt and wake-up): {} needs {} of the median on the same path",
                e.engine,
                percent(*share)
            ),
            Self::SocketPath(e, share) => format!(
                "the kernel's socket path: {} needs {} of the median on the same path",
                e.engine,
                percent(*share)
            ),
            Self::Hardware(tried) => format!("{}: the limit is likely the hardware's", none_helped(*tried)),
        }
    }
}

/// `none of the 3 settings tried gained anything`.
pub(crate) fn none_helped(tried: usize) -> String {
    match tried {
        1 => "the one setting tried brought no gain".to_owned(),
        n => format!("none of the {n} settings tried brought a gain"),
    }
}

fn after(standing: &Standing<'_>) -> &'static str {
    match standing {
        Standing::Fixed(_) | Standing::Open => "",
        Standing::Left(_) => "; not every setting for it was tried",
        Standing::Reset(_) => "; its setting reset the link and was put back",
        Standing::Useless(_) => "; its settings showed no gain",
        Standing::Refused(_) => "; its settings were refused",
    }
}

/// `what differs: receive queue`, or that nothing is known to.
pub(crate) fn differs(m: &Modes) -> String {
    if m.differs.is_empty() {
        "nothing that was recorded differs between them".to_owned()
    } else {
        format!("what differs: {}", m.differs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use lowlat_model::op::Target;
    use lowlat_testkit::run;

    fn first(run: &sample::Run) -> String {
        let input = run.input();
        let checklist = crate::checklist::all(&input);
        ranked(&input, &checklist).first().map(Cause::words).unwrap_or_default()
    }

    /// A run in which one setting was tried, nothing was kept and nothing is open.
    fn fruitless() -> sample::Run {
        let mut run = sample::Run::good();
        run.steps.retain(|s| !s.kept);
        run.findings.clear();
        run
    }

    #[test]
    fn loss_comes_before_everything() {
        let mut run = sample::Run::good();
        assert!(first(&run).starts_with("netem-on-path on the path, fixed"), "{}", first(&run));
        run.result.as_mut().unwrap().loss_ratio = Some(0.01);
        assert!(first(&run).starts_with("1.0 % of the probes are lost"), "{}", first(&run));
    }

    #[test]
    fn the_hardware_is_blamed_only_when_nothing_else_can_be() {
        let run = fruitless();
        assert!(first(&run).ends_with("the limit is likely the hardware's"), "{}", first(&run));
        let mut open = fruitless();
        open.findings.push(run::finding("long-filter-chain", Severity::Warning, "none", Target::Host, ""));
        open.findings[0].remedy.settings.clear();
        assert_eq!(first(&open), "long-filter-chain on the path (long-filter-chain)");
        let blamed = |run: &sample::Run| ranked(&run.input(), &[]).iter().any(|c| matches!(c, Cause::Hardware(_)));
        assert!(blamed(&run) && !blamed(&open), "not even as a lesser cause");
        let mut modes = fruitless();
        modes.modes = Some(Modes { fast_ns: 6_000, slow_ns: 83_000, fast_rounds: 4, slow_rounds: 6, differs: vec![] });
        assert!(first(&modes).starts_with("the path has two modes: P50 6.00 µs in 4 rounds and 83.0 µs in 6"));
        let mut quick = fruitless();
        quick.engines = run::document().engines;
        let spin = quick.engines.iter_mut().find(|e| e.engine == "spin").unwrap();
        spin.against_block = Some(run::comparison(80_000, -48_000, -49_000, -47_000, Verdict::Better));
        assert!(first(&quick).starts_with("waiting for the packet"), "{}", first(&quick));
        quick.engines.iter_mut().find(|e| e.engine == "spin").unwrap().engine = "af-xdp".into();
        assert_eq!(first(&quick), "the kernel's socket path: af-xdp needs 40.0 % of the median on the same path");
    }

    #[test]
    fn of_waiting_and_sockets_the_larger_part_is_the_cause() {
        let mut run = fruitless();
        run.engines = run::document().engines;
        let mut against = |engine: &str, gain: i64| {
            let test = run::comparison(100_000, -gain, -gain - 500, -gain + 500, Verdict::Better);
            run.engines.iter_mut().find(|e| e.engine == engine).unwrap().against_block = Some(test);
            first(&run)
        };
        against("spin", 20_000);
        assert!(against("af-xdp", 90_000).starts_with("the kernel's socket path: af-xdp needs 10.0 %"));
        assert!(
            against("spin", 60_000).starts_with("waiting for the packet (interrupt and wake-up): spin needs 40.0 %")
        );
        // The path was measured spinning already: it does not wait.
        run.result.as_mut().unwrap().engine = "spin".into();
        assert!(!first(&run).contains("spin needs"), "{}", first(&run));
    }

    #[test]
    fn an_engine_that_is_not_shown_to_be_faster_blames_nothing() {
        let mut run = fruitless();
        run.engines = run::document().engines;
        for e in &mut run.engines {
            e.against_block = Some(run::comparison(80_000, -48_000, -99_000, 3_000, Verdict::Unclear));
        }
        assert!(first(&run).ends_with("the hardware's"), "{}", first(&run));
    }

    #[test]
    fn a_finding_whose_settings_showed_no_gain_comes_last_but_stays_open() {
        let mut run = sample::Run::good();
        run.steps.retain(|s| !s.kept);
        run.findings.retain(|f| f.rule == "rps-remote-cpu");
        assert_eq!(first(&run), "rps-remote-cpu on the path (rps-remote-cpu); its settings showed no gain");
    }
}
