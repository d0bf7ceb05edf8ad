//! A simulated host and path: settings in memory, a journal in memory, round trips that depend on the settings.
#![allow(dead_code)] // each test uses its part

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use lowlat_apply::disk::{Append, Disk};
use lowlat_apply::ledger::HolderId;
use lowlat_apply::writer::{BeforeHold, HostWriter, WriteFailure};
use lowlat_apply::{NetnsExists, Place, RollbackReport, Session, StepError, WatchedPlace, rollback_on};
use lowlat_model::journal::NetnsId;
use lowlat_model::measurement::{LOST, Measurement};
use lowlat_model::op::Target;
use lowlat_model::plan::JudgedBy;
use lowlat_model::tune::Resets;
use lowlat_model::verdict::{Flow, Round};
use lowlat_model::{Locus, Op, Plan, PlannedStep, Quantiles, Reading, Schema, State};
use lowlat_sys::Sys;
use lowlat_testkit::FakeSys;
use lowlat_tune::{
    Attach, Bench, BenchError, CommandJudge, Limits, LinkReport, RoundAsk, RunProgress, Summary, Together, TuneError,
    Tuned, tune,
};
use lowlat_verdict::Random;

/// What a write to a setting does besides taking the value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Event {
    #[default]
    Nothing,
    /// The link goes down and comes up.
    LinkReset,
    /// The route goes.
    RouteLost,
    /// A signal arrives.
    Signal,
}

#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) settings: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    /// Host writes and journal bytes so far.
    pub(crate) spent: usize,
    /// The same until the power is cut.
    pub(crate) budget: Option<usize>,
    pub(crate) refuse: Option<String>,
    pub(crate) events: BTreeMap<String, Event>,
    pub(crate) resets: u32,
    pub(crate) lost: bool,
    pub(crate) signal: bool,
    pub(crate) writes: Vec<String>,
    /// What opening an engine does, by its name.
    pub(crate) opens: BTreeMap<String, Event>,
    /// A reset that nobody waited for spoils the rounds that follow.
    pub(crate) stirred: bool,
    /// Rounds of each engine, and waits for the link, in their order.
    pub(crate) seen: Vec<String>,
    /// What was said of progress, and when; and the time now, ns.
    pub(crate) progress: Vec<(u64, RunProgress)>,
    pub(crate) clock: u64,
}

impl Machine {
    fn spend(&mut self, n: usize) -> usize {
        self.spent += n;
        let Some(left) = &mut self.budget else { return n };
        let take = n.min(*left);
        *left -= take;
        take
    }
}

#[derive(Clone, Default)]
pub(crate) struct Host(pub(crate) Rc<RefCell<Machine>>);

struct File(Host, String);

impl Append for File {
    fn append(&mut self, bytes: &[u8], _: bool) -> io::Result<()> {
        let mut m = self.0.0.borrow_mut();
        let take = m.spend(bytes.len());
        m.files.get_mut(&self.1).unwrap().extend_from_slice(&bytes[..take]);
        if take < bytes.len() { Err(io::Error::other("power cut")) } else { Ok(()) }
    }
}

impl Disk for Host {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.borrow().files.keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().files[name].clone())
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        assert!(self.0.borrow_mut().files.insert(name.into(), Vec::new()).is_none());
        Ok(Box::new(File(self.clone(), name.into())))
    }
    fn resume(&self, name: &str, whole: u64) -> io::Result<Box<dyn Append>> {
        self.0.borrow_mut().files.get_mut(name).unwrap().truncate(usize::try_from(whole).unwrap());
        Ok(Box::new(File(self.clone(), name.into())))
    }
    fn side_file(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

impl HostWriter for Host {
    fn state(&self, _: &dyn Sys, locus: &Locus) -> Reading<State> {
        let Locus::File { path } = locus else { return Reading::Absent("none".into()) };
        let m = self.0.borrow();
        m.settings.get(path).map_or_else(|| Reading::Absent("gone".into()), |t| Reading::Value(State::Text(t.clone())))
    }
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        let (Locus::File { path }, State::Text(text)) = (&op.locus, &op.set) else {
            return Err(WriteFailure("kind".into()));
        };
        let mut m = self.0.borrow_mut();
        if m.refuse.as_ref() == Some(path) {
            return Err(WriteFailure("operation not supported".into()));
        }
        if m.spend(1) == 0 {
            return Err(WriteFailure("power cut".into()));
        }
        m.settings.insert(path.clone(), text.clone());
        m.writes.push(format!("{path}={text}"));
        match m.events.get(path).copied().unwrap_or_default() {
            Event::Nothing => {}
            Event::LinkReset => m.resets += 1,
            Event::RouteLost => m.lost = true,
            Event::Signal => m.signal = true,
        }
        Ok(())
    }
    fn hold(&mut self, _: &str, _: BeforeHold<'_>) -> Result<(), WriteFailure> {
        Err(WriteFailure("none".into()))
    }
    fn release(&mut self, _: &HolderId) -> Result<bool, WriteFailure> {
        Ok(true)
    }
}

