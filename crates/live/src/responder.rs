//! `lowlat serve --engine`: how the far end waits, and its answers from the interface itself (`--xdp`, `af-xdp`, `dpdk`).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use lowlat_measure::placement::{PlacedThread, ThreadPlacement};
use lowlat_peers::lowlat::{DEFAULT_PORT, LAYOUT};
use lowlat_peers::serve::{ServeConfig, Wait};
use lowlat_sys::{Sys, query};
use lowlat_transport_xdp::{Answers, Range, Responder, Wire};

use lowlat_transport::{EngineOption, busy_poll, epoll, suspend};
use lowlat_transport_uring::RingOptions;

use crate::{Failure, signals};

/// How often the process that answers by DPDK is asked for its count, which shows that it lives.
const LOOK: Duration = Duration::from_millis(100);

/// How the sockets are waited on by an engine, its options included; why there is no such way, without who asks.
///
/// `af-xdp` and `dpdk` are not asked for here: they answer before the sockets.
pub fn wait(engine: &str) -> Result<Wait, String> {
    match engine.split_once(':').unwrap_or((engine, "spin")) {
        ("block", _) if !engine.contains(':') => Ok(Wait::Sleep),
        ("spin", _) if !engine.contains(':') => Ok(Wait::Spin),
        (busy_poll::NAME, _) if !engine.contains(':') => Ok(Wait::BusyPoll(busy_poll::DEFAULT_US)),
        // What is around it is [`crate::suspend::far_end`].
        (epoll::NAME | suspend::NAME, _) if !engine.contains(':') => Ok(Wait::Epoll(epoll::DEFAULT_US)),
        (lowlat_transport_uring::NAME, options) => {
            let asked = RingOptions::parse(options)?;
            // Multishot is how it receives anyway.
            if (RingOptions { spin: asked.spin, multishot: asked.multishot, ..RingOptions::default() }) != asked {
                return Err("the far end takes only spin, sleep and multishot; leave out the others".to_owned());
            }
            Ok(Wait::Uring { spin: asked.spin })
        }
        _ => crate::path::is_engine(engine).map(|()| Wait::Sleep),
    }
}

/// What was granted, in one line: `multishot receive (16 buffers), without EPIOCSPARAMS (needs Linux 6.9)`; nothing where nothing
/// was asked for.
pub fn granted(options: &[EngineOption]) -> Option<String> {
    let asked = options.iter().filter(|o| o.why_not.as_deref() != Some("not asked for"));
    let words = asked.map(|o| match (&o.got, &o.why_not) {
        (Some(got), _) if got.is_empty() => o.option.clone(),
        (Some(got), _) => format!("{} ({got})", o.option),
        (None, Some(why)) => format!("without {} ({why})", o.option),
        (None, None) => format!("without {}", o.option),
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Puts the XDP program in front of the sockets that `config` will bind; before privileges go.
pub fn open(iface: &str, config: &ServeConfig, sys: &dyn Sys) -> Result<Responder, Failure> {
    let refused = |what: &str, next: &str| Err(Failure::new(format!("serve with --xdp {iface}: {what}; {next}")));
    if config.key.is_some() {
        return refused("the XDP program cannot check a key's tag", "leave out --xdp or --key-file");
    }
    if config.source_limit.is_some() || config.total_limit.is_some() {
        return refused(
            "the XDP program keeps no rates",
            "leave out --xdp, or --source-limit and --total-limit (--allow works with it)",
        );
    }
    let port = match config.port {
        Some(0) => return refused("the XDP program needs to know the port", "give one with --port"),
        Some(port) => port,
        None => DEFAULT_PORT,
    };
    crate::optimize::interface(iface, sys)?;
    let links = query::links(sys).into_value().unwrap_or_default();
    let index = links.iter().find(|l| l.name == iface).map(|l| l.index);
    let has = query::addresses(sys).into_value().unwrap_or_default();
    let to = has
        .iter()
        .filter(|a| Some(a.index) == index)
        .filter_map(|a| a.address.split('/').next()?.parse().ok())
        .filter(|ip| config.bind.is_empty() || config.bind.contains(ip))
        .map(|ip| SocketAddr::new(ip, port))
        .collect();
    let from = config.allow.iter().map(|range| Range { ip: range.ip(), prefix: range.prefix() }).collect();
    Ok(Responder::open(iface, &Answers { to, from, wire: wire() }, None)?)
}

/// A probe without a key.
fn wire() -> Wire {
    Wire {
        magic: LAYOUT.magic,
        probe: LAYOUT.probe,
        answer: LAYOUT.answer,
        length_at: LAYOUT.length_at,
        stamps_at: LAYOUT.stamps_at,
        shortest: LAYOUT.shortest,
    }
}

/// A far end behind a port of DPDK.
#[derive(Debug)]
pub struct DpdkFarEnd<'a> {
    /// As the user names it.
    pub port: &'a str,
    /// Interface of a port that is on one.
    pub iface: Option<&'a str>,
    /// Its address.
    pub address: Ipv4Addr,
    /// UDP port; `None` for the protocol's own.
    pub udp_port: Option<u16>,
    /// CPU of the process that answers.
    pub cpu: Option<u32>,
    /// How often its count is reported, ns.
    pub every_ns: Option<u64>,
}

/// Answers until a signal ends it; gives how many it answered.
pub fn behind_dpdk(far: &DpdkFarEnd<'_>, say: &mut dyn FnMut(&str)) -> Result<u64, Failure> {
    let port = lowlat_transport_dpdk::Port::parse(far.port)
        .map_err(|why| Failure::new(format!("serve with engine \"dpdk\": {why}; see `lowlat explain dpdk`")))?;
    let to = SocketAddrV4::new(far.address, far.udp_port.unwrap_or(DEFAULT_PORT));
    // The process that answers is started on the CPU of this thread, which then leaves it to it.
    let placed = PlacedThread::take(&ThreadPlacement { cpu: far.cpu, ..ThreadPlacement::default() })?;
    let reached_by = &crate::path::reached_by;
    let mut responder = lowlat_transport_dpdk::DpdkResponder::open(port, far.iface, to, &wire(), reached_by)?;
    drop(placed);
    say(&format!("lowlat over Udp on {to} by {}; it keeps its privileges, which DPDK needs", responder.words()));
    let mut reported = Instant::now();
    loop {
        std::thread::sleep(LOOK);
        let answered = responder.answered()?;
        if signals::stopped() {
            return Ok(answered);
        }
        if far.every_ns.is_some_and(|every| reported.elapsed() >= Duration::from_nanos(every)) {
            reported = Instant::now();
            say(&format!("answered {answered}"));
        }
    }
}
