//! One measurement on a path: opens engine and peer, measures, closes. The wiring between `path` and the measure crate.

use lowlat_measure::clock::Wish;
use lowlat_measure::load::{Load as Bulk, RunningLoad};
use lowlat_measure::placement::{PlacedThread, ThreadPlacement};
use lowlat_measure::{
    Context, MeasureError, Mode, Pattern, Probe, ProbeSession, Progress, SampleSink, Samples, Spec, Warmup,
};
use lowlat_model::engine::{EngineOption, EngineState, RoundCost};
use lowlat_model::log::LogHead;
use lowlat_model::measurement::{Measurement, samples_needed};
use lowlat_model::units::us;
use lowlat_model::verdict::{Flow, Round};
use lowlat_model::{Bypass, Schema, tune};
use lowlat_peers::Peer;
use lowlat_samplelog::LogWriter;
use lowlat_sys::{Live, Sys, irqs};
use lowlat_transport::Engine;
use lowlat_tune::Summary;

use crate::Failure;
use crate::clocks;
use crate::conditions::{self, Ticks};
use crate::far;
use crate::figures::{self, SteadyWindow};
use crate::path::ProbePath;
use crate::shape::FittedShape;
use crate::signals;
use crate::suspend::Suspender;

/// Probes at the start of every measurement that are left out: caches, neighbour entries and the far end's wake-up.
const WARMUP_PROBES: u64 = 100;
/// The same in a round of an A/B test, which follows another round on a warm path.
const WARMUP_ROUND: u64 = 5;

/// Bulk streams run so long before the first probe of a round: slow start on a path of 10 ms reaches 10 Gbit/s in
/// ten round trips (RFC 6928: 10 segments at first; doubled in each round trip).
pub const LOAD_RISES: std::time::Duration = std::time::Duration::from_millis(150);

/// After an engine was opened that resets something: rounds of this length, ns, until the path is steady.
const SETTLE_ROUND_NS: u64 = 20_000_000;
/// Most of them.
const MOST_SETTLING: u32 = 100;
/// Two neighbours whose medians differ by at most this part are steady.
const STEADY_PART: u64 = 4;

/// A far end whose answers are further apart than this judges nothing, ns: a round of 30 would take longer than three seconds,
/// and a step some minutes.
const MOST_LIMITED_NS: u64 = 100_000_000;

/// What to measure, and how long.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The path.
    pub path: &'a ProbePath,
    /// Engine name.
    pub engine: &'a str,
    /// Measured time, ns.
    pub duration_ns: u64,
    /// Stop after this many probes.
    pub count: Option<u64>,
    /// When probes leave.
    pub mode: Mode,
    /// The flow whose shape they have, in the mode that [`Ask::shaped`] sets.
    pub shape: Option<&'a FittedShape>,
    /// Left out at the start; `None` for the default.
    pub warmup_ns: Option<u64>,
    /// In a round of an A/B test: time of the probes on a plan that follow the ping-pong, ns; 0 leaves them out.
    pub planned_ns: u64,
    /// In a round of an A/B test: the median that the rate of the plan is derived from, ns, the same in both rounds of
    /// a pair; `None` derives it from the round itself.
    pub median_ns: Option<u64>,
    /// In a round of an A/B test: an answer later than this counts as lost, ns; `None` for the timeout of the path. It
    /// may only be shorter.
    pub timeout_ns: Option<u64>,
    /// In a round of an A/B test: source port of the flow; 0 lets the kernel choose.
    pub source_port: u16,
    /// In a round of an A/B test: opening the engine resets something, so short rounds come first until the path is steady.
    pub settle: bool,
    /// Bulk TCP streams along with the probe.
    pub load_streams: u32,
    /// SCHED_FIFO priority.
    pub rt: Option<u8>,
    /// In a round of an A/B test: interrupt lines of the path's devices, to be counted.
    pub irqs: &'a [u32],
}

impl<'a> Ask<'a> {
    /// Two seconds of ping-pong.
    pub fn new(path: &'a ProbePath, engine: &'a str) -> Self {
        Self {
            path,
            engine,
            duration_ns: 2_000_000_000,
            count: None,
            mode: Mode::PingPong { interval_ns: None },
            shape: None,
            warmup_ns: None,
            planned_ns: 0,
            median_ns: None,
            timeout_ns: None,
            source_port: 0,
            settle: false,
            load_streams: 0,
            rt: None,
            irqs: &[],
        }
    }

