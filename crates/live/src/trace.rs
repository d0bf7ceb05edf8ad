//! Where the time of a round trip goes: rounds with and without the kernel's trace points, alternated on one flow.
//!
//! The stages come from the traced rounds, what tracing costs from the difference to the others. Where the kernel gives
//! no trace, time stamps are used instead (module `stamps`).

mod answers;
mod short;
mod stamps;
mod tracer;

pub use answers::{AnswersAsk, answers};
pub use short::with_stages;
pub(crate) use short::{lead, short};

use std::sync::atomic::Ordering;

use lowlat_measure::clock::Wish;
use lowlat_measure::placement::PlacedThread;
use lowlat_measure::{Flags, Mode, ProbeSession, Samples, Spec, Warmup};
use lowlat_model::trace::{FarTrace, TraceDocument};
use lowlat_model::{NotSeen, Quantiles, Schema};
use lowlat_sys::{Sys, query};
use lowlat_trace::{Figures, Flight, Threads};
use lowlat_verdict::sequential::Coins;

use crate::path::ProbePath;
use crate::probe::{self, Ask};
use crate::{Failure, ab, clocks, conditions, signals};

pub(crate) use tracer::Tracer;

/// A round on a slow path ends after this, ns.
const ROUND_NS: u64 = 250_000_000;
/// Probes by which the threads of both ends are found.
const LEARN_PROBES: u64 = 60;
/// More are not kept: they are 10 MB, and support a P99.9 several times.
const MOST_PROBES: usize = 60_000;
/// A short phase on a slow path takes so many times its time at most.
const SHORT_MOST: u64 = 3;
/// A short phase that follows fewer probes shows no median: time stamps do then.
const SHORT_LEAST: usize = 20;
/// In a short phase an answer is waited for so many medians, and at least so long, ns: a lost probe must not take the
/// whole phase.
const SHORT_TIMEOUT: (u64, u64) = (20, 50_000_000);
/// Pairs of rounds that are run whatever the duration: fewer give no interval.
const LEAST_PAIRS: usize = 6;

/// How long one round is, traced or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RoundSize {
    /// Probes.
    probes: u64,
    /// Probes at its start that are left out: switching trace points on patches the kernel's code, which interrupts
    /// every CPU.
    warmup: u64,
    /// It ends after this, ns.
    ns: u64,
    /// All rounds end after this, ns, even if they are too few for an interval of what tracing costs.
    most_ns: u64,
}

impl RoundSize {
    /// Some 40 events of 50 bytes for each probe are 1 MiB, which the ring holds.
    const WHOLE: Self = Self { probes: 400, warmup: 20, ns: ROUND_NS, most_ns: u64::MAX };

    /// Of a phase next to a measurement: all pairs fit into it, unless that would be too short for a median.
    fn short(duration_ns: u64, median_ns: u64) -> Self {
        let warmup = 5;
        // Twice what a median needs: on a busy host half of a round may be lost to others.
        let probes = 2 * lowlat_model::measurement::samples_needed(0.5) + warmup + 1;
        let least = median_ns.saturating_mul(probes);
        let ns = (duration_ns / (2 * LEAST_PAIRS as u64)).max(least).min(ROUND_NS);
        Self { probes: 100, warmup, ns, most_ns: duration_ns.saturating_mul(SHORT_MOST) }
    }
}

/// What to trace.
#[derive(Debug, Clone)]
pub struct TraceAsk<'a> {
    /// The path.
    pub path: &'a ProbePath,
    /// Engine name.
    pub engine: &'a str,
    /// For how long, both kinds of rounds together, ns.
    pub duration_ns: u64,
    /// SCHED_FIFO priority.
    pub rt: Option<u8>,
    /// Time between two probes, ns; `None` for as fast as the answers come.
    pub interval_ns: Option<u64>,
    /// A phase next to a measurement whose median is this, ns: shorter rounds. `None` for a trace of its own.
    pub short_at_ns: Option<u64>,
}

/// Traces a path; `line` hears what is to be said meanwhile. On a signal, what was traced so far.
pub fn trace(ask: &TraceAsk<'_>, sys: &dyn Sys, line: &mut dyn FnMut(&str)) -> Result<TraceDocument, Failure> {
    trace_with_far(ask, None, sys, line)
}

