//! A ping-pong against `lowlat serve`: sends a message, waits for its answer, sends the next. Prints P50 and P99.

mod engine;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use engine::Engine;

/// Bytes of a message; the header takes 48.
const SIZE: usize = 64;
/// Round trips that are not counted.
const WARM_UP: u64 = 100;
/// An answer later than this is lost.
const TIMEOUT: Duration = Duration::from_millis(200);
/// What each message begins with: magic and version.
const BEGINS: &[u8] = b"LwLt\x01";

/// A probe of lowlat's protocol: `lowlat explain lowlat` has its layout. Put your own message here.
fn write_probe(session: u32, seq: u64) -> [u8; SIZE] {
    let mut message = [0; SIZE];
    message[..5].copy_from_slice(BEGINS);
    message[8..12].copy_from_slice(&(SIZE as u32).to_le_bytes());
    message[12..16].copy_from_slice(&session.to_le_bytes());
    message[16..24].copy_from_slice(&seq.to_le_bytes());
    message
}

/// Whether it is the answer to that probe.
fn is_answer(message: &[u8], session: u32, seq: u64) -> bool {
    message.len() == SIZE
        && message.starts_with(BEGINS)
        && message[5] & 1 == 1
        && message[12..16] == session.to_le_bytes()
        && message[16..24] == seq.to_le_bytes()
}

/// The time of one round trip; `None` for one that was lost.
fn round_trip(engine: &mut Engine, session: u32, seq: u64) -> Result<Option<Duration>, String> {
    let mut buffer = [0; 2048];
    let message = write_probe(session, seq);
    let sent = Instant::now();
    engine.send(&message)?;
    while let Some(left) = TIMEOUT.checked_sub(sent.elapsed()) {
        match engine.recv(&mut buffer, left)? {
            Some(len) if is_answer(&buffer[..len], session, seq) => {
                return Ok(Some(sent.elapsed()));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// What was asked for.
pub struct Config {
    /// IPv4 address of the far end.
    pub target: String,
    /// Its UDP port.
    pub port: u16,
    /// The device, where the engine needs one (README.md).
    pub device: Option<String>,
    /// The own address, where the engine needs it.
    pub local: Option<String>,
}

fn arguments() -> Option<(Config, u64)> {
    let mut args = std::env::args().skip(1);
    let target = args.next()?;
    let port = args
        .next()
        .map_or(Some(8620), |a| a.parse().ok().filter(|p| *p > 0))?;
    let count = args.next().map_or(Some(10_000), |a| {
        a.parse().ok().filter(|n| (1..=100_000_000).contains(n))
    })?;
    let config = Config {
        target,
        port,
        device: args.next(),
        local: args.next(),
    };
    args.next().is_none().then_some((config, count))
}

fn run(config: &Config, count: u64) -> Result<bool, String> {
    let mut engine = Engine::open(config)?;
    let session = std::process::id();
    let (mut times, mut lost) = (Vec::new(), 0);
    for seq in 0..WARM_UP + count {
        match round_trip(&mut engine, session, seq)? {
            _ if seq < WARM_UP => {}
            Some(time) => times.push(time),
            None => lost += 1,
        }
    }
    drop(engine); // gives everything back
    if times.is_empty() {
        eprintln!(
            "pingpong: no answer from {} port {}; start `lowlat serve` there",
            config.target, config.port
        );
        return Ok(false);
    }
    times.sort_unstable();
    let us = |time: Duration| time.as_nanos() as f64 / 1e3;
    // 1000 round trips have ten beyond P99: fewer do not support it.
    let (p50, p99) = (
        us(times[times.len() / 2]),
        us(times[times.len() * 99 / 100]),
    );
    println!(
        "P50 {p50:.2} µs, P99 {p99:.2} µs, {} answered, {lost} lost",
        times.len()
    );
    Ok(true)
}

fn main() -> ExitCode {
    let Some((config, count)) = arguments() else {
        eprintln!("usage: pingpong TARGET [PORT [COUNT [DEVICE [LOCAL]]]]");
        return ExitCode::from(2);
    };
    match run(&config, count) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("pingpong: {why}");
            ExitCode::from(2)
        }
    }
}
