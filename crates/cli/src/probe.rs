//! One measurement on a path: opens engine and peer, measures, closes. The wiring between `path` and the measure crate.

use std::net::SocketAddr;

use lowlat_measure::clock::Wish;
use lowlat_measure::load::{Load as Bulk, Running};
use lowlat_measure::log::Writer;
use lowlat_measure::placement::{Placed, Placement};
use lowlat_measure::{Context, Mode, Pattern, Progress, SampleSink, Samples, Session, Spec, Warmup};
use lowlat_model::Schema;
use lowlat_model::log::LogHead;
use lowlat_model::measurement::Measurement;
use lowlat_model::units::us;
use lowlat_sys::{Live, Sys};

use crate::clocks;
use crate::conditions::{self, Ticks};
use crate::failure::Failure;
use crate::figures::{self, Steady};
use crate::path::Path;
use crate::signals;

/// Probes at the start of every measurement that are left out: caches, neighbour entries and the far end's wake-up.
const WARMUP_PROBES: u64 = 100;
/// The same in a round of an A/B test, which follows another round on a warm path.
const WARMUP_ROUND: u64 = 5;

/// What to measure, and how long.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The path.
    pub path: &'a Path,
    /// Engine name.
    pub engine: &'a str,
    /// Measured time, ns.
    pub duration_ns: u64,
    /// Stop after this many probes.
    pub count: Option<u64>,
    /// When probes leave.
    pub mode: Mode,
    /// Left out at the start; `None` for the default.
    pub warmup_ns: Option<u64>,
    /// Bulk TCP streams beside the probe.
    pub load_streams: u32,
    /// SCHED_FIFO priority.
    pub rt: Option<u8>,
}

impl<'a> Ask<'a> {
    /// Two seconds of ping-pong.
    pub fn new(path: &'a Path, engine: &'a str) -> Self {
        Self {
            path,
            engine,
            duration_ns: 2_000_000_000,
            count: None,
            mode: Mode::PingPong { interval_ns: None },
            warmup_ns: None,
            load_streams: 0,
            rt: None,
        }
    }

    /// What the prober is told.
    pub fn spec(&self) -> Spec {
        self.spec_with(WARMUP_PROBES)
    }

    fn spec_with(&self, warmup: u64) -> Spec {
        let mut spec = Spec {
            mode: self.mode,
            count: self.count,
            duration_ns: Some(self.duration_ns),
            size: self.path.size,
            timeout_ns: self.path.timeout_ns,
            cpu: self.path.cpu,
            rt_priority: self.rt,
            stamps: self.path.stamps,
            ..Spec::default()
        };
        // At a slow pace a hundred probes would take longer than the run: then what leaves in the first tenth of a second.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let probes = spec.rate_pps().map_or(warmup, |rate| warmup.min((rate * 0.1) as u64).max(WARMUP_ROUND));
        spec.warmup = self.warmup_ns.map_or(Warmup::Probes(probes), Warmup::For);
        spec
    }

    /// Refuses what cannot be measured, before anything is opened, written or sent.
    pub fn check(&self) -> Result<(), Failure> {
        Ok(self.spec().check(self.path.peer(self.duration_ns)?.message_sizes())?)
    }
}

/// Measures a path and returns the document.
pub fn measure(ask: &Ask<'_>, sys: &dyn Sys) -> Result<Measurement, Failure> {
    let measurement = measure_with(ask, sys, None, &mut |_| {})?;
    if signals::stopped() {
        return Err(Failure::new("measure: interrupted by a signal"));
    }
    Ok(measurement)
}