/// Gives the far host's own trace, once the rounds are over.
pub type ReadFar<'a> = &'a mut dyn FnMut() -> Result<FarTrace, Failure>;

/// As [`trace()`], with the far end's stages from the far host's own trace.
pub fn trace_with_far(
    ask: &TraceAsk<'_>,
    far: Option<ReadFar<'_>>,
    sys: &dyn Sys,
    line: &mut dyn FnMut(&str),
) -> Result<TraceDocument, Failure> {
    // The trace's clock is the kernel's.
    clocks::settle(Wish::Kernel, sys);
    let placed = ask.path.placed.clone().unwrap_or_else(|| probe::near_only(ask.path, sys));
    let path = ProbePath { placed: Some(placed), stamps: false, ..ask.path.clone() };
    let ask = &TraceAsk { path: &path, ..ask.clone() };
    // A run that measures by the TSC already has no time that the trace's records could be set against.
    let is_far_given = far.is_some();
    let begun = if lowlat_transport::clock::is_tsc() { Err(BY_TSC.to_owned()) } else { Tracer::begin("trace") };
    let refused = match begun {
        Ok(tracer) => match traced(ask, tracer, far, sys)? {
            Ok(document) => return Ok(document),
            Err(why) => why,
        },
        Err(why) => why,
    };
    let mut document = stamps::document(ask, start(ask, sys), &refused, sys)?;
    if is_far_given {
        document.notes.push("the far host's trace was not joined: that needs a trace at this end too".to_owned());
    }
    line(&format!("no trace: {refused}; measured by time stamps"));
    Ok(document)
}

/// Why there is no trace next to a measurement by the TSC.
const BY_TSC: &str = "unsupported: this run measures by the TSC, and the trace has the kernel's clock; `lowlat trace` \
                      measures by that one";

/// The document before anything was measured.
fn start(ask: &TraceAsk<'_>, sys: &dyn Sys) -> TraceDocument {
    TraceDocument {
        schema: Schema::current("trace"),
        target: ask.path.shown(),
        proto: ask.path.proto_name().to_owned(),
        peer: ask.path.peer.clone(),
        engine: ask.engine.to_owned(),
        size_bytes: u32::try_from(ask.path.size).unwrap_or(u32::MAX),
        kernel: query::uname(sys).into_value().map_or_else(|| "unknown".to_owned(), |u| u.release),
        ..TraceDocument::default()
    }
}

fn probe_ask<'a>(ask: &TraceAsk<'a>) -> Ask<'a> {
    let mode = Mode::PingPong { interval_ns: ask.interval_ns };
    let timeout_ns = ask.timeout_ns();
    Ask { duration_ns: ask.round().ns, rt: ask.rt, mode, timeout_ns, ..Ask::new(ask.path, ask.engine) }
}

impl TraceAsk<'_> {
    /// Of a short phase; `None` leaves it to the path.
    fn timeout_ns(&self) -> Option<u64> {
        let (medians, least) = SHORT_TIMEOUT;
        self.short_at_ns.map(|median| median.saturating_mul(medians).max(least))
    }

    fn round(&self) -> RoundSize {
        self.short_at_ns.map_or(RoundSize::WHOLE, |median| RoundSize::short(self.duration_ns, median))
    }
}