#[derive(Debug)]
struct Unknown;

impl NetnsExists for Unknown {
    fn exists(&self, _: NetnsId) -> Option<bool> {
        None
    }
}

const NETNS: NetnsId = NetnsId { inode: 7, cookie: Some(70) };

fn place() -> Place<'static> {
    Place { netns: NETNS, boot_id: "boot", netns_exists: &Unknown }
}

/// How the path's round trips come about: ping-pong and planned, ns; infinite for a lost probe.
pub(crate) type Path = fn(&BTreeMap<String, String>, &mut Random) -> (f64, f64);

/// A path whose ping-pong and planned round trips, ns, are a function of the settings, with drifting noise on top.
pub(crate) struct SimBench {
    host: Host,
    path: Path,
    random: Random,
    drift: f64,
    now_ns: u64,
    resets_seen: u32,
    load: u32,
    pub(crate) rounds: u32,
}

impl SimBench {
    pub(crate) fn new(host: &Host, path: Path, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { host: host.clone(), path, random, drift: 0.0, now_ns: 0, resets_seen: 0, load: 0, rounds: 0 }
    }

    fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        self.host.0.borrow_mut().clock = self.now_ns;
    }

    fn samples(&mut self, duration_ns: u64, timeout_ns: u64, planned: bool) -> Vec<u64> {
        let mut all = Vec::new();
        let (mut spent, mut waited) = (0, 0);
        // A slow drift that both rounds of a pair share for the most part.
        self.drift = 0.95 * self.drift + 0.02 * self.random.normal();
        // At most as many as a real round keeps apart; more would only cost the test its time.
        while spent < duration_ns && all.len() < 1_200 {
            let settings = self.host.0.borrow().settings.clone();
            let (ping_pong, from_plan) = (self.path)(&settings, &mut self.random);
            let base = if planned { from_plan } else { ping_pong };
            let jitter =
                0.03 * self.random.normal() + if self.random.unit() < 0.003 { self.random.exponential() } else { 0.0 };
            if base.is_infinite() {
                all.push(LOST);
                spent += timeout_ns;
                waited = spent.saturating_sub(duration_ns);
                continue;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
            let ns = (base * f64::exp(self.drift + jitter)) as u64;
            all.push(ns);
            spent += ns;
        }
        self.pass(duration_ns + waited);
        all
    }
}