    /// In the shape of a flow, where there is one.
    #[must_use]
    pub fn shaped(self, shape: Option<&'a FittedShape>) -> Self {
        Self { mode: shape.map_or(self.mode, FittedShape::mode), shape, ..self }
    }

    /// How long it takes where no count ends it, ns.
    pub fn lasting_ns(&self) -> u64 {
        self.duration_ns.saturating_add(self.warmup_ns.unwrap_or(0))
    }

    /// What the prober is given.
    pub fn spec(&self) -> Spec {
        self.spec_with(WARMUP_PROBES)
    }

    pub(crate) fn spec_with(&self, warmup: u64) -> Spec {
        let mut spec = Spec {
            mode: self.mode,
            count: self.count,
            duration_ns: Some(self.duration_ns),
            size: self.path.size,
            shape: self.shape.map(FittedShape::flow),
            timeout_ns: self.timeout_ns.unwrap_or(u64::MAX).min(self.path.timeout_ns),
            cpu: self.path.placed.as_ref().and_then(|p| p.near.cpu).or(self.path.cpu),
            rt_priority: self.rt,
            stamps: self.path.stamps,
            ..Spec::default()
        };
        // At a slow pace a hundred probes would take longer than the run: then what leaves in the first tenth of a
        // second, or the first few in the first tenth of the run.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let probes = spec.rate_pps().map_or(warmup, |rate| {
            let few = WARMUP_ROUND.min((rate * self.duration_ns as f64 / 1e10) as u64);
            warmup.min((rate * 0.1) as u64).max(few)
        });
        spec.warmup = self.warmup_ns.map_or(Warmup::Probes(probes), Warmup::For);
        spec
    }

    /// Refuses what cannot be measured, before anything is opened, written or sent.
    pub fn check(&self) -> Result<(), Failure> {
        let spec = self.spec();
        if let Some(shape) = self.shape {
            shape.lasts(self.duration_ns)?;
        }
        let once = self.shape.is_none() && spec.rate_pps().is_some_and(|rate| rate * (self.duration_ns as f64) < 1e9);
        if once && self.count != Some(1) {
            return Err(Failure::new(format!(
                "measure at {:?} probes a second for {}: the second probe would leave after the end; choose a higher \
                 --rate or a longer --duration",
                spec.rate_pps().unwrap_or_default(),
                ms(self.duration_ns)
            )));
        }
        Ok(spec.check(self.peer()?.message_sizes())?)
    }

    /// A fresh peer, which knows how long the run is and how fast probes leave.
    pub fn peer(&self) -> Result<Box<dyn Peer>, Failure> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let interval_ns = self.spec().rate_pps().map_or(0, |rate| (1e9 / rate) as u64);
        self.path.peer(self.duration_ns, interval_ns)
    }

    /// As slow as the far end allows, and that as text; `None` where it allows what was asked for.
    pub(crate) fn paced(&self, peer: &str, (least_ns, limited): (Option<u64>, bool)) -> Option<(Self, String)> {
        let least = least_ns?;
        let fastest = 1e9 / least as f64;
        let mode = match self.mode {
            Mode::PingPong { interval_ns } if interval_ns.is_none_or(|i| i < least) => {
                Mode::PingPong { interval_ns: Some(least) }
            }
            // What comes in bunches comes faster than the mean: evenly spread is the fastest that is answered.
            Mode::OpenLoop { rate_pps, pattern } if rate_pps > fastest || pattern != Pattern::Fixed => {
                Mode::OpenLoop { rate_pps: rate_pps.min(fastest), pattern: Pattern::Fixed }
            }
            _ => return None,
        };
        let every = ms(least);
        Some((Self { mode, ..self.clone() }, format!("{}; paced to it", allowed(peer, &every, limited))))
    }
}

/// Decides where the probers run, and asks the far end to stay on its CPU for `lasting_ns`. Call it once for a run and
/// keep the answer in [`ProbePath::placed`], so that every round, with and without load and with every engine, runs on the
/// same CPUs. A run that lasts longer than it said asks again; one that is over gives the place back
/// ([`far::release`]), which
/// [`Held`] does on its own.
pub fn place(path: &ProbePath, lasting_ns: u64, sys: &dyn Sys) -> tune::Placement {
    let near = conditions::choose(path, sys).near;
    match far::place(path, &near, lasting_ns, sys) {
        Ok(far) => tune::Placement { near, far: Some(far), far_why_not: None },
        Err(why) => tune::Placement { near, far: None, far_why_not: Some(why) },
    }
}