/// By the kernel's trace points; `Ok(Err)` where they do not show this path's packets.
fn traced(
    ask: &TraceAsk<'_>,
    mut tracer: Tracer,
    far: Option<ReadFar<'_>>,
    sys: &dyn Sys,
) -> Result<Result<TraceDocument, String>, Failure> {
    let (probing, size) = (probe_ask(ask), ask.round());
    let choice = conditions::choose(ask.path, sys);
    let mut engine = ask.path.open(ask.engine)?;
    let mut peer = Ask { duration_ns: ask.duration_ns, ..probing.clone() }.peer()?;
    let asked = Spec { lock_memory: true, ..probing.spec_with(size.warmup) };
    let placed = PlacedThread::take(&probe::placement(&asked, choice.near.cpu))?;
    let unlocked = placed.memory().and_then(|m| m.clone().err());
    let mut session = probe::open(&probing, &asked, engine.as_mut(), peer.as_mut())?;
    let (spec, slowed) = match probing.paced(&ask.path.peer, crate::probe::pace(&session)) {
        Some((slower, words)) => (Spec { lock_memory: true, ..slower.spec_with(size.warmup) }, Some(words)),
        None => (asked, None),
    };
    let mut run = Run {
        spec: Spec {
            count: Some(size.probes),
            warmup: Warmup::Probes(size.warmup),
            watch_gaps: false,
            far_stamps: true,
            ..spec
        },
        session: &mut session,
        tracer: &mut tracer,
        most_ns: size.most_ns,
    };
    let threads = match run.learn()? {
        Ok(threads) => threads,
        Err(why) => return Ok(Err(why)),
    };
    let mut out = start(ask, sys);
    let ended = run.rounds(ask.duration_ns, &threads, &mut out);
    let missing = tracer.missing().clone();
    session.close();
    drop((placed, tracer));
    let mut figures = match ended? {
        Ok(figures) => figures,
        Err(why) => return Ok(Err(why)),
    };
    if ask.short_at_ns.is_some() && figures.probes() < SHORT_LEAST {
        let followed = figures.probes();
        return Ok(Err(format!("unsupported: only {followed} probes could be followed in so short a phase")));
    }
    if let Some(far) = far {
        let answers = far()?;
        out.notes.push(if figures.sees_far() {
            "the far end runs on this host, whose own trace shows it: the far host's trace was not needed".to_owned()
        } else {
            let (all, found) = (figures.probes(), figures.with_far(&answers));
            joined(found, all, &answers)
        });
    }
    out.notes.extend(slowed);
    out.not_seen.extend(unlocked.as_deref().map(with_memory_locked));
    let mut out = figures.document(&missing, out);
    out.interrupted = signals::stopped();
    notes(&mut out);
    Ok(Ok(out))
}

/// What became of the far host's own trace.
fn joined(found: usize, all: usize, far: &FarTrace) -> String {
    let held = far.answers.len();
    if found == 0 {
        return format!(
            "the far host's trace of port {} holds {held} answers, and none of these {all} probes: it must run while these \
             rounds do, and the far end must report its own two time stamps",
            far.port
        );
    }
    format!("the far host's stages are from its own trace (kernel {}), which holds {found} of {all} probes", far.kernel)
}

/// Probes may wait for memory.
fn with_memory_locked(why: &str) -> NotSeen {
    NotSeen { fact: "probes with memory locked".to_owned(), why: format!("denied: {why}") }
}

/// What is to be said about the figures.
fn notes(out: &mut TraceDocument) {
    if !out.far_seen && out.probes > 0 {
        out.not_seen.push(NotSeen {
            fact: "the stages of the far end".to_owned(),
            why: "it is not on this host; run `lowlat trace --answers PORT` there and join both by --far".to_owned(),
        });
    }
    if out.overruns > 0 {
        out.notes.push(format!(
            "{} events found no room in the kernel's buffer; the probes that lack some are in no figure",
            out.overruns
        ));
    }
    let all = out.probes + out.incomplete;
    if out.incomplete * 10 > all {
        out.notes
            .push(format!("{} of {all} probes could not be followed: the figures are of the others", out.incomplete));
    }
}

/// One flow with its tracer.
struct Run<'a, 'b> {
    spec: Spec,
    session: &'a mut ProbeSession<'b>,
    tracer: &'a mut Tracer,
    /// See [`RoundSize`].
    most_ns: u64,
}

impl Run<'_, '_> {
    fn round(&mut self, spec: &Spec) -> Result<Samples, Failure> {
        Ok(self.session.round(spec, None, signals::stop(), &mut |_| {})?)
    }

    /// Finds the threads of both ends by what is traced of a few probes, and has the kernel keep to them.
    fn learn(&mut self) -> Result<Result<Threads, String>, Failure> {
        let spec = Spec { count: Some(LEARN_PROBES), ..self.spec.clone() };
        if let Err(why) = self.tracer.on() {
            return Ok(Err(why));
        }
        let samples = self.round(&spec);
        let read = self.tracer.off();
        let flights = flights(&samples?);
        if flights.is_empty() {
            return Ok(
                Err("unsupported: no probe was answered while it was learned whose packets they are".to_owned()),
            );
        }
        let threads = match read {
            Ok(read) => lowlat_trace::threads(&read.trace.events, &flights),
            Err(why) => return Ok(Err(why)),
        };
        let none = || "unsupported: the kernel's trace points do not see the packets of this engine".to_owned();
        let Some(threads) = threads else { return Ok(Err(none())) };
        Ok(self.tracer.keep_to(&threads).map(|()| threads))
    }

