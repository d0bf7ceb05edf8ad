//! The tool's own floor on this host: what a round trip costs before any network is involved.

use std::os::unix::net::UnixDatagram;

use lowlat_model::Quantiles;
use lowlat_transport::{Caps, Engine, EngineError, Got, Ns, clock};

use crate::clock::Cost;
use crate::testing::SimPeer;
use crate::{MeasureError, ProbeSession, Spec};

/// One floor.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredFloor {
    /// What was measured.
    pub what: &'static str,
    /// Round trips.
    pub rtt: Quantiles,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// The clock.
    pub clock: Cost,
    /// Recording one sample into the histogram, ns (smallest mean of a few hundred batches).
    pub record_ns: f64,
    /// From the least to the most.
    pub floors: Vec<MeasuredFloor>,
}

/// Measures the floors with `count` probes each on this thread, placed as it is.
///
/// - *no engine*: the measuring loop and two clock reads; nothing measured can be less.
/// - *socket pair, same thread*: four system calls that move one message there and back without a network, a wake-up or
///   another CPU. What a path measures above this is network stack, wake-ups and wire.
pub fn self_test(count: u64) -> Result<SelfTest, MeasureError> {
    let spec = Spec { count: Some(count), duration_ns: None, ..Spec::default() };
    let mut floors = Vec::new();
    let mut null = NullEngine { caps: caps("no engine"), held: None };
    floors.push(MeasuredFloor { what: "no engine", rtt: measure(&mut null, &spec)? });
    let mut pair = PairEngine::new()?;
    floors.push(MeasuredFloor { what: "socket pair, same thread", rtt: measure(&mut pair, &spec)? });
    Ok(SelfTest { clock: crate::clock::cost(), record_ns: record_cost(), floors })
}

fn measure(engine: &mut dyn Engine, spec: &Spec) -> Result<Quantiles, MeasureError> {
    let mut peer = SimPeer;
    let mut session = ProbeSession::open(engine, &mut peer, spec.size, spec.timeout_ns)?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let samples = session.round(spec, None, &stop, &mut |_| {})?;
    Ok(Quantiles::of(&mut samples.rtts()))
}

fn record_cost() -> f64 {
    const BATCH: u64 = 4_096;
    let mut histogram = crate::Histogram::default();
    let mut best = f64::INFINITY;
    for round in 0..200u64 {
        let begin = clock::now();
        for i in 0..BATCH {
            // Spread like latencies are: around 5 µs with a tail, so that the cells are not all one.
            histogram.record(std::hint::black_box(5_000 + ((i.wrapping_mul(2_654_435_761) ^ round) & 0x7ff)));
        }
        best = best.min((clock::now() - begin) as f64 / BATCH as f64);
    }
    std::hint::black_box(&histogram);
    best
}

fn caps(words: &str) -> Caps {
    Caps { max_message: 1_472, spins: true, words: words.to_owned(), costs: "a core while it runs".to_owned() }
}

/// Gives every message back at once.
struct NullEngine {
    caps: Caps,
    held: Option<Vec<u8>>,
}

impl Engine for NullEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let at = clock::now();
        let held = self.held.get_or_insert_with(Vec::new);
        held.clear();
        held.extend_from_slice(message);
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], _until: Ns) -> Result<Option<Got>, EngineError> {
        let Some(held) = self.held.as_mut().filter(|h| !h.is_empty()) else { return Ok(None) };
        let len = held.len();
        buf[..len].copy_from_slice(held);
        held.clear();
        Ok(Some(Got { len, at: clock::now(), kernel_rx: None, hardware_rx: None }))
    }
}

/// Both ends of a socket pair in one thread.
struct PairEngine {
    caps: Caps,
    near: UnixDatagram,
    far: UnixDatagram,
    scratch: Vec<u8>,
}

impl PairEngine {
    fn new() -> Result<Self, MeasureError> {
        let error = |source| MeasureError::Io { what: "self-test: open a socket pair".to_owned(), source };
        let (near, far) = UnixDatagram::pair().map_err(error)?;
        near.set_nonblocking(true).map_err(error)?;
        Ok(Self { caps: caps("socket pair"), near, far, scratch: vec![0; 2_048] })
    }
}

impl Engine for PairEngine {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
        let error = |source| EngineError::Os { what: "self-test: send over a socket pair".to_owned(), source };
        let at = clock::now();
        self.near.send(message).map_err(error)?;
        let n = self.far.recv(&mut self.scratch).map_err(error)?;
        self.far.send(&self.scratch[..n]).map_err(error)?;
        Ok(at)
    }

    fn recv(&mut self, buf: &mut [u8], _until: Ns) -> Result<Option<Got>, EngineError> {
        match self.near.recv(buf) {
            Ok(len) => Ok(Some(Got { len, at: clock::now(), kernel_rx: None, hardware_rx: None })),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(EngineError::Os { what: "self-test: receive over a socket pair".to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_floors_are_measured_whole() {
        let test = self_test(2_000).unwrap();
        assert_eq!(test.floors.len(), 2);
        for f in &test.floors {
            assert_eq!(f.rtt.samples, 2_000, "{f:?}");
            assert!(f.rtt.p50_ns.is_some() && f.rtt.max_ns.is_some(), "nothing is lost on the way to oneself: {f:?}");
        }
        assert!(test.record_ns > 0.0);
    }
}
