//! `lowlat measure --zerocopy`: opens the ways of sending on connections to a far end's sink, measures, and judges.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use lowlat_measure::placement::{PlacedThread, ThreadPlacement};
use lowlat_measure::zerocopy::{BulkRounds, LEAST_ROUND_NS, PAIRS, alternated};
use lowlat_model::Schema;
use lowlat_model::random::Random;
use lowlat_model::zerocopy::{ZeroCopyDocument, ZeroCopyFigure, ZeroCopyMethod, ZeroCopySize};
use lowlat_transport::zerocopy::{BulkSender, PlainSender, ZeroCopySender};
use lowlat_verdict::zerocopy::{median_ratio, method};

use crate::path::ProbePath;
use crate::{Failure, probe, signals};

/// A sink that takes longer to connect to is none.
const PATIENCE: Duration = Duration::from_secs(3);
const PLAIN: &str = "plain";

/// The plain one first.
type Senders = Vec<Box<dyn BulkSender>>;

/// Measures all sizes, which are in rising order, within some `duration_ns`.
pub fn measure(
    path: &ProbePath,
    sizes: &[u64],
    duration_ns: u64,
    heard: &mut dyn FnMut(&ZeroCopySize),
) -> Result<ZeroCopyDocument, Failure> {
    probe::sink_answers(path)?;
    let most = sizes.last().copied().and_then(|size| usize::try_from(size).ok()).unwrap_or_default();
    let (mut senders, refused) = senders(path, most)?;
    let cpu = path.placed.as_ref().and_then(|p| p.near.cpu).or(path.cpu);
    let placed = PlacedThread::take(&ThreadPlacement { cpu, rt_priority: None, lock_memory: true })?;
    let rounds = sizes.len() * (PAIRS + 1) * senders.len();
    let round_ns = (duration_ns / rounds.max(1) as u64).max(LEAST_ROUND_NS);
    let mut random = Random::new(1);
    let mut points = Vec::new();
    for size in sizes {
        let all = alternated(&mut senders, *size, round_ns, &mut random, signals::stop())?;
        let point = point(&all, &senders);
        heard(&point);
        points.push(point);
        signals::at_stake();
        if signals::stopped() {
            break;
        }
    }
    drop(placed);
    let tried = senders.iter().map(|s| s.how()).filter(|how| *how != PLAIN);
    let methods = tried.map(|how| method(how, &points)).chain(refused).collect();
    Ok(ZeroCopyDocument {
        schema: Schema::current("zerocopy"),
        target: path.sink().to_string(),
        cpu,
        sizes: points,
        methods,
        interrupted: signals::stopped(),
    })
}

/// Each way that this kernel gives, and why it does not give the others.
fn senders(path: &ProbePath, most: usize) -> Result<(Senders, Vec<ZeroCopyMethod>), Failure> {
    let io = |e: std::io::Error| {
        Failure::because(format!("connect to the sink at {}: {e}", path.sink()), "start `lowlat serve` there")
    };
    let connect = || connected(path).map_err(io);
    let mut all: Senders = vec![Box::new(PlainSender::new(connect()?, most).map_err(io)?)];
    let mut refused = Vec::new();
    match ZeroCopySender::new(connect()?, most) {
        Ok(sender) => all.push(Box::new(sender)),
        Err(e) => refused.push(not_tried("msg-zerocopy", format!("SO_ZEROCOPY refused: {e} (it needs Linux 4.14)"))),
    }
    match lowlat_transport_uring::SendZcSender::new(connect()?, most) {
        Ok(sender) => all.push(Box::new(sender)),
        Err(e) => refused.push(not_tried("send-zc", e.to_string())),
    }
    if all.len() < 2 {
        let why: Vec<String> = refused.iter().filter_map(|m| m.why_not.clone()).collect();
        return Err(Failure::new(format!("measure zero-copy sends: {}; use a newer kernel", why.join("; "))));
    }
    Ok((all, refused))
}

fn connected(path: &ProbePath) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&path.sink(), PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.write_all(&lowlat_peers::lowlat::sink_request(path.key.as_ref()))?;
    Ok(stream)
}

fn not_tried(how: &str, why: String) -> ZeroCopyMethod {
    ZeroCopyMethod {
        how: how.to_owned(),
        words: format!("not tried: {why}"),
        why_not: Some(why),
        break_even_bytes: None,
        above_bytes: None,
        copied_ratio: None,
    }
}

/// The rounds of one size, as figures.
fn point(all: &BulkRounds, senders: &[Box<dyn BulkSender>]) -> ZeroCopySize {
    let of = |at: usize, value: fn(&lowlat_measure::zerocopy::BulkRound) -> f64| {
        let values: Vec<f64> = all.rounds[at].iter().map(value).collect();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a time, ns; the cast saturates
        median_ratio(&values).0.map(|ns| ns.round() as u64)
    };
    let figure = |at: usize| {
        let ratios: Vec<f64> = all.rounds[at].iter().zip(&all.rounds[0]).map(|(a, b)| a.cpu_ns / b.cpu_ns).collect();
        let (middle, interval) = median_ratio(&ratios);
        ZeroCopyFigure {
            how: senders[at].how().to_owned(),
            cpu_ns: of(at, |r| r.cpu_ns),
            send_ns: of(at, |r| r.send_ns),
            cpu_ratio: middle,
            cpu_ratio_low: interval.map(|i| i.0),
            cpu_ratio_high: interval.map(|i| i.1),
            completed: all.completions[at].completed,
            copied: all.completions[at].copied,
        }
    };
    ZeroCopySize {
        size_bytes: all.size,
        plain_cpu_ns: of(0, |r| r.cpu_ns),
        plain_ns: of(0, |r| r.send_ns),
        against: (1..senders.len()).map(figure).collect(),
    }
}
