//! The loop's bench on a live path: probes, bulk load, counters, links and route.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::time::Duration;

use lowlat_measure::load::RunningLoad;
use lowlat_model::link::{self, LinkState};
use lowlat_model::measurement::Measurement;
use lowlat_model::verdict::Round;
use lowlat_model::{PathLink, Reading};
use lowlat_sys::{Sys, irqs, linkwatch};
use lowlat_transport::{Proto, clock};
use lowlat_tune::{Bench, BenchError, LinkReport, RoundAsk, RunProgress, Summary};

use crate::judge::Judge;
use crate::path::ProbePath;
use crate::probe::{self, Ask};
use crate::signals;
use crate::suspend::Suspender;

/// One path, measured again and again on the same placement.
pub struct LiveBench<'a> {
    /// What is probed; `None` where the user's command is all that measures.
    path: Option<&'a ProbePath>,
    judge: Option<&'a Judge>,
    engine: &'a str,
    sys: &'a dyn Sys,
    /// The path as it was when the run began, and the names of its interfaces.
    links: Vec<PathLink>,
    watched: Vec<String>,
    last: LinkState,
    /// Interrupt lines of the path's devices.
    irqs: Vec<u32>,
    load: Option<RunningLoad>,
    suspender: Suspender<'a>,
    heard: Option<&'a mut dyn FnMut(&RunProgress)>,
}

impl std::fmt::Debug for LiveBench<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveBench")
            .field("path", &self.path.map(|p| p.words.as_str()))
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl<'a> LiveBench<'a> {
    /// On this path, of these interfaces; none where they are not to be watched.
    pub fn new(path: &'a ProbePath, engine: &'a str, sys: &'a dyn Sys, links: &[PathLink]) -> Self {
        Self::of((Some(path), engine), None, sys, links)
    }

    /// As [`LiveBench::new`], where the user's command may measure too, or alone.
    pub fn of(
        (path, engine): (Option<&'a ProbePath>, &'a str),
        judge: Option<&'a Judge>,
        sys: &'a dyn Sys,
        links: &[PathLink],
    ) -> Self {
        let watched: Vec<String> = links.iter().map(|l| l.name.clone()).collect();
        let last = linkwatch::snapshot(sys, &watched);
        Self {
            path,
            judge,
            engine,
            sys,
            links: links.to_vec(),
            irqs: lines(sys, &watched),
            watched,
            last,
            load: None,
            suspender: Suspender::new(sys),
            heard: None,
        }
    }

    fn probed(&self) -> Result<&'a ProbePath, BenchError> {
        self.path.ok_or_else(|| BenchError("measure round trips: no far end was named; give --target HOST".to_owned()))
    }

    /// What the loop says of its progress goes there.
    #[must_use]
    pub fn heard_by(self, heard: &'a mut dyn FnMut(&RunProgress)) -> Self {
        Self { heard: Some(heard), ..self }
    }
}

/// The interrupt lines of these interfaces; one that has none adds none.
fn lines(sys: &dyn Sys, ifaces: &[String]) -> Vec<u32> {
    let Reading::Value(all) = irqs::Lines::read(sys) else { return Vec::new() };
    let of = |iface: &String| all.of_interface(sys, iface).into_value().unwrap_or_default();
    let lines: BTreeSet<u32> = ifaces.iter().flat_map(of).map(|line| line.irq).collect();
    lines.into_iter().collect()
}