/// A path whose probers are placed until this is dropped.
#[derive(Debug)]
pub struct Held(ProbePath);

impl Held {
    /// Places both ends as [`place`] does.
    pub fn take(path: &ProbePath, lasting_ns: u64, sys: &dyn Sys) -> Self {
        Self(ProbePath { placed: Some(place(path, lasting_ns, sys)), ..path.clone() })
    }

    /// The path, with its placement.
    pub fn path(&self) -> &ProbePath {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What was not granted is not there to be given back.
        if self.0.placed.as_ref().is_some_and(|p| p.far.is_some()) {
            far::release(&self.0);
        }
    }
}

/// Where the ends of a run are, in lines for people.
pub fn where_placed(placement: &tune::Placement) -> Vec<String> {
    let near = (!placement.near.why.is_empty()).then(|| format!("near end: {}", placement.near.why));
    let far = match (&placement.far, &placement.far_why_not) {
        (Some(far), _) => Some(format!("far end: {}", far.why)),
        (None, Some(why)) => Some(format!("far end: not placed: {why}")),
        (None, None) => None,
    };
    near.into_iter().chain(far).collect()
}

/// Where the prober of a path runs that nobody has placed yet: its far end was not asked.
pub(crate) fn near_only(path: &ProbePath, sys: &dyn Sys) -> tune::Placement {
    let near = conditions::choose(path, sys).near;
    tune::Placement { near, far: None, far_why_not: Some("the far end was not asked".to_owned()) }
}

/// Who hears what a measurement says meanwhile.
#[allow(missing_debug_implementations)] // closures
pub struct Heard<'a> {
    /// How far it is, some four times a second.
    pub progress: &'a mut dyn FnMut(&Progress),
    /// A line for people.
    pub line: &'a mut dyn FnMut(&str),
}

/// Measures a path and returns the document.
pub fn measure(ask: &Ask<'_>, sys: &dyn Sys) -> Result<Measurement, Failure> {
    let measurement = measure_with(ask, sys, &[], &mut Heard { progress: &mut |_| {}, line: &mut |_| {} })?;
    if signals::stopped() {
        return Err(Failure::new("measure: interrupted by a signal"));
    }
    Ok(measurement)
}

/// As [`measure`], with a sample log in each of `files`, progress, and a line for each log that was finished; on a
/// signal, what was measured so far.
pub fn measure_with(
    ask: &Ask<'_>,
    sys: &dyn Sys,
    files: &[&std::path::Path],
    heard: &mut Heard<'_>,
) -> Result<Measurement, Failure> {
    ask.check()?;
    clocks::settle(Wish::Auto, sys);
    let placed = ask.path.placed.clone().unwrap_or_else(|| near_only(ask.path, sys));
    let path = ProbePath { placed: Some(placed.clone()), ..ask.path.clone() };
    let ask = &Ask { path: &path, ..ask.clone() };
    let load = (ask.load_streams > 0).then(|| bulk(ask.path, ask.load_streams)).transpose()?;
    let mut context = context(ask.path, ask.engine);
    let as_measured = |ask: &Ask<'_>| Spec { lock_memory: true, watch_gaps: true, ..ask.spec() };
    let mut open_logs = |spec: &Spec| {
        // One moment for all: they are copies of one another.
        let started = crate::wall_clock_ns();
        files.iter().map(|file| log_file(file, spec, &context, started)).collect()
    };
    let (ran, set) =
        Suspender::new(sys).around(ask.engine, ask.path, || run(ask, &as_measured, &mut open_logs, heard.progress))?;
    let Ran { mut samples, logs, mut place, spec, slowed, flow, mut engine_state } = ran;
    engine_state.options.extend(set);
    context.warnings.extend(slowed);
    context.warnings.extend(flow.bypass.as_ref().and_then(Bypass::fallback));
    if let Some(Ok(wake_up)) = &mut place.wake_up
        && !signals::stopped()
    {
        wake_up.sleeping_after_ns = conditions::wake_up(&place.choice).ok().map(|w| w.sleeping_ns);
        context.warnings.extend(lowlat_verdict::wake::changed_meanwhile(wake_up));
    }
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
    let steady = if ask.warmup_ns.is_some() { SteadyWindow::Known(None) } else { SteadyWindow::Find };
    let nic = context.conditions.as_ref().and_then(|c| c.hardware_stamps.clone());
    let mut measurement = figures::measurement(&mut samples, &spec, context, steady);
    measurement.warnings.extend(unanswered(ask.path, measurement.lost));
    measurement.flow = flow;
    measurement.engine_state = engine_state;
    measurement.placed = Some(placed);
    measurement.shape = ask.shape.map(|shape| Box::new(shape.figures(&samples)));
    if let Some(stamps) = &mut measurement.stamps {
        stamps.nic = nic;
    }
    for (log, file) in logs.into_iter().zip(files) {
        let probes = log.finish(measurement.steady, measurement.interrupted).map_err(|e| {
            Failure::new(format!(
                "finish the sample log {}: {e}; look at the space left where it is written",
                file.display()
            ))
        })?;
        (heard.line)(&format!("{probes} probes, warm-up included, are in {}", file.display()));
    }
    Ok(measurement)
}