impl Bench for SimBench {
    fn round(&mut self, ask: &RoundAsk) -> Result<Round, BenchError> {
        self.rounds += 1;
        let engine = ask.engine.clone().unwrap_or_default();
        if self.host.0.borrow().opens.get(&engine) == Some(&Event::LinkReset) {
            self.host.0.borrow_mut().resets += 1;
        }
        let settles = ask.planned_ns == 0;
        if ask.settle {
            self.host.0.borrow_mut().seen.push("settled within".into());
        }
        self.host.0.borrow_mut().seen.push(if settles { "settle".into() } else { engine.clone() });
        let timeout_ns = ask.timeout_ns.unwrap_or(1_000_000_000);
        let samples_ns = self.samples(ask.ping_pong_ns, timeout_ns, false);
        let planned_ns = if ask.planned_ns > 0 { self.samples(ask.planned_ns, timeout_ns, true) } else { Vec::new() };
        {
            let mut m = self.host.0.borrow_mut();
            if m.stirred && !settles {
                m.seen.push(format!("spoilt {engine}"));
            }
            m.stirred = m.opens.get(&engine) == Some(&Event::LinkReset) || (m.stirred && !settles);
        }
        let flow = Flow { source_port: Some(ask.source_port), ..Flow::default() };
        Ok(Round { samples_ns, planned_ns, flow, ..Round::default() })
    }
    fn plan_gap_ns(&self, median_ns: u64) -> u64 {
        // As a live bench: one send in four medians.
        4 * median_ns
    }
    fn source_port(&mut self) -> Result<u16, BenchError> {
        Ok(40_000)
    }
    fn start_load(&mut self, streams: u32) -> Result<(), BenchError> {
        self.load = streams;
        Ok(())
    }
    fn stop_load(&mut self) {
        self.load = 0;
    }
    fn summarize(&mut self, rounds: &[&Round], of: &Summary) -> Measurement {
        let mut all: Vec<u64> = rounds.iter().flat_map(|r| r.samples_ns.iter().copied()).collect();
        let lost = all.iter().filter(|s| **s == LOST).count() as u64;
        let sent = all.len() as u64;
        Measurement {
            sent,
            lost,
            received: sent - lost,
            duration_ns: of.duration_ns,
            rtt: Quantiles::of(&mut all),
            ..Measurement::default()
        }
    }
    fn counter(&mut self, _: &str, key: &str) -> Result<u64, BenchError> {
        let m = self.host.0.borrow();
        let drops = m.settings.get(key).map_or(0, |t| u64::from(t != "1"));
        Ok(self.now_ns / 1_000_000 * drops)
    }
    fn figure(&mut self) -> Result<f64, BenchError> {
        self.rounds += 1;
        self.pass(10_000_000);
        let settings = self.host.0.borrow().settings.clone();
        let (figure, _) = (self.path)(&settings, &mut self.random);
        self.host.0.borrow_mut().stirred = false;
        if figure.is_infinite() {
            return Err(BenchError("judge by \"bench\": exit status: 1; run it by hand until it succeeds".into()));
        }
        Ok(figure * (1.0 + 0.03 * self.random.normal()))
    }
    fn links(&mut self) -> LinkReport {
        let resets = self.host.0.borrow().resets;
        if resets == self.resets_seen {
            return LinkReport::default();
        }
        self.resets_seen = resets;
        LinkReport { resets: Resets::Link, changes: vec!["eth0: the link went down and up".into()] }
    }
    fn await_links(&mut self, _: u64) -> Result<(), BenchError> {
        self.host.0.borrow_mut().seen.push("await".into());
        Ok(())
    }
    fn path_lost(&mut self) -> Option<String> {
        self.host.0.borrow().lost.then(|| "the route to 192.0.2.1 no longer leaves by eth0".into())
    }
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
    fn wait(&mut self, ns: u64) {
        self.pass(ns);
    }
    fn progress(&mut self, at: &RunProgress) {
        self.host.0.borrow_mut().progress.push((self.now_ns, at.clone()));
    }
    fn stopped(&self) -> bool {
        self.host.0.borrow().signal
    }
}

/// A host with these settings, all `0`.
pub(crate) fn host(settings: &[&str]) -> Host {
    let host = Host::default();
    host.0.borrow_mut().settings.extend(settings.iter().map(|s| ((*s).to_owned(), "0".to_owned())));
    host
}

/// A step that sets `name` to `1`.
pub(crate) fn step(name: &str) -> PlannedStep {
    PlannedStep {
        knob: name.into(),
        phase: 2,
        from: "0".into(),
        to: "1".into(),
        ops: vec![Op::file(name, "1")],
        prior: vec![State::Text("0".into())],
        rules: vec![format!("rule-of-{name}")],
        ..PlannedStep::default()
    }
}

