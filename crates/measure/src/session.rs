//! One flow to one far end, measured once or in many rounds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::engine::EngineState;
use lowlat_os::cpu;
use lowlat_peers::{Decoded, FoundPace, Peer};
use lowlat_transport::thread::{ExactSleeps, WithoutRseq};
use lowlat_transport::{Engine, Flow, Ns, StampAt, StampSet, clock};

use crate::gaps::Watch;
use crate::probed::Probed;
use crate::round::{PATIENCE_NS, Progress, Round, STAMPS_COME_NS, Stamps};
use crate::samples::Samples;
use crate::stages;
use crate::window::Memory;
use crate::{MeasureError, Mode, SampleSink, Spec, Warmup, openloop, pingpong};

/// Probes that find out which stamps come.
const STAMP_PROBES: u64 = 32;
/// Times that this is tried. The kernel switches its receive stamps on from a work queue (`net_enable_timestamp` in
/// net/core/dev.c), so packets of the first moments have none.
const STAMP_ROUNDS: u32 = 4;
/// Probes of the greeting. The first waits a sixteenth of the timeout and each next one twice as long, up to the
/// timeout: a round that is opened on a lossy path would else wait a whole timeout for each greeting that is lost, and
/// all of them together wait 4.9 timeouts, as long as five full ones.
const GREETINGS: u32 = 8;
/// Doublings before a greeting waits the whole timeout.
const GREETING_DOUBLES: u32 = 4;

/// How long greeting `n` (from 1) is waited for, ns.
fn greeting_wait(n: u32, timeout_ns: u64) -> u64 {
    timeout_ns >> GREETING_DOUBLES.saturating_sub(n - 1)
}

/// Where a run gets the time that the engine does not report: at its start only, and the two clocks' difference.
pub(crate) trait Clocks {
    fn now(&self) -> Ns;
    /// Realtime less monotonic, ns, and what that may be off by.
    fn realtime_offset(&self) -> Option<(i64, u64)>;
}

/// The host's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostClocks;

impl Clocks for HostClocks {
    fn now(&self) -> Ns {
        clock::now()
    }

    fn realtime_offset(&self) -> Option<(i64, u64)> {
        // The tightest of a few bracketed reads: a pre-emption between two clocks would be taken for an offset.
        let mut best: Option<(u64, i64)> = None;
        for _ in 0..16 {
            let before = clock::now();
            let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
            let after = clock::now();
            let width = after - before;
            let offset = i64::try_from(wall.as_nanos()).ok()? - i64::try_from(before + width / 2).ok()?;
            if best.is_none_or(|(w, _)| width < w) {
                best = Some((width, offset));
            }
        }
        best.map(|(width, offset)| (offset, width / 2 + 1))
    }
}

/// A flow that is open and has answered.
pub struct ProbeSession<'a> {
    engine: &'a mut dyn Engine,
    peer: &'a mut dyn Peer,
    next_seq: u64,
    memory: Memory,
    message: Vec<u8>,
    buffer: Vec<u8>,
    probed: Option<Probed>,
}

impl std::fmt::Debug for ProbeSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer.name())
            .field("next_seq", &self.next_seq)
            .finish_non_exhaustive()
    }
}

impl<'a> ProbeSession<'a> {
    /// Frames, shakes hands, and sends up to eight probes of `size` bytes until one is answered: the first is waited
    /// for a sixteenth of `timeout_ns`, each next one twice as long, up to the whole.
    ///
    /// Silence and answers in another language are told apart ([`MeasureError::Silent`], [`MeasureError::Nonsense`]).
    pub fn open(
        engine: &'a mut dyn Engine,
        peer: &'a mut dyn Peer,
        size: usize,
        timeout_ns: u64,
    ) -> Result<Self, MeasureError> {
        Self::open_unless(engine, peer, size, timeout_ns, &AtomicBool::new(false))
    }

    /// As [`ProbeSession::open`]; ends within a tenth of a second after `stop` is set ([`MeasureError::Stopped`]).
    pub fn open_unless(
        engine: &'a mut dyn Engine,
        peer: &'a mut dyn Peer,
        size: usize,
        timeout_ns: u64,
        stop: &AtomicBool,
    ) -> Result<Self, MeasureError> {
        Self::open_until(engine, peer, size, timeout_ns, (&HostClocks, stop))
    }

    pub(crate) fn open_at(
        engine: &'a mut dyn Engine,
        peer: &'a mut dyn Peer,
        size: usize,
        timeout_ns: u64,
        clocks: &dyn Clocks,
    ) -> Result<Self, MeasureError> {
        Self::open_until(engine, peer, size, timeout_ns, (clocks, &AtomicBool::new(false)))
    }