/// As [`measure`], with a sample log and progress; on a signal, what was measured so far.
pub fn measure_with(
    ask: &Ask<'_>,
    sys: &dyn Sys,
    file: Option<&std::path::Path>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Measurement, Failure> {
    ask.check()?;
    clocks::settle(Wish::Auto, sys);
    let load = (ask.load_streams > 0).then(|| bulk(ask.path, ask.load_streams)).transpose()?;
    let spec = Spec { lock_memory: true, watch_gaps: true, ..ask.spec() };
    let mut context = context(ask.path, ask.engine);
    let mut open_log = || match file {
        Some(file) => log_file(file, &spec, &context).map(Some),
        None => Ok(None),
    };
    let (mut samples, log, place) = run(ask, &spec, &mut open_log, progress)?;
    context.conditions = Some(conditions::read(ask.path, &place, sys));
    let (clock, weakens) = clocks::settle(Wish::Auto, sys).at_end();
    context.environment.insert("clock".into(), clock);
    context.warnings.extend(weakens);
    if let Some(load) = load {
        let carried = load.stop();
        let rate = carried.bytes as f64 * 8.0 / 1e6 / carried.seconds.max(f64::MIN_POSITIVE);
        context.environment.insert("load".into(), format!("{} TCP streams, {rate:.0} Mbit/s", ask.load_streams));
        if carried.broken_streams > 0 {
            context.warnings.push(format!("{} load streams broke before the end", carried.broken_streams));
        }
    }
    let steady = if ask.warmup_ns.is_some() { Steady::Known(None) } else { Steady::Find };
    let nic = context.conditions.as_ref().and_then(|c| c.hardware_stamps.clone());
    let mut measurement = figures::measurement(&mut samples, &spec, context, steady);
    if let Some(stamps) = &mut measurement.stamps {
        stamps.nic = nic;
    }
    if let Some((log, file)) = log.zip(file) {
        let probes = log.finish(measurement.steady, measurement.interrupted).map_err(|e| {
            Failure::new(format!(
                "finish the sample log {}: {e}; look at the space left where it is written",
                file.display()
            ))
        })?;
        crate::output::progress(&format!("{probes} probes, warm-up included, are in the sample log"));
    }
    Ok(measurement)
}

/// Begins a log that says what is measured.
fn log_file(file: &std::path::Path, spec: &Spec, context: &Context) -> Result<Writer, Failure> {
    let head = LogHead {
        target: context.target.clone(),
        proto: context.proto.clone(),
        peer: context.peer.clone(),
        engine: context.engine.clone(),
        mode: spec.mode_name().to_owned(),
        planned: spec.planned(),
        rate_pps: spec.rate_pps(),
        size_bytes: u32::try_from(spec.size).unwrap_or(u32::MAX),
        cpu: spec.cpu,
        timeout_ns: spec.timeout_ns,
        started_unix_ns: crate::wall_clock_ns(),
        environment: context.environment.clone(),
    };
    let head = serde_json::to_vec(&head)
        .map_err(|e| Failure::new(format!("write the head of the sample log: {e}; report this as a bug")))?;
    Writer::create(file, &head).map_err(|e| {
        Failure::new(format!(
            "write the sample log {}: {e}; name a file that can be written with --log",
            file.display()
        ))
    })
}

/// One round of an A/B test: the samples in send order, lost ones as +∞.
pub fn round(ask: &Ask<'_>) -> Result<Vec<u64>, Failure> {
    let (samples, ..) = run(ask, &ask.spec_with(WARMUP_ROUND), &mut || Ok(None), &mut |_| {})?;
    Ok(samples.rtts())
}

/// Opens, places, greets, begins the log (only now: a target that does not answer leaves an old log as it was), measures.
fn run(
    ask: &Ask<'_>,
    spec: &Spec,
    open_log: &mut dyn FnMut() -> Result<Option<Writer>, Failure>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(Samples, Option<Writer>, conditions::Run), Failure> {
    let choice = conditions::choose(ask.path, &Live::new());
    let mut engine = ask.path.open(ask.engine)?;
    let mut peer = ask.path.peer(ask.duration_ns)?;
    let placement = Placement {
        cpu: spec.cpu,
        cpus: choice.cpus.clone(),
        rt_priority: spec.rt_priority,
        lock_memory: spec.lock_memory,
    };
    let placed = Placed::take(&placement)?;
    let place = conditions::Run::of(choice, &placed, spec.rt_priority, Ticks::read(&Live::new()));
    let mut session = Session::open_unless(engine.as_mut(), peer.as_mut(), spec.size, spec.timeout_ns, signals::stop())
        .map_err(|e| Failure::new(format!("measure {} with {}: {e}", ask.path.words, ask.engine)))?;
    // From here on a signal ends the round, and what was measured so far is told.
    signals::at_stake();
    let mut log = open_log()?;
    let sink = log.as_mut().map(|log| log as &mut dyn SampleSink);
    let samples = session.round(spec, sink, signals::stop(), progress)?;
    session.close();
    drop(placed);
    Ok((samples, log, place))
}

/// Whether the target answers at all, and in its protocol.
pub fn reach(path: &Path, engine: &str) -> Result<(), Failure> {
    let mut engine_open = path.open(engine)?;
    let mut peer = path.peer(1_000_000_000)?;
    let session =
        Session::open_unless(engine_open.as_mut(), peer.as_mut(), path.size, path.timeout_ns, signals::stop())
            .map_err(|e| Failure::new(format!("reach {}: {e}", path.words)))?;
    session.close();
    Ok(())
}

/// The document of samples that were taken in rounds.
pub fn measurement_of(path: &Path, engine: &str, samples: &[u64], duration_ns: u64, sys: &dyn Sys) -> Measurement {
    let rtt = lowlat_verdict::quantiles(samples);
    let lost = samples.iter().filter(|s| **s == lowlat_model::measurement::LOST).count() as u64;
    let sent = samples.len() as u64;
    let mut context = context(path, engine);
    // Taken after the rounds: the CPUs are those that a round would get now.
    let choice = conditions::choose(path, sys);
    let anywhere = || lowlat_measure::placement::allowed_cpus().unwrap_or_default();
    let node = || if choice.cpus.is_empty() { anywhere() } else { choice.cpus.clone() };
    let cpus = path.cpu.map_or_else(node, |cpu| vec![cpu]);
    let place = conditions::Run { choice, cpus, ..conditions::Run::default() };
    context.conditions = Some(conditions::read(path, &place, sys));
    Measurement {
        schema: Schema::current("measure"),
        target: context.target,
        proto: context.proto,
        peer: context.peer,
        engine: context.engine,
        mode: "ping-pong".to_owned(),
        size_bytes: u32::try_from(path.size).unwrap_or(u32::MAX),
        cpu: path.cpu,
        sent,
        received: sent - lost,
        lost,
        loss_ratio: (sent > 0).then(|| lost as f64 / sent as f64),
        duration_ns,
        rtt,
        jitter_ratio: lowlat_verdict::jitter_ratio(&rtt),
        conditions: context.conditions,
        environment: context.environment,
        warnings: vec![
            "measured in rounds, alternated with the other engines; duplicates and stamps are not counted".into(),
        ],
        ..Measurement::default()
    }
}

/// Bulk TCP streams to the far end's sink (lowlat's own far end only).
fn bulk(path: &Path, streams: u32) -> Result<Running, Failure> {
    let sink = SocketAddr::new(
        path.remote.ip(),
        if path.remote.port() == 0 { lowlat_peers::lowlat::DEFAULT_PORT } else { path.remote.port() },
    );
    Ok(Bulk { sink, streams, bytes_per_second: None, preamble: lowlat_peers::lowlat::sink_request(path.key.as_ref()) }
        .start_unless(signals::stop())?)
}

/// What the figures are of.
fn context(path: &Path, engine: &str) -> Context {
    Context {
        target: path.remote.to_string(),
        proto: path.proto_name().to_owned(),
        peer: path.peer.clone(),
        engine: engine.to_owned(),
        ..Context::default()
    }
}

/// The mode that the flags name.
pub fn mode(open_loop: bool, rate: Option<f64>, pattern: Pattern) -> Result<Mode, Failure> {
    let bad_rate =
        |rate: f64| Failure::new(format!("measure at {rate} probes a second: that is no rate; give one above 0"));
    if let Some(rate) = rate.filter(|r| !(r.is_finite() && *r > 0.0)) {
        return Err(bad_rate(rate));
    }
    if !open_loop {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // a positive rate, just checked; casts saturate
        let interval_ns = rate.map(|r| (1e9 / r).max(1.0) as u64);
        return Ok(Mode::PingPong { interval_ns });
    }
    match rate {
        Some(rate_pps) => Ok(Mode::OpenLoop { rate_pps, pattern }),
        None => Err(Failure::new("measure in open loop: the rate is missing; give --rate PPS")),
    }
}

/// The pattern that the flag names.
pub fn pattern(text: &str) -> Result<Pattern, Failure> {
    let pattern = match text.split_once(':') {
        None if text == "fixed" => Some(Pattern::Fixed),
        None if text == "poisson" => Some(Pattern::Poisson),
        Some(("burst", n)) => n.parse().ok().filter(|n| *n > 0).map(Pattern::Burst),
        _ => None,
    };
    pattern.ok_or_else(|| {
        Failure::new(format!(
            "measure with pattern {text:?}: there is none of that name; choose fixed, poisson or burst:N"
        ))
    })
}

/// `12.3 µs`, or `n/a`.
pub fn words(ns: Option<u64>) -> String {
    ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} µs", us(ns)))
}