/// The same probes into several logs.
struct Logs<'a>(&'a mut [LogWriter]);

impl SampleSink for Logs<'_> {
    fn put(&mut self, probe: &Probe) -> std::io::Result<()> {
        self.0.iter_mut().try_for_each(|log| log.put(probe))
    }

    fn after(&mut self, index: u64, late: bool) -> std::io::Result<()> {
        self.0.iter_mut().try_for_each(|log| log.after(index, late))
    }
}

/// Begins a log that says what is measured.
fn log_file(
    file: &std::path::Path,
    spec: &Spec,
    context: &Context,
    started_unix_ns: u64,
) -> Result<LogWriter, Failure> {
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
        started_unix_ns,
        environment: context.environment.clone(),
    };
    let head = serde_json::to_vec(&head)
        .map_err(|e| Failure::new(format!("write the head of the sample log: {e}; report this as a bug")))?;
    LogWriter::create(file, &head).map_err(|e| {
        Failure::new(format!("write the sample log {}: {e}; give a writable file with --log", file.display()))
    })
}

/// One round of an A/B test on one flow: ping-pong for [`Ask::duration_ns`], then probes on a plan for
/// [`Ask::planned_ns`] ([`lowlat_measure::paced`]), whose latency counts from the planned send. Lost probes, and
/// planned ones that never left, are [`LOST`](lowlat_model::measurement::LOST).
///
/// The flow stays open across both. The other round of the pair takes the same [`Flow::source_port`] by
/// [`Ask::source_port`]; the plan is drawn from that port, so that it is the same in both. Bulk streams of
/// [`Ask::load_streams`] run from [`LOAD_RISES`] before the first probe to the last.
///
/// On a signal, what was measured so far.
pub fn flow_round(ask: &Ask<'_>) -> Result<Round, Failure> {
    let asked = ask.spec_with(WARMUP_ROUND);
    let load = (ask.load_streams > 0).then(|| bulk(ask.path, ask.load_streams)).transpose()?;
    if load.is_some() {
        std::thread::sleep(LOAD_RISES);
    }
    let decided = ask.path.placed.as_ref().map(|p| p.near.clone());
    let near = decided.unwrap_or_else(|| conditions::choose(ask.path, &Live::new()).near);
    // Before the engine, whose buffers then lie in the memory of the CPU that uses them.
    let placed = PlacedThread::take(&placement(&asked, near.cpu))?;
    let mut engine = ask.path.open_round(ask.engine, ask.source_port)?;
    let mut peer = Ask { duration_ns: ask.duration_ns.saturating_add(ask.planned_ns), ..ask.clone() }.peer()?;
    let mut session = open(ask, &asked, engine.as_mut(), peer.as_mut())?;
    // A far end that sets the pace gets none on a plan: what it allows is a plan already.
    let slower = ask.paced(&ask.path.peer, pace(&session)).map(|(slower, _)| slower.spec_with(WARMUP_ROUND));
    let planned_wanted = if slower.is_some() { 0 } else { ask.planned_ns };
    let spec = slower.unwrap_or(asked);
    if ask.settle {
        settle(&mut session, &spec)?;
    }
    let before = Counted::now(&session, ask.irqs);
    let samples_ns = session.round(&spec, None, signals::stop(), &mut |_| {})?.rtts();
    let seed = session.flow().source_port.map_or(1, u64::from);
    let plan = lowlat_measure::paced(&spec, &samples_ns, ask.median_ns, (planned_wanted, seed))
        .filter(|_| !signals::stopped());
    let planned_ns = match plan {
        Some(plan) => session.round(&plan, None, signals::stop(), &mut |_| {})?.rtts_planned(),
        None => Vec::new(),
    };
    let cost = before.until(&Counted::now(&session, ask.irqs));
    let flow = session.flow();
    let engine = EngineState { placement: where_it_ran(near.cpu, &placed), ..session.engine_state() };
    session.close();
    drop((placed, load));
    Ok(Round { is_b: false, samples_ns, planned_ns, flow, cost, engine })
}

