//! A path that is simulated, seeded and exact: the truth of every count is known.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use lowlat_peers::{Decoded, FarStamps, Peer};
use lowlat_transport::gaps::Gaps;
use lowlat_transport::{Caps, Engine, EngineError, Got, Ns, Proto};

use crate::session::Clocks;
use crate::{MeasureError, ProbeSession, Progress, SampleSink, Samples, Spec};
use lowlat_model::random::Random;

/// What the simulated path does.
#[derive(Debug, Clone)]
pub struct SimulatedPath {
    /// Shortest round trip, ns.
    pub base_ns: u64,
    /// Mean of the exponential delay on top, ns.
    pub tail_ns: f64,
    /// Probability that a probe is lost.
    pub loss: f64,
    /// Probability that an answer comes twice.
    pub duplicate: f64,
    /// Probability that an answer takes `hold_ns` longer, so that later ones overtake it.
    pub hold: f64,
    /// See `hold`.
    pub hold_ns: u64,
    /// Probability that a message of somebody else comes too.
    pub foreign: f64,
    /// The far end stands still between these two times after the start, ns: nothing is answered before the second.
    pub freeze: Option<(Ns, Ns)>,
    /// In each period of the first length, ns, nothing is answered for the second: what would come then comes at its
    /// end.
    pub stall: Option<(u64, u64)>,
    /// After a silence of the first length, ns, an answer takes the second longer.
    pub asleep: Option<(u64, u64)>,
    /// This program stands still between these two times: it neither sends nor receives.
    pub client_freeze: Option<(Ns, Ns)>,
    /// What a send costs, ns.
    pub send_cost_ns: u64,
    /// Every so-many-th send finds the queue full, once.
    pub full_every: Option<u64>,
    /// Of all random choices.
    pub seed: u64,
}

impl Default for SimulatedPath {
    fn default() -> Self {
        Self {
            base_ns: 5_000,
            tail_ns: 500.0,
            loss: 0.0,
            duplicate: 0.0,
            hold: 0.0,
            hold_ns: 0,
            foreign: 0.0,
            freeze: None,
            stall: None,
            asleep: None,
            client_freeze: None,
            send_cost_ns: 300,
            full_every: None,
            seed: 1,
        }
    }
}

/// What truly happened, for a test to compare with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truth {
    /// Probes that left.
    pub sent: u64,
    /// Of them lost on the path.
    pub lost: u64,
    /// Answers sent twice.
    pub duplicated: u64,
    /// Messages of somebody else.
    pub foreign: u64,
    /// Sends that found the queue full.
    pub full: u64,
}

/// An engine on a [`SimulatedPath`], with a clock of its own that only moves when something is waited for.
#[derive(Debug)]
pub struct SimEngine {
    path: SimulatedPath,
    caps: Caps,
    clock: Rc<Cell<Ns>>,
    random: Random,
    /// What will come: when, a tie-breaker, and the bytes.
    coming: BinaryHeap<Reverse<(Ns, u64, Vec<u8>)>>,
    sends: u64,
    /// When the last answer left the far end.
    answered: Ns,
    order: u64,
    gaps: Gaps,
    /// What happened.
    pub truth: Truth,
}

/// Where simulated time starts; not 0, so that a difference taken the wrong way round shows.
const EPOCH: Ns = 1_000_000_000;

impl SimEngine {
    /// A fresh path.
    pub fn new(path: SimulatedPath) -> Self {
        Self {
            random: Random::new(path.seed),
            path,
            caps: Caps { max_message: 1_472, spins: true, words: "simulated".into(), costs: "nothing".into() },
            clock: Rc::new(Cell::new(EPOCH)),
            coming: BinaryHeap::new(),
            sends: 0,
            answered: EPOCH,
            order: 0,
            gaps: Gaps::new(),
            truth: Truth::default(),
        }
    }

    /// Passes the time to `t`, or beyond a freeze of this program.
    fn pass_to(&mut self, t: Ns) {
        let before = self.clock.get();
        let mut t = t.max(before);
        if let Some((from, to)) = self.path.client_freeze
            && t >= EPOCH + from
            && t < EPOCH + to
        {
            t = EPOCH + to;
            self.gaps.look(before.max(EPOCH + from), t);
        }
        self.clock.set(t);
    }

    fn schedule(&mut self, at: Ns, bytes: Vec<u8>) {
        self.order += 1;
        self.coming.push(Reverse((at, self.order, bytes)));
    }
}