/// The same, judged by the counter of its own name.
pub(crate) fn counted(name: &str) -> PlannedStep {
    PlannedStep { judged_by: JudgedBy::Counter { group: "sim".into(), key: name.into() }, ..step(name) }
}

/// The same, judged by a command.
pub(crate) fn by_command(step: PlannedStep, higher_is_better: bool) -> PlannedStep {
    PlannedStep { judged_by: judge(higher_is_better, false).judged_by(), ..step }
}

/// These limits with a command as the judge of the whole.
pub(crate) fn command(limits: Limits, higher_is_better: bool, probed_too: bool) -> Limits {
    Limits { judge: Some(judge(higher_is_better, probed_too)), ..limits }
}

fn judge(higher_is_better: bool, probed_too: bool) -> CommandJudge {
    CommandJudge { command: "bench".into(), higher_is_better, run_ns: 10_000_000, probed_too }
}

pub(crate) fn plan(steps: Vec<PlannedStep>) -> Plan {
    Plan { schema: Schema::current("plan"), iface: Some("eth0".into()), steps, left_out: Vec::new() }
}

/// The limits of most tests: short rounds, a simulated second costs nothing.
pub(crate) fn limits(seed: u64) -> Limits {
    Limits { headline_ns: 1_000_000_000, seed, ..Limits::default() }
}

/// Runs the loop; a failed run is rolled back, as every caller does.
pub(crate) fn run(host: &Host, path: Path, plan: &Plan, limits: &Limits) -> Result<Tuned, TuneError> {
    run_from(host, (path, 50_000), plan, limits, &mut |_| {})
}

/// The same on a path whose median before the run is given, ns, and what it says.
pub(crate) fn run_from(
    host: &Host,
    (path, median_ns): (Path, u64),
    plan: &Plan,
    limits: &Limits,
    say: &mut dyn FnMut(&str),
) -> Result<Tuned, TuneError> {
    run_with(host, (path, median_ns), plan, limits, None, say)
}

/// The same with an engine of the run's own that attaches a program.
pub(crate) fn run_with(
    host: &Host,
    (path, median_ns): (Path, u64),
    plan: &Plan,
    limits: &Limits,
    attach: Option<&Attach>,
    say: &mut dyn FnMut(&str),
) -> Result<Tuned, TuneError> {
    let mut session = Session::begin_on(Box::new(host.clone()), host.clone(), Box::new(()), &place(), || 0)
        .map_err(|e| TuneError::Host(StepError::Apply(e)))?;
    let mut bench = SimBench::new(host, path, limits.seed ^ 0x5eed);
    let tuned = tune(&mut bench, &FakeSys::new(), &mut session, plan, (limits, Some(median_ns)), attach, say);
    if tuned.is_err() {
        let _ = session.rollback(&FakeSys::new());
    }
    tuned
}

/// An open transaction on the host.
pub(crate) fn session(host: &Host) -> Session<Host> {
    Session::begin_on(Box::new(host.clone()), host.clone(), Box::new(()), &place(), || 0).unwrap()
}

/// A setting as a place of a knob of its name.
pub(crate) fn watched(name: &str) -> WatchedPlace {
    WatchedPlace { knob: name.into(), target: Target::Host, locus: Locus::File { path: name.into() } }
}

/// All steps of a plan together.
pub(crate) fn together(
    host: &Host,
    path: Path,
    session: &mut Session<Host>,
    plan: &Plan,
    limits: &Limits,
    say: &mut dyn FnMut(&str),
) -> Together {
    let mut bench = SimBench::new(host, path, limits.seed ^ 0x5eed);
    lowlat_tune::together(&mut bench, &FakeSys::new(), session, plan, (limits, Some(50_000)), None, say).unwrap()
}

/// What `lowlat rollback` does: from the disk alone.
pub(crate) fn rollback(host: &Host) -> RollbackReport {
    host.0.borrow_mut().budget = None;
    let mut writer = host.clone();
    rollback_on(&FakeSys::new(), &mut writer, host, &place(), None, false, || 0).unwrap()
}

/// The settings unchanged.
pub(crate) fn settings(host: &Host) -> BTreeMap<String, String> {
    host.0.borrow().settings.clone()
}