    fn open_until(
        engine: &'a mut dyn Engine,
        peer: &'a mut dyn Peer,
        size: usize,
        timeout_ns: u64,
        (clocks, stop): (&dyn Clocks, &AtomicBool),
    ) -> Result<Self, MeasureError> {
        let probe = Spec { size, timeout_ns: timeout_ns.max(1), ..Spec::default() };
        probe.check(peer.message_sizes())?;
        engine.set_framing(peer.framing());
        peer.open(engine, clocks.now().saturating_add(timeout_ns.max(peer.opens_within())), stop)?;
        if stop.load(Ordering::Relaxed) {
            engine.rest();
            return Err(MeasureError::Stopped);
        }
        let largest = engine.caps().max_message.max(size);
        // One byte more than the largest answer: a longer one is then seen to be longer, not taken for it.
        let mut session = Self {
            engine,
            peer,
            next_seq: 0,
            memory: Memory::new(0),
            message: vec![0; size],
            buffer: vec![0; largest + 1],
            probed: None,
        };
        let greeted = session.greet(timeout_ns, clocks, stop);
        session.engine.rest();
        greeted.map(|()| session)
    }

    /// The least time between two probes that the far end answers, ns; `None` where it sets no limit.
    pub fn min_interval(&self) -> Option<u64> {
        self.peer.min_interval()
    }

    /// See [`Peer::limits_answers`].
    pub fn limits_answers(&self) -> bool {
        self.peer.limits_answers()
    }

    /// See [`Peer::found`].
    pub fn found(&self) -> Option<FoundPace> {
        self.peer.found()
    }

    /// Probes that were sent, the greetings included.
    pub fn sent(&self) -> u64 {
        self.next_seq
    }

    /// What the engine is now ([`Engine::caps`], [`Engine::options`]).
    pub fn engine_state(&self) -> EngineState {
        EngineState { words: self.engine.caps().words.clone(), options: self.engine.options(), placement: Vec::new() }
    }

    /// See [`Engine::works_alone`].
    pub fn works_alone(&self) -> bool {
        self.engine.works_alone()
    }

    /// See [`Engine::system_calls`].
    pub fn system_calls(&self) -> Option<u64> {
        self.engine.system_calls()
    }

    fn greet(&mut self, timeout_ns: u64, clocks: &dyn Clocks, stop: &AtomicBool) -> Result<(), MeasureError> {
        let (mut answers, mut why) = (0, "");
        let mut now = clocks.now();
        for tries in 1..=GREETINGS {
            let seq = self.next_seq;
            self.next_seq += 1;
            self.peer.encode(seq, now, &mut self.message);
            let until = self.engine.send(&self.message)?.saturating_add(greeting_wait(tries, timeout_ns));
            loop {
                // In short waits, so that the flag is looked at.
                let short = until.min(now.saturating_add(PATIENCE_NS));
                let Some(got) = self.engine.recv(&mut self.buffer, short)? else {
                    if stop.load(Ordering::Relaxed) {
                        return Err(MeasureError::Stopped);
                    }
                    now = short;
                    if short >= until {
                        break;
                    }
                    continue;
                };
                now = now.max(got.at);
                match self.peer.decode(&self.buffer[..got.len]) {
                    Decoded::Reply { .. } => {
                        self.memory.close(seq, true);
                        return Ok(());
                    }
                    Decoded::Foreign(reason) => {
                        answers += 1;
                        why = reason;
                    }
                }
                if got.at >= until {
                    break;
                }
            }
            now = until;
            self.memory.close(seq, false);
            if tries == GREETINGS && answers > 0 {
                return Err(MeasureError::Nonsense { peer: self.peer.name(), answers, why });
            }
        }
        Err(MeasureError::Silent {
            peer: self.peer.name(),
            tries: GREETINGS,
            waited_ms: (1..=GREETINGS).map(|n| greeting_wait(n, timeout_ns)).sum::<u64>() / 1_000_000,
        })
    }