/// As [`flow_round`], with what the engine needs set around it.
pub fn suspended_round(suspender: &mut Suspender<'_>, ask: &Ask<'_>) -> Result<Round, Failure> {
    let (mut round, set) = suspender.around(ask.engine, ask.path, || flow_round(ask))?;
    round.engine.options.extend(set);
    Ok(round)
}

/// What costs of a round are counted by, at one moment.
struct Counted {
    sent: u64,
    wall_ns: u64,
    cpu_ns: Option<u64>,
    system_calls: Option<u64>,
    sleeps: Option<u64>,
    interrupts: Option<u64>,
    net_rx: Option<u64>,
}

impl Counted {
    fn now(session: &ProbeSession<'_>, irqs: &[u32]) -> Self {
        let sys = Live::new();
        let interrupts = || sys.read("/proc/interrupts").into_value().and_then(|t| irqs::fired(&t, irqs));
        Self {
            interrupts: if irqs.is_empty() { None } else { interrupts() },
            net_rx: sys.read("/proc/softirqs").value().and_then(|t| net_rx(t)),
            sleeps: sys.read("/proc/thread-self/status").value().and_then(|t| sleeps(t)),
            sent: session.sent(),
            system_calls: session.system_calls(),
            wall_ns: lowlat_transport::clock::now(),
            cpu_ns: session.works_alone().then(lowlat_os::clock::thread_cpu),
        }
    }

    fn until(&self, later: &Self) -> RoundCost {
        let grown = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
        RoundCost {
            messages: later.sent.saturating_sub(self.sent),
            wall_ns: later.wall_ns.saturating_sub(self.wall_ns),
            cpu_ns: grown(self.cpu_ns, later.cpu_ns),
            system_calls: grown(self.system_calls, later.system_calls),
            sleeps: grown(self.sleeps, later.sleeps),
            interrupts: grown(self.interrupts, later.interrupts),
            net_rx: grown(self.net_rx, later.net_rx),
        }
    }
}

/// Runs of NET_RX, over all CPUs, by the text of `/proc/softirqs` (fs/proc/softirqs.c).
fn net_rx(softirqs: &str) -> Option<u64> {
    let row = softirqs.lines().find_map(|l| l.trim_start().strip_prefix("NET_RX:"))?;
    row.split_whitespace().map(|n| n.parse::<u64>().ok()).sum()
}