impl Bench for LiveBench<'_> {
    fn round(&mut self, ask: &RoundAsk) -> Result<Round, BenchError> {
        let engine = ask.engine.as_deref().unwrap_or(self.engine);
        let path = self.probed()?;
        let ask = Ask {
            duration_ns: ask.ping_pong_ns,
            planned_ns: ask.planned_ns,
            median_ns: ask.median_ns,
            timeout_ns: ask.timeout_ns,
            source_port: ask.source_port,
            settle: ask.settle,
            irqs: &self.irqs,
            ..Ask::new(path, engine)
        };
        let round = probe::suspended_round(&mut self.suspender, &ask);
        round.map_err(|failure| BenchError(failure.to_string()))
    }

    fn plan_gap_ns(&self, median_ns: u64) -> u64 {
        lowlat_measure::plan_gap(median_ns)
    }

    fn source_port(&mut self) -> Result<u16, BenchError> {
        let Some(path) = self.path else { return Ok(0) };
        let any: IpAddr =
            if path.remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        // The kernel draws a free one; it is bound again a moment later, by each round of the pair.
        let drawn = match path.proto {
            // A port that each handshake of a round took again would serve one at a time.
            Proto::Icmp | Proto::TcpConnect | Proto::Tls | Proto::Arp | Proto::Nd => return Ok(0),
            Proto::Udp | Proto::UdpClosed => UdpSocket::bind((any, 0)).and_then(|s| s.local_addr()),
            Proto::Tcp => TcpListener::bind((any, 0)).and_then(|s| s.local_addr()),
        };
        drawn.map(|a| a.port()).map_err(|e| {
            BenchError(format!("draw a source port for a pair of rounds: {e}; free some ports or descriptors"))
        })
    }

    fn start_load(&mut self, streams: u32) -> Result<(), BenchError> {
        self.load = Some(probe::bulk(self.probed()?, streams).map_err(|failure| BenchError(failure.to_string()))?);
        std::thread::sleep(probe::LOAD_RISES);
        Ok(())
    }

    fn stop_load(&mut self) {
        if let Some(load) = self.load.take() {
            load.stop();
        }
    }

    fn summarize(&mut self, rounds: &[&Round], of: &Summary) -> Measurement {
        let engine = of.engine.as_deref().unwrap_or(self.engine);
        self.path.map(|path| probe::summary(path, engine, rounds, of, self.sys)).unwrap_or_default()
    }

    fn counter(&mut self, group: &str, key: &str) -> Result<u64, BenchError> {
        lowlat_collect::counters(self.sys)
            .get(group, key)
            .ok_or_else(|| BenchError(format!("judge by {key}: the counter cannot be read; see `lowlat facts`")))
    }

    fn figure(&mut self) -> Result<f64, BenchError> {
        let Some(judge) = self.judge else {
            return Err(BenchError("judge by a command: none was given; give --judge COMMAND".to_owned()));
        };
        judge.run(self.sys).map_err(|failure| BenchError(failure.to_string()))
    }

    fn links(&mut self) -> LinkReport {
        let now = linkwatch::snapshot(self.sys, &self.watched);
        let changes = link::changes(&self.last, &now);
        self.last = now;
        LinkReport {
            resets: changes.iter().map(|c| c.what.resets()).max().unwrap_or_default(),
            changes: changes.iter().map(ToString::to_string).collect(),
        }
    }

    fn await_links(&mut self, within_ns: u64) -> Result<(), BenchError> {
        let down = linkwatch::wait_for_link(self.sys, &self.last, within_ns);
        if down.is_empty() {
            return Ok(());
        }
        let waited = Duration::from_nanos(within_ns);
        Err(BenchError(format!(
            "wait for {} after a setting was toggled: no link for {waited:?}; check the cable and the far port",
            down.join(" and ")
        )))
    }

    fn path_lost(&mut self) -> Option<String> {
        lowlat_collect::path::path_changed(self.sys, &self.links, self.path.map(|p| p.remote.into()))
    }

    fn now_ns(&self) -> u64 {
        clock::now()
    }

    fn wait(&mut self, ns: u64) {
        std::thread::sleep(Duration::from_nanos(ns));
    }

    fn stopped(&self) -> bool {
        signals::stopped()
    }

    fn progress(&mut self, at: &RunProgress) {
        if let Some(heard) = &mut self.heard {
            heard(at);
        }
    }
}
