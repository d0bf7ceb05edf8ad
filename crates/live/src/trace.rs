//! Where the time of a round trip goes: rounds with and without the kernel's trace points, alternated on one flow.
//!
//! The stages come from the traced rounds, what tracing costs from the difference to the others. Where the kernel gives
//! no trace, time stamps are used instead (module `stamps`).

mod stamps;
mod tracer;

use std::sync::atomic::Ordering;

use lowlat_measure::clock::Wish;
use lowlat_measure::placement::PlacedThread;
use lowlat_measure::{Flags, ProbeSession, Samples, Spec, Warmup};
use lowlat_model::trace::TraceDocument;
use lowlat_model::{NotSeen, Quantiles, Schema};
use lowlat_sys::{Sys, query};
use lowlat_trace::{Figures, Flight, Threads};
use lowlat_verdict::sequential::Coins;

use crate::path::ProbePath;
use crate::probe::{self, Ask};
use crate::{Failure, ab, clocks, conditions, signals};

use tracer::Tracer;

/// Probes of a round, traced or not: some 40 events of 50 bytes each are 1 MiB, which the ring holds.
const ROUND_PROBES: u64 = 400;
/// A round on a slow path ends after this, ns.
const ROUND_NS: u64 = 250_000_000;
/// Left out at the start of each: switching trace points on patches the kernel's code, which interrupts every CPU.
const WARMUP: u64 = 20;
/// Probes by which the threads of both ends are found.
const LEARN_PROBES: u64 = 60;
/// More are not kept: they are 10 MB, and support a P99.9 several times.
const MOST_PROBES: usize = 60_000;
/// Pairs of rounds that are run whatever the duration: fewer give no interval.
const LEAST_PAIRS: usize = 6;

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
}

/// Traces a path; `line` hears what is to be said meanwhile. On a signal, what was traced so far.
pub fn trace(ask: &TraceAsk<'_>, sys: &dyn Sys, line: &mut dyn FnMut(&str)) -> Result<TraceDocument, Failure> {
    // The trace's clock is the kernel's.
    clocks::settle(Wish::Kernel, sys);
    let placed = ask.path.placed.clone().unwrap_or_else(|| probe::near_only(ask.path, sys));
    let path = ProbePath { placed: Some(placed), stamps: false, ..ask.path.clone() };
    let ask = &TraceAsk { path: &path, ..ask.clone() };
    let refused = match Tracer::begin() {
        Ok(tracer) => match traced(ask, tracer, sys)? {
            Ok(document) => return Ok(document),
            Err(why) => why,
        },
        Err(why) => why,
    };
    let document = stamps::document(ask, start(ask, sys), &refused, sys)?;
    line(&format!("no trace: {refused}; measured by time stamps"));
    Ok(document)
}

/// The document before anything was measured.
fn start(ask: &TraceAsk<'_>, sys: &dyn Sys) -> TraceDocument {
    TraceDocument {
        schema: Schema::current("trace"),
        target: ask.path.remote.to_string(),
        proto: ask.path.proto_name().to_owned(),
        peer: ask.path.peer.clone(),
        engine: ask.engine.to_owned(),
        size_bytes: u32::try_from(ask.path.size).unwrap_or(u32::MAX),
        kernel: query::uname(sys).into_value().map_or_else(|| "unknown".to_owned(), |u| u.release),
        ..TraceDocument::default()
    }
}

fn probe_ask<'a>(ask: &TraceAsk<'a>) -> Ask<'a> {
    Ask { duration_ns: ROUND_NS, rt: ask.rt, ..Ask::new(ask.path, ask.engine) }
}

/// By the kernel's trace points; `Ok(Err)` where they do not show this path's packets.
fn traced(ask: &TraceAsk<'_>, mut tracer: Tracer, sys: &dyn Sys) -> Result<Result<TraceDocument, String>, Failure> {
    let probing = probe_ask(ask);
    let choice = conditions::choose(ask.path, sys);
    let mut engine = ask.path.open(ask.engine)?;
    let mut peer = Ask { duration_ns: ask.duration_ns, ..probing.clone() }.peer()?;
    let asked = Spec { lock_memory: true, ..probing.spec_with(WARMUP) };
    let placed = PlacedThread::take(&probe::placement(&asked, choice.near.cpu))?;
    let unlocked = placed.memory().and_then(|m| m.clone().err());
    let mut session = probe::open(&probing, &asked, engine.as_mut(), peer.as_mut())?;
    let (spec, slowed) = match probing.paced(&ask.path.peer, session.min_interval()) {
        Some((slower, words)) => (Spec { lock_memory: true, ..slower.spec_with(WARMUP) }, Some(words)),
        None => (asked, None),
    };
    let mut run = Run {
        spec: Spec { count: Some(ROUND_PROBES), warmup: Warmup::Probes(WARMUP), watch_gaps: false, ..spec },
        session: &mut session,
        tracer: &mut tracer,
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
    let figures = match ended? {
        Ok(figures) => figures,
        Err(why) => return Ok(Err(why)),
    };
    out.notes.extend(slowed);
    out.not_seen.extend(unlocked.as_deref().map(with_memory_locked));
    let mut out = figures.document(&missing, out);
    out.interrupted = signals::stopped();
    notes(&mut out);
    Ok(Ok(out))
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
            why: "it is not on this host; run `lowlat trace` there towards this one: the two are not joined".to_owned(),
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
            let over = lowlat_transport::clock::now().saturating_sub(begin) >= duration_ns;
            if over && pairs.len() >= LEAST_PAIRS {
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
    samples
        .probes()
        .iter()
        .filter(|p| p.answered() && !p.flags.has(Flags::WARMUP))
        .map(|p| Flight { sent: p.sent, received: p.received, residence: known(p.residence) })
        .collect()
}