/// Times that a thread went to sleep (`voluntary_ctxt_switches`, proc_pid_status(5)).
fn sleeps(status: &str) -> Option<u64> {
    status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// Short rounds on the open flow until the medians of two neighbours agree. A path that stays unsteady is measured anyway:
/// its figures show it.
fn settle(session: &mut ProbeSession<'_>, spec: &Spec) -> Result<(), Failure> {
    let short = Spec { duration_ns: Some(SETTLE_ROUND_NS), ..spec.clone() };
    let mut last = None;
    for _ in 0..MOST_SETTLING {
        if signals::stopped() {
            break;
        }
        let now = lowlat_verdict::quantiles(&session.round(&short, None, signals::stop(), &mut |_| {})?.rtts()).p50_ns;
        if let (Some(before), Some(now)) = (last, now)
            && u64::max(before, now) - u64::min(before, now) <= u64::min(before, now) / STEADY_PART
        {
            break;
        }
        last = now;
    }
    Ok(())
}

/// Where an engine ran whose thread was placed before it was opened. Memory is taken from the node of the CPU that first
/// touches it (Documentation/admin-guide/mm/numa_memory_policy.rst, "local allocation"), which is the pinned one.
fn where_it_ran(cpu: Option<u32>, placed: &PlacedThread) -> Vec<EngineOption> {
    let node = |cpu: u32| {
        let entries = Live::new().list(&format!("/sys/devices/system/cpu/cpu{cpu}")).into_value()?;
        entries.iter().find_map(|e| e.strip_prefix("node")?.parse::<u32>().ok())
    };
    let mut all = Vec::new();
    match cpu {
        Some(cpu) => {
            all.push(EngineOption::got("pinned", format!("to CPU {cpu}")));
            all.push(match node(cpu) {
                Some(node) => EngineOption::got("buffers", format!("on NUMA node {node}, that of CPU {cpu}")),
                None => EngineOption::got("buffers", "in the one memory that this host has (no NUMA nodes in sysfs)"),
            });
        }
        None => all.push(EngineOption::lacking("pinned", "no CPU could be chosen, or several may be used")),
    }
    all.extend(placed.memory().map(memory));
    all
}

/// Whether memory is locked.
pub(crate) fn memory(locked: &Result<(), String>) -> EngineOption {
    const MEMORY: &str = "memory locked";
    match locked {
        Ok(()) => EngineOption::got(MEMORY, ""),
        Err(why) => EngineOption::lacking(MEMORY, why.clone()),
    }
}

pub(crate) fn placement(spec: &Spec, cpu: Option<u32>) -> ThreadPlacement {
    ThreadPlacement { cpu, rt_priority: spec.rt_priority, lock_memory: spec.lock_memory }
}

pub(crate) fn open<'a>(
    ask: &Ask<'_>,
    spec: &Spec,
    engine: &'a mut dyn Engine,
    peer: &'a mut dyn Peer,
) -> Result<ProbeSession<'a>, Failure> {
    let session = begun(ask.path, spec.size, engine, peer)
        .map_err(|e| Failure::new(format!("measure {} with {}: {e}", ask.path.words, ask.engine)))?;
    // From here on a signal ends the round, and what was measured so far is reported.
    signals::at_stake();
    Ok(session)
}

/// A session on this path, with probes of `size` bytes; what it found is there for the next one.
fn begun<'a>(
    path: &ProbePath,
    size: usize,
    engine: &'a mut dyn Engine,
    peer: &'a mut dyn Peer,
) -> Result<ProbeSession<'a>, MeasureError> {
    let session = ProbeSession::open_unless(engine, peer, size, path.timeout_ns, signals::stop())?;
    path.found.keep(session.found());
    Ok(session)
}

/// What [`run`] gives.
struct Ran {
    samples: Samples,
    logs: Vec<LogWriter>,
    place: conditions::Run,
    /// As it was measured.
    spec: Spec,
    /// That the far end set the pace.
    slowed: Option<String>,
    flow: Flow,
    engine_state: EngineState,
}