impl Engine for SimEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        self.sends += 1;
        if self.path.full_every.is_some_and(|n| self.sends.is_multiple_of(n)) {
            self.truth.full += 1;
            self.pass_to(self.clock.get() + self.path.send_cost_ns);
            return Err(EngineError::Os { what: "send".into(), source: std::io::ErrorKind::WouldBlock.into() });
        }
        let sent = self.clock.get();
        self.pass_to(sent + self.path.send_cost_ns);
        self.truth.sent += 1;
        // All draws are made whatever happens, so that one setting does not change another's events.
        let lost = self.random.chance(self.path.loss);
        let twice = self.random.chance(self.path.duplicate);
        let held = self.random.chance(self.path.hold);
        let foreign = self.random.chance(self.path.foreign);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let tail = (self.path.tail_ns * self.random.exponential()) as u64;
        let mut at = sent + self.path.base_ns + tail + if held { self.path.hold_ns } else { 0 };
        if let Some((from, to)) = self.path.freeze
            && at >= EPOCH + from
            && at < EPOCH + to
        {
            at = EPOCH + to + tail;
        }
        if let Some((period, length)) = self.path.stall {
            let into = (at - EPOCH) % period;
            at += length.saturating_sub(into);
        }
        if let Some((silence, longer)) = self.path.asleep
            && sent.saturating_sub(self.answered) >= silence
        {
            at += longer;
        }
        self.answered = self.answered.max(at);
        if foreign {
            self.truth.foreign += 1;
            self.schedule(at, vec![0xff; 3]);
        }
        if lost {
            self.truth.lost += 1;
            return Ok(sent);
        }
        self.schedule(at, message.to_vec());
        if twice {
            self.truth.duplicated += 1;
            self.schedule(at + 1, message.to_vec());
        }
        Ok(sent)
    }

    fn gaps(&mut self) -> Option<&mut Gaps> {
        Some(&mut self.gaps)
    }

    fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
        let due = self.coming.peek().is_some_and(|Reverse((at, ..))| *at <= until.max(self.clock.get()));
        if !due {
            self.pass_to(until);
            return Ok(None);
        }
        let Some(Reverse((at, _, bytes))) = self.coming.pop() else { return Ok(None) };
        self.pass_to(at);
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(Some(Got { len: bytes.len(), at: self.clock.get(), kernel_rx: None, hardware_rx: None }))
    }
}

/// The plainest protocol: the sequence number, little-endian, then zeros; the far end says it took 100 ns.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimPeer;

impl Peer for SimPeer {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn protos(&self) -> &'static [Proto] {
        &[Proto::Udp]
    }

    fn default_port(&self) -> u16 {
        0
    }

    fn message_sizes(&self) -> (usize, usize) {
        (8, 1_472)
    }

    fn encode(&mut self, seq: u64, _planned: Ns, message: &mut [u8]) {
        message.fill(0);
        message[..8].copy_from_slice(&seq.to_le_bytes());
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        match message.first_chunk::<8>() {
            Some(seq) => Decoded::Reply {
                seq: u64::from_le_bytes(*seq),
                far: Some(FarStamps { received_ns: 7, sent_ns: 107, kernel_ns: None }),
            },
            None => Decoded::Foreign("too short"),
        }
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |_| None
    }
}

struct SimClocks(Rc<Cell<Ns>>);

impl Clocks for SimClocks {
    fn now(&self) -> Ns {
        self.0.get()
    }

    fn realtime_offset(&self) -> Option<(i64, u64)> {
        Some((1_700_000_000_000_000_000, 0))
    }
}

/// Runs several rounds on one simulated flow, as an A/B test does; `stop` is looked at as in real runs.
pub fn simulate_rounds(
    engine: &mut SimEngine,
    specs: &[Spec],
    stop: &std::sync::atomic::AtomicBool,
) -> Result<Vec<Samples>, MeasureError> {
    let clocks = SimClocks(engine.clock.clone());
    let mut peer = SimPeer;
    let first = specs.first().cloned().unwrap_or_default();
    let mut session = ProbeSession::open_at(engine, &mut peer, first.size, first.timeout_ns, &clocks)?;
    specs.iter().map(|spec| session.round_at(spec, None, stop, &mut |_| {}, &clocks)).collect()
}

/// Runs `spec` on the simulated path, in simulated time.
pub fn simulate(
    engine: &mut SimEngine,
    spec: &Spec,
    log: Option<&mut dyn SampleSink>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Samples, MeasureError> {
    let clocks = SimClocks(engine.clock.clone());
    let mut peer = SimPeer;
    let mut session = ProbeSession::open_at(engine, &mut peer, spec.size, spec.timeout_ns, &clocks)?;
    session.round_at(spec, log, &std::sync::atomic::AtomicBool::new(false), progress, &clocks)
}