    /// Alternates rounds until the time is over. `out` gets what tracing costs.
    fn rounds(
        &mut self,
        duration_ns: u64,
        threads: &Threads,
        out: &mut TraceDocument,
    ) -> Result<Result<Figures, String>, Failure> {
        let mut coins = Coins::new(ab::seed());
        let mut figures = Figures::default();
        let (mut plain, mut pairs) = (Vec::new(), Vec::new());
        let begin = lowlat_transport::clock::now();
        let spec = self.spec.clone();
        while !signals::stop().load(Ordering::SeqCst) && figures.probes() < MOST_PROBES {
            let elapsed = lowlat_transport::clock::now().saturating_sub(begin);
            let over = elapsed >= duration_ns;
            if over && (pairs.len() >= LEAST_PAIRS || elapsed >= self.most_ns) {
                break;
            }
            let traced_first = coins.b_first();
            let mut sides = [Vec::new(), Vec::new()];
            for is_traced in [traced_first, !traced_first] {
                if is_traced && let Err(why) = self.tracer.on() {
                    return Ok(Err(why));
                }
                let samples = self.round(&spec);
                let read = if is_traced { Some(self.tracer.off()) } else { None };
                let samples = samples?;
                let lost = samples.counts().lost;
                sides[usize::from(is_traced)] = samples.rtts();
                match read {
                    Some(Ok(read)) => {
                        let flights = flights(&samples);
                        let (trace, overruns) = (&read.trace, read.overruns);
                        figures.take(&lowlat_trace::TracedRound { trace, flights: &flights, lost, overruns }, threads);
                    }
                    Some(Err(why)) => return Ok(Err(why)),
                    None => out.lost += lost,
                }
            }
            if signals::stopped() {
                break;
            }
            let medians = sides.each_ref().map(|side| lowlat_verdict::quantiles(side).p50_ns);
            plain.append(&mut sides[0]);
            if let [Some(without), Some(with)] = medians {
                pairs.push((without, with));
            } else if over {
                // A path so slow that a round supports no median.
                break;
            }
        }
        out.rtt_untraced = Quantiles::of(&mut plain);
        out.trace_cost_pairs = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        if let Some((cost, low, high)) = lowlat_trace::cost(&pairs) {
            (out.trace_cost_ns, out.trace_cost_low_ns, out.trace_cost_high_ns) = (Some(cost), Some(low), Some(high));
        }
        Ok(Ok(figures))
    }
}

/// The answered probes of a round, the warm-up left out.
fn flights(samples: &Samples) -> Vec<Flight> {
    let known = |ns: u64| (ns != lowlat_model::measurement::LOST).then_some(ns);
    let flight = |(place, p): (usize, &lowlat_measure::Probe)| Flight {
        sent: p.sent,
        received: p.received,
        residence: known(p.residence),
        far_stamps: samples.far_stamps(place),
    };
    let all = samples.probes().iter().enumerate();
    all.filter(|(_, p)| p.answered() && !p.flags.has(Flags::WARMUP)).map(flight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_a_short_phase_hold_a_median_where_the_path_allows_it() {
        let ms = |n: u64| n * 1_000_000;
        // Six pairs within the time; longer where a median needs it; never longer than other rounds.
        assert_eq!(RoundSize::short(ms(480), 20_000).ns, ms(40));
        assert_eq!(RoundSize::short(ms(480), ms(3)).ns, ms(138));
        assert_eq!(RoundSize::short(ms(480), ms(100)).ns, ROUND_NS);
        let size = RoundSize::short(ms(480), ms(3));
        let counted = size.ns / ms(3) - size.warmup;
        assert!(counted >= lowlat_model::measurement::samples_needed(0.5), "{size:?}");
    }
}