/// Opens, places, greets, begins the logs (only now: a target that does not answer leaves an old log as it was),
/// measures.
fn run(
    ask: &Ask<'_>,
    spec: &dyn Fn(&Ask<'_>) -> Spec,
    open_logs: &mut dyn FnMut(&Spec) -> Result<Vec<LogWriter>, Failure>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Ran, Failure> {
    let choice = conditions::choose(ask.path, &Live::new());
    let wake_up = conditions::wake_up(&choice);
    let asked = spec(ask);
    let near = choice.near.cpu;
    // Before the engine, whose buffers then lie in the memory of the CPU that uses them.
    let placed = PlacedThread::take(&placement(&asked, near))?;
    let mut engine = ask.path.open(ask.engine)?;
    let mut peer = ask.peer()?;
    let place = conditions::Run {
        wake_up: Some(wake_up),
        ..conditions::Run::of(choice, &placed, asked.rt_priority, Ticks::read(&Live::new()))
    };
    let mut session = open(ask, &asked, engine.as_mut(), peer.as_mut())?;
    let (spec, slowed) = match ask.paced(&ask.path.peer, pace(&session)) {
        Some((slower, words)) => (spec(&slower), Some(words)),
        None => (asked, None),
    };
    let mut logs = open_logs(&spec)?;
    let mut all = Logs(&mut logs);
    let sink: Option<&mut dyn SampleSink> = if all.0.is_empty() { None } else { Some(&mut all) };
    let samples = session.round(&spec, sink, signals::stop(), progress)?;
    let flow = session.flow();
    let engine_state = EngineState { placement: where_it_ran(near, &placed), ..session.engine_state() };
    session.close();
    drop(placed);
    Ok(Ran { samples, logs, place, spec, slowed, flow, engine_state })
}

/// The least time between two probes that the far end answers, ns; `None` where it sets no limit.
pub fn min_interval(path: &ProbePath, engine: &str) -> Result<Option<u64>, Failure> {
    Ok(pace_of(path, engine)?.0)
}

/// What the session found: the least time between probes, and whether it is a limit of the far end.
pub(crate) fn pace(session: &ProbeSession<'_>) -> (Option<u64>, bool) {
    (session.min_interval(), session.limits_answers())
}

fn pace_of(path: &ProbePath, engine: &str) -> Result<(Option<u64>, bool), Failure> {
    let mut engine = path.open(engine)?;
    let mut peer = path.peer(1_000_000_000, 0)?;
    let session = begun(path, path.size, engine.as_mut(), peer.as_mut())
        .map_err(|e| Failure::new(format!("reach {}: {e}", path.words)))?;
    let found = pace(&session);
    session.close();
    Ok(found)
}

/// Who set the pace, as text.
fn allowed(peer: &str, every: &str, limited: bool) -> String {
    if limited && peer == lowlat_peers::udp_closed::ENTRY.name {
        format!(
            "the far end limits its ICMP errors (on Linux net.ipv4.icmp_ratelimit, net.ipv6.icmp.ratelimit, \
             net.ipv4.icmp_msgs_per_sec): it answers one datagram per {every}, and what it keeps back is not counted as loss"
        )
    } else if peer == lowlat_peers::tcp_connect::ENTRY.name {
        format!("one TCP handshake per {every}, to spare the server")
    } else if peer == lowlat_peers::tls::ENTRY.name {
        format!("one TLS greeting per {every}, to spare the server; --rate of `measure` asks for more")
    } else if ["icmp", "arp", "nd", "udp-closed"].contains(&peer) {
        format!("one request per {every}, to spare the far host; --rate of `measure` asks for more")
    } else {
        format!("the {peer} server allows one probe per {every}")
    }
}

/// A round that holds enough probes for a median, besides its warm-up, at the pace that the far end allows.
pub fn round_at_pace(path: &ProbePath, engine: &str, round_ns: u64) -> Result<(u64, Option<String>), Failure> {
    let (least, limited) = pace_of(path, engine)?;
    let Some(least) = least else { return Ok((round_ns, None)) };
    if limited && least > MOST_LIMITED_NS {
        return Err(Failure::new(format!(
            "judge by {}: {}, too few answers to judge by; set that limit to 0 there meanwhile, or choose --proto icmp or \
             tcp-connect",
            path.words,
            allowed(&path.peer, &ms(least), limited)
        )));
    }
    let probes = samples_needed(0.5) + 2 * WARMUP_ROUND;
    let round = round_ns.max(least.saturating_mul(probes));
    let (every, long) = (ms(least), ms(round));
    let said = format!("{}: rounds are {long} long, for {probes} each", allowed(&path.peer, &every, limited));
    Ok((round, (round > round_ns).then_some(said)))
}

/// That a limit of the far end looks like loss, where there is any.
fn unanswered(path: &ProbePath, lost: u64) -> Option<String> {
    (lost > 0 && path.peer == lowlat_peers::udp_closed::ENTRY.name).then(|| {
        format!(
            "{lost} datagrams had no answer: lost on the path, or kept back by a limit on ICMP errors at the far end or on the \
             way; where a slower --rate has fewer, it is the limit"
        )
    })
}

/// Whether bulk streams would find their sink.
pub fn sink_answers(path: &ProbePath) -> Result<(), Failure> {
    load(path, 1).reach_unless(signals::stop()).map_err(no_sink)
}

fn no_sink(error: lowlat_measure::MeasureError) -> Failure {
    Failure::because(error, "start `lowlat serve` there, or leave out --load")
}

/// Whether the target answers at all, and in its protocol.
pub fn reach(path: &ProbePath, engine: &str) -> Result<(), Failure> {
    let mut engine_open = path.open(engine)?;
    let mut peer = path.peer(1_000_000_000, 0)?;
    let session = begun(path, path.size, engine_open.as_mut(), peer.as_mut())
        .map_err(|e| Failure::new(format!("reach {}: {e}", path.words)))?;
    session.close();
    Ok(())
}

/// The document of samples that were taken in rounds.
pub fn summary(path: &ProbePath, engine: &str, rounds: &[&Round], of: &Summary, sys: &dyn Sys) -> Measurement {
    let pooled = |samples: fn(&Round) -> &[u64]| -> Vec<u64> {
        rounds.iter().flat_map(|r| samples(r).iter().copied()).collect()
    };
    let (samples, planned) = (pooled(|r| &r.samples_ns), pooled(|r| &r.planned_ns));
    let rtt = lowlat_verdict::quantiles(&samples);
    let lost = samples.iter().chain(&planned).filter(|s| **s == lowlat_model::measurement::LOST).count() as u64;
    let sent = (samples.len() + planned.len()) as u64;
    let mut context = context(path, engine);
    let choice = conditions::choose(path, sys);
    let cpu = choice.near.cpu;
    let anywhere = || lowlat_measure::placement::allowed_cpus().unwrap_or_default();
    let cpus = cpu.map_or_else(anywhere, |cpu| vec![cpu]);
    let placed = path.placed.clone().unwrap_or_else(|| near_only(path, sys));
    let wake_up = Some(conditions::wake_up(&choice));
    let place = conditions::Run { choice, cpus, wake_up, ..conditions::Run::default() };
    context.conditions = Some(conditions::read(path, &place, sys));
    if of.load_streams > 0 {
        context.environment.insert("load".into(), format!("{} TCP streams", of.load_streams));
    }
    let flow = flow_of(rounds);
    context.warnings.extend(flow.bypass.as_ref().and_then(Bypass::fallback));
    context.warnings.extend(unanswered(path, lost));
    Measurement {
        schema: Schema::current("measure"),
        target: context.target,
        proto: context.proto,
        peer: context.peer,
        engine: context.engine,
        mode: "ping-pong".to_owned(),
        size_bytes: u32::try_from(path.size).unwrap_or(u32::MAX),
        cpu,
        placed: Some(placed),
        sent,
        received: sent - lost,
        lost,
        loss_ratio: (sent > 0).then(|| lost as f64 / sent as f64),
        duration_ns: of.duration_ns,
        rtt,
        rtt_planned: lowlat_verdict::quantiles(&planned),
        jitter_ratio: lowlat_verdict::jitter_ratio(&rtt),
        flow,
        engine_state: rounds.last().map(|r| r.engine.clone()).unwrap_or_default(),
        conditions: context.conditions,
        environment: context.environment,
        warnings: std::iter::once(format!("{}; duplicates and stamps are not counted", of.words))
            .chain(context.warnings)
            .collect(),
        ..Measurement::default()
    }
}

/// The flow of the last round, with the packets of all of them.
fn flow_of(rounds: &[&Round]) -> Flow {
    let Some((last, earlier)) = rounds.split_last() else { return Flow::default() };
    let of_earlier = earlier.iter().filter_map(|r| r.flow.bypass.as_ref());
    Flow { bypass: last.flow.bypass.clone().map(|last| of_earlier.fold(last, Bypass::and)), ..last.flow.clone() }
}

/// Bulk TCP streams to the sink of a `lowlat serve` there.
pub fn bulk(path: &ProbePath, streams: u32) -> Result<RunningLoad, Failure> {
    load(path, streams).start_unless(signals::stop()).map_err(no_sink)
}

fn load(path: &ProbePath, streams: u32) -> Bulk {
    let preamble = lowlat_peers::lowlat::sink_request(path.key.as_ref());
    Bulk { sink: path.sink(), streams, bytes_per_second: None, preamble }
}

/// What the figures are of.
fn context(path: &ProbePath, engine: &str) -> Context {
    Context {
        target: path.shown(),
        proto: path.proto_name().to_owned(),
        peer: path.peer.clone(),
        engine: engine.to_owned(),
        warnings: path.silent_words().into_iter().collect(),
        ..Context::default()
    }
}

/// The mode that the flags name.
pub fn mode(open_loop: bool, rate: Option<f64>, pattern: Pattern) -> Result<Mode, Failure> {
    let bad_rate =
        |rate: f64| Failure::new(format!("measure at {rate} probes a second: that is not a rate; give one above 0"));
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

/// `10 ms`.
fn ms(ns: u64) -> String {
    format!("{} ms", ns as f64 / 1e6)
}

/// `12.3 µs`, or `n/a`.
pub fn words(ns: Option<u64>) -> String {
    ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} µs", us(ns)))
}