    /// Measures once. Rounds of one session follow each other on the same flow, with sequence numbers that go on, so
    /// that an answer from the round before is known as such.
    ///
    /// `progress` is reported about four times a second, between probes. When `stop` is set, what was measured so far
    /// comes back, marked [`Samples::interrupted`].
    pub fn round(
        &mut self,
        spec: &Spec,
        log: Option<&mut dyn SampleSink>,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Samples, MeasureError> {
        self.round_at(spec, log, stop, progress, &HostClocks)
    }

    pub(crate) fn round_at(
        &mut self,
        spec: &Spec,
        log: Option<&mut dyn SampleSink>,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(&Progress),
        clocks: &dyn Clocks,
    ) -> Result<Samples, MeasureError> {
        spec.check(self.peer.message_sizes())?;
        self.message.resize(spec.size, 0);
        if spec.stamps && self.probed.is_none() {
            self.probe_stamps(spec, stop, clocks)?;
        }
        let mut samples = Samples::new(spec, self.next_seq);
        samples.probed.clone_from(&self.probed);
        let discarded = self.engine.discarded();
        if spec.stamps {
            let mut old = Vec::new();
            self.engine.tx_stamps(&mut old);
        }
        let offset = clocks.realtime_offset();
        let watch = Watch::new(self.engine, spec.watch_gaps, matches!(spec.mode, Mode::OpenLoop { .. }));
        let mut round = Round {
            engine: &mut *self.engine,
            peer: &mut *self.peer,
            spec,
            // Rebuilt, not passed: only a bare reference to a trait object can be shortened, an Option of one cannot.
            log: match log {
                Some(log) => Some(log),
                None => None,
            },
            stop,
            progress,
            message: &mut self.message,
            buffer: &mut self.buffer,
            samples,
            start: clocks.now(),
            first_seq: self.next_seq,
            memory: &mut self.memory,
            failures: 0,
            stamps: Stamps::default(),
            watch,
        };
        let without_rseq = WithoutRseq::take();
        let exact = spec.planned().then(ExactSleeps::take);
        let ended = match spec.mode {
            Mode::PingPong { interval_ns } => pingpong::run(&mut round, interval_ns),
            Mode::OpenLoop { rate_pps, pattern } => openloop::run(&mut round, rate_pps, pattern),
        };
        drop((without_rseq, exact));
        let ended = ended.and_then(|next| round.await_stamps(next, clocks.now()).map(|()| next));
        round.engine.rest();
        let next_seq = ended?;
        let (mut samples, watch) = (round.samples, round.watch);
        samples.gaps = watch.map(|w| w.finish(self.engine));
        if let (Some((begin, error)), Some((end, other))) = (offset, clocks.realtime_offset()) {
            samples.realtime = Some((begin, end));
            samples.join_error_ns = error.max(other);
        }
        samples.counts.foreign += self.engine.discarded().saturating_sub(discarded);
        self.next_seq = next_seq;
        Ok(samples)
    }

    /// Finds out by sending which stamps come, and has the engine ask for those alone: that an option is taken proves
    /// nothing (e1000e takes SIOCSHWTSTAMP in QEMU and delivers no stamp).
    fn probe_stamps(&mut self, spec: &Spec, stop: &AtomicBool, clocks: &dyn Clocks) -> Result<(), MeasureError> {
        let able = self.engine.stamper().map_or_else(StampSet::default, |s| s.asks());
        let engine = self.engine.caps().words.clone();
        // Set before the round, which would call this again.
        self.probed = Some(Probed { engine, able, kept: able, far: self.peer.asks_far_stamp(), ..Probed::default() });
        let probing = Spec {
            mode: Mode::PingPong { interval_ns: None },
            count: Some(STAMP_PROBES),
            warmup: Warmup::Probes(0),
            watch_gaps: false,
            ..spec.clone()
        };
        let mut probes = 0;
        let mut came = BTreeMap::new();
        for attempt in 0..STAMP_ROUNDS {
            if attempt > 0 {
                std::thread::sleep(std::time::Duration::from_nanos(STAMPS_COME_NS));
            }
            let samples = self.round_at(&probing, None, stop, &mut |_| {}, clocks)?;
            probes = samples.counts().received;
            came = stages::count(samples.stamps.iter());
            let all = |at: StampAt| !able.has(at) || came.get(at.name()).is_some_and(|n| *n >= probes);
            if all(StampAt::RxSoftware) && all(StampAt::TxSched) && all(StampAt::TxSoftware) {
                break;
            }
        }
        let kept: StampSet = StampAt::ALL
            .into_iter()
            // The kernel's own receive stamp costs nothing more once it is on, and may have come too late to be seen.
            .filter(|at| able.has(*at) && (*at == StampAt::RxSoftware || came.get(at.name()).is_some_and(|n| *n > 0)))
            .collect();
        if let Some(stamper) = self.engine.stamper()
            && kept != able
        {
            stamper
                .keep(kept)
                .map_err(|source| MeasureError::Io { what: "ask for fewer stamps".to_owned(), source })?;
        }
        if let Some(probed) = &mut self.probed {
            probed.kept = kept;
            probed.probes = probes;
            probed.came = came;
        }
        Ok(())
    }

    /// The flow, where its last packet was received, and the CPU that this thread runs on. Asked between rounds.
    pub fn flow(&self) -> Flow {
        Flow { prober_cpu: cpu::current(), ..self.engine.flow() }
    }

    /// Says farewell, where the protocol has one.
    pub fn close(self) {
        self.peer.close(self.engine);
    }
}
