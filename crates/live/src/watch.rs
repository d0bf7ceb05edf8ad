//! Live traffic of this host without a probe: the sockets of an application, a port or a far end read again and again, the
//! stamps of their datagrams, and what the kernel drops meanwhile.
//!
//! Reading is here; what follows from it is `lowlat_watch`'s, which knows neither clock nor kernel.

mod arrivals;
mod drops;
mod hindsight;
mod stages;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lowlat_model::application::Owner;
use lowlat_model::watch::{WatchAsked, WatchCost, WatchDocument, WatchedSocket, WatchedStages};
use lowlat_model::{NotSeen, Reading, Schema};
use lowlat_os::clock;
use lowlat_sys::{LiveSocket, Sys, TrafficDoor, query};
use lowlat_watch::{Crossing, CrossingKind, RttFold, WatchFold};

pub use lowlat_watch::Trigger;

use crate::{Failure, signals};
use arrivals::Arrivals;
use drops::DropTrace;
use hindsight::{Hindsight, Keep};
use stages::{StageTrace, WINDOW_NS};

/// Between two looks at the datagrams that came, ns: what comes meanwhile has to fit the kernel's room for them.
const LOOK_NS: u64 = 50_000_000;
/// The same while a trigger waits: what it looks back at must still be in the ring.
const TRIGGER_LOOK_NS: u64 = 20_000_000;
/// Readings after which the descriptors of other processes are looked at again: one may have been passed on.
const AGAIN: u32 = 16;

/// What to watch.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchAsk {
    /// Sockets with this local or remote port.
    pub port: Option<u16>,
    /// Sockets of this process.
    pub pid: Option<u32>,
    /// Sockets connected to this address.
    pub peer: Option<IpAddr>,
    /// For how long, ns.
    pub duration_ns: u64,
    /// Between two readings, ns.
    pub interval_ns: u64,
    /// What is waited for.
    pub trigger: Option<Trigger>,
}

/// What a watch gave.
#[derive(Debug)]
pub struct Watched {
    /// The document.
    pub document: WatchDocument,
    /// The files of stalls that crossed the trigger.
    pub files: Vec<std::path::PathBuf>,
    /// Why one could not be written.
    pub not_written: Option<String>,
}

/// Watches until the time is over, the process ends, or a signal comes. `keep` writes the file of a stall that crosses the
/// trigger, with its number from 1, and names it.
pub fn watch(ask: &WatchAsk, sys: &dyn Sys, keep: &mut Keep<'_>) -> Result<Watched, Failure> {
    if let Some(pid) = ask.pid {
        lowlat_collect::is_a_program(sys, pid)?;
    }
    let mut watcher = Watcher::begin(ask, sys)?;
    watcher.run(keep)?;
    let mut out = watcher.finish();
    lowlat_watch::conclude(&mut out.document);
    Ok(out)
}

/// A stored document, with what follows from its readings by the rules of this lowlat.
pub fn again(mut document: WatchDocument) -> WatchDocument {
    lowlat_watch::conclude(&mut document);
    document
}

/// A watch that runs.
struct Watcher<'a> {
    ask: &'a WatchAsk,
    sys: &'a dyn Sys,
    door: TrafficDoor,
    fold: WatchFold,
    /// Inode of each socket, by its cookie.
    inodes: BTreeMap<u64, u32>,
    owners: BTreeMap<u32, Vec<Owner>>,
    /// Inodes that are not the process's.
    others: BTreeSet<u32>,
    arrivals: Result<Option<Arrivals>, NotSeen>,
    drops: Result<DropTrace, NotSeen>,
    stages: Result<StageTrace, NotSeen>,
    /// Whether nothing waited in any socket at the last reading.
    empty: bool,
    /// Local ports of the sockets.
    udp_ports: BTreeSet<u16>,
    tcp_ports: BTreeSet<u16>,
    trips: RttFold,
    hindsight: Option<Hindsight>,
    not_seen: Vec<NotSeen>,
    ended: Option<String>,
    began_ns: u64,
    began_cpu_ns: u64,
    last_ns: u64,
}

impl<'a> Watcher<'a> {
    /// Opens the doors.
    fn begin(ask: &'a WatchAsk, sys: &'a dyn Sys) -> Result<Self, Failure> {
        let door = match TrafficDoor::open(ask.pid, ask.port, ask.peer) {
            Reading::Value(door) => door,
            other => return Err(cannot(ask, &other)),
        };
        let fact = "why and where the kernel drops packets".to_owned();
        Ok(Self {
            ask,
            sys,
            door,
            fold: WatchFold::default(),
            inodes: BTreeMap::new(),
            owners: BTreeMap::new(),
            others: BTreeSet::new(),
            arrivals: Ok(None),
            drops: DropTrace::begin().map_err(|why| NotSeen { fact, why }),
            stages: StageTrace::begin(),
            empty: false,
            udp_ports: BTreeSet::new(),
            tcp_ports: BTreeSet::new(),
            trips: RttFold::default(),
            hindsight: ask.trigger.map(Hindsight::begin),
            not_seen: Vec::new(),
            ended: None,
            began_ns: sys.now_ns(),
            began_cpu_ns: clock::thread_cpu(),
            last_ns: 0,
        })
    }

    fn now(&self) -> u64 {
        self.sys.now_ns().saturating_sub(self.began_ns)
    }

    fn run(&mut self, keep: &mut Keep<'_>) -> Result<(), Failure> {
        if self.reading()? == 0 {
            return Err(Failure::new(self.not_seen.first().map_or_else(
                || none(self.ask),
                |not| format!("watch {}: {}: {}; run as root", whose(self.ask), not.fact, not.why),
            )));
        }
        self.can_cross()?;
        if self.ask.pid.is_none() {
            let all: BTreeSet<u32> = self.inodes.values().copied().collect();
            self.owners = lowlat_collect::socket_owners(self.sys, &all).0;
        }
        let mut due = 0;
        while self.ended.is_none() && !signals::stopped() && due < self.ask.duration_ns {
            due += self.ask.interval_ns;
            // A reading that takes longer than the interval is not made up for by others close to each other.
            if due < self.now() {
                due = self.now() + self.ask.interval_ns;
            }
            due = due.min(self.ask.duration_ns);
            self.pass_until(due, keep);
            self.reading()?;
        }
        self.take_arrivals();
        self.look_back(keep);
        Ok(())
    }

    /// Refuses a trigger that nothing here can cross.
    fn can_cross(&self) -> Result<(), Failure> {
        let Some(trigger) = self.ask.trigger else { return Ok(()) };
        let by_trace = self.drops.is_ok() && (trigger.drop || trigger.rtt_ns.is_some());
        let by_stamps = trigger.gap_ns.is_some() && matches!(self.arrivals, Ok(Some(_)));
        if by_trace || by_stamps {
            return Ok(());
        }
        let why = match (&self.drops, &self.arrivals) {
            (Err(not), _) if trigger.gap_ns.is_none() => not.why.clone(),
            (_, Err(not)) => not.why.clone(),
            _ => "absent: no UDP socket is there whose datagrams could have a gap".to_owned(),
        };
        Err(Failure::new(format!("wait for {trigger} at {}: {why}; run as root with tracefs mounted", whose(self.ask))))
    }

    /// Lets time pass, and takes the datagrams that come; with a trigger also what the trace shows.
    fn pass_until(&mut self, due: u64, keep: &mut Keep<'_>) {
        while !signals::stopped() {
            let left = due.saturating_sub(self.now());
            if left == 0 {
                return;
            }
            self.trace_stages(true);
            let look = match (&self.hindsight, &self.arrivals) {
                (Some(_), _) => TRIGGER_LOOK_NS,
                (None, Ok(Some(_))) => LOOK_NS,
                _ if self.stages.as_ref().is_ok_and(StageTrace::is_open) => WINDOW_NS,
                _ => left,
            };
            self.sys.wait(left.min(look));
            self.trace_stages(false);
            self.take_arrivals();
            if self.hindsight.is_some() {
                self.take_trace();
                self.look_back(keep);
            }
        }
    }

    /// Opens or closes a window in which messages are traced.
    fn trace_stages(&mut self, open: bool) {
        let Ok(stages) = &mut self.stages else { return };
        let done = if open { stages.open(self.sys, &self.owners, self.empty) } else { stages.close(false) };
        if let Err(why) = done {
            self.stages = Err(why);
        }
    }

    fn take_arrivals(&mut self) {
        let Ok(Some(arrivals)) = &mut self.arrivals else { return };
        let least = self.hindsight.as_ref().and_then(|h| h.trigger().gap_ns);
        let mut crossed = Vec::new();
        let drained = arrivals.drain(&mut |port, at, since| {
            if least.is_some_and(|least| since >= least) {
                let (from, kind) = (at.saturating_sub(since), CrossingKind::Gap);
                crossed.push(Crossing { from, to: at, kind, port: Some(port) });
            }
        });
        if let Err(not_seen) = drained {
            self.arrivals = Err(not_seen);
        }
        self.crossed(crossed);
    }

    /// Reads the trace of drops and, where a round trip is waited for, of packets that came.
    fn take_trace(&mut self) {
        let Ok(drops) = &mut self.drops else { return };
        let trigger = self.hindsight.as_ref().map(Hindsight::trigger).unwrap_or_default();
        let udp = &self.udp_ports;
        let (mut crossed, mut trips) = (Vec::new(), Vec::new());
        let read = drops.read(
            &mut |d| {
                if trigger.drop && d.port.is_some_and(|p| udp.contains(&p)) {
                    crossed.push(Crossing { from: d.at, to: d.at, kind: CrossingKind::Drop, port: d.port });
                }
            },
            &mut |ack| trips.push(ack),
        );
        if let Err(why) = read {
            self.drops = Err(NotSeen { fact: "why and where the kernel drops packets, to the end".to_owned(), why });
        }
        // Those of several CPUs, in the order of time.
        trips.sort_by_key(|ack| ack.at);
        for ack in trips {
            let connection = ack.cookie.unwrap_or(u64::from(ack.port) << 16 | u64::from(ack.remote_port));
            let trip = self.trips.take(connection, ack.smoothed_us);
            if let Some(trip) = trip.filter(|t| trigger.rtt_ns.is_some_and(|least| *t >= least)) {
                let (from, kind) = (ack.at.saturating_sub(trip), CrossingKind::RoundTrip);
                crossed.push(Crossing { from, to: ack.at, kind, port: Some(ack.port) });
            }
        }
        self.crossed(crossed);
    }

    fn crossed(&mut self, all: Vec<Crossing>) {
        if let Some(hindsight) = &mut self.hindsight {
            for crossing in all {
                hindsight.crossed(crossing);
            }
        }
    }

    /// Reads the ring where something crossed the trigger.
    fn look_back(&mut self, keep: &mut Keep<'_>) {
        let Some(hindsight) = &mut self.hindsight else { return };
        hindsight.count(self.sys, false);
        let pids: BTreeSet<u32> = self.owners.values().flatten().map(|o| o.pid).collect();
        let threads = |pid: &u32| self.sys.list(&format!("/proc/{pid}/task")).into_value().unwrap_or_default();
        let ours = || -> Vec<u32> { pids.iter().flat_map(threads).filter_map(|tid| tid.parse().ok()).collect() };
        hindsight.look(self.sys, self.began_ns, &ours, keep);
    }

    /// Reads all sockets once; gives how many there are.
    fn reading(&mut self) -> Result<usize, Failure> {
        let at_ns = self.now();
        let found = match self.sockets(at_ns) {
            Reading::Value(found) => found,
            other if self.fold.readings() == 0 => return Err(cannot(self.ask, &other)),
            other => {
                let (kind, why) = other.why_not().unwrap_or_default();
                self.ended = Some(format!("the sockets can no longer be listed: {kind}: {why}"));
                return Ok(0);
            }
        };
        self.fold.begin();
        self.last_ns = at_ns;
        self.empty = found.iter().all(|s| s.sample.unread == 0);
        for socket in &found {
            if !self.fold.knows(socket.cookie) {
                self.inodes.insert(socket.cookie, socket.inode);
            }
            self.fold.take(socket.cookie, socket.state, socket.sample, || named(socket));
        }
        self.look_at_ports(&found);
        self.take_trace();
        if let Some(pid) = self.ask.pid
            && lowlat_collect::process_state(self.sys, pid).is_none()
        {
            self.ended = Some(format!("process {pid} ended"));
        }
        Ok(found.len())
    }

    /// The sockets that are asked for.
    fn sockets(&mut self, at_ns: u64) -> Reading<Vec<LiveSocket>> {
        let Some(pid) = self.ask.pid else { return self.door.sockets(at_ns, &mut |_| true) };
        if self.fold.readings().is_multiple_of(AGAIN) {
            self.others.clear();
        }
        let mut others = BTreeSet::new();
        let known = &self.others;
        let found = self.door.sockets(at_ns, &mut |inode| {
            let is_other = inode == 0 || known.contains(&inode);
            if is_other {
                others.insert(inode);
            }
            !is_other
        });
        found.map(|mut found| {
            if found.iter().any(|s| !self.owners.contains_key(&s.inode)) {
                let all = self.descriptors(pid);
                self.owners.extend(all);
            }
            found.retain(|s| {
                let mine = self.owners.contains_key(&s.inode);
                if !mine {
                    others.insert(s.inode);
                }
                mine
            });
            self.others = others;
            found
        })
    }

    /// The process's sockets by inode.
    fn descriptors(&mut self, pid: u32) -> BTreeMap<u32, Vec<Owner>> {
        let mut all: BTreeMap<u32, Vec<Owner>> = BTreeMap::new();
        match lowlat_collect::open_sockets(self.sys, pid) {
            Reading::Value(found) => {
                for (inode, owner) in found {
                    all.entry(inode).or_default().push(owner);
                }
            }
            other => {
                let (kind, why) = other.why_not().unwrap_or_default();
                let fact = format!("sockets of process {pid}");
                if self.not_seen.iter().all(|n| n.fact != fact) {
                    self.not_seen.push(NotSeen { fact, why: format!("{kind}: {why}") });
                }
            }
        }
        all
    }

    /// Stamps are taken for the local ports of the UDP sockets, and round trips for those of connections where they are waited
    /// for, whichever there are by now.
    fn look_at_ports(&mut self, found: &[LiveSocket]) {
        let ports = |udp: bool| found.iter().filter(move |s| s.udp == udp).map(|s| s.local.port());
        if self.hindsight.as_ref().is_some_and(|h| h.trigger().rtt_ns.is_some())
            && ports(false).any(|p| !self.tcp_ports.contains(&p))
        {
            self.tcp_ports.extend(ports(false));
            let followed = self.drops.as_mut().map(|drops| drops.follow(&self.tcp_ports));
            if let Ok(Err(why)) = followed {
                self.not_seen.push(NotSeen { fact: "single round trips".to_owned(), why });
            }
        }
        self.udp_ports.extend(ports(true));
        if self.udp_ports.is_empty() {
            return;
        }
        self.arrivals = match std::mem::replace(&mut self.arrivals, Ok(None)) {
            Ok(None) => Arrivals::begin(self.ask, &self.udp_ports).map(Some),
            Ok(Some(mut arrivals)) => arrivals.look_at(&self.udp_ports).map(|()| Some(arrivals)),
            Err(not_seen) => Err(not_seen),
        };
    }

    /// The document, without what follows from it.
    fn finish(mut self) -> Watched {
        let cpu_ns = clock::thread_cpu().saturating_sub(self.began_cpu_ns);
        let readings = self.fold.readings();
        let (folded, sockets_left_out) = std::mem::take(&mut self.fold).finish();
        let mut sockets = self.owned(folded);
        let mut cost = WatchCost { cpu_ns, ..WatchCost::default() };
        cost.cpu_ratio = if self.last_ns > 0 { cpu_ns as f64 / self.last_ns as f64 } else { 0.0 };
        let mut not_seen = self.not_seen;
        let arrivals = match self.arrivals {
            Ok(Some(arrivals)) => arrivals.finish(&mut cost, &mut not_seen),
            Ok(None) => Vec::new(),
            Err(why) => {
                not_seen.push(why);
                Vec::new()
            }
        };
        let dropped = match self.drops {
            Ok(drops) => drops.finish(self.sys, &sockets, &mut cost),
            Err(why) => {
                not_seen.push(why);
                Vec::new()
            }
        };
        let stages = self.stages.map_or_else(|why| (WatchedStages::default(), vec![why]), StageTrace::finish);
        not_seen.extend(stages.1);
        let mut doing: BTreeMap<u32, Option<&str>> = BTreeMap::new();
        for socket in &mut sockets {
            let Some(owner) = socket.owners.first() else { continue };
            // One process may have ten thousand of them.
            let state = doing.entry(owner.pid).or_insert_with(|| lowlat_collect::process_state(self.sys, owner.pid));
            socket.owner_state = state.map(str::to_owned);
        }
        let (mut files, mut not_written, mut trigger) = (Vec::new(), None, None);
        if let Some(mut hindsight) = self.hindsight {
            not_seen.extend(hindsight.not_seen());
            files = std::mem::take(&mut hindsight.written);
            not_written = hindsight.not_written.take();
            trigger = Some(hindsight.finish());
        }
        let document = WatchDocument {
            schema: Schema::current("watch"),
            kernel: query::uname(self.sys).into_value().map_or_else(|| "unknown".to_owned(), |u| u.release),
            asked: WatchAsked { port: self.ask.port, pid: self.ask.pid, peer: self.ask.peer.map(|p| p.to_string()) },
            duration_ns: self.last_ns,
            interval_ns: self.ask.interval_ns,
            readings,
            sockets,
            sockets_left_out,
            arrivals,
            stages: stages.0,
            dropped,
            cost,
            findings: Vec::new(),
            not_seen,
            ended: self.ended,
            interrupted: signals::stopped(),
            trigger,
        };
        Watched { document, files, not_written }
    }

    /// The sockets with their owners; those of sockets that came later are looked for now.
    fn owned(&mut self, folded: Vec<(u64, WatchedSocket)>) -> Vec<WatchedSocket> {
        let unknown = |inode: &&u32| **inode != 0 && !self.owners.contains_key(inode);
        let missing: BTreeSet<u32> = self.inodes.values().filter(unknown).copied().collect();
        if self.ask.pid.is_none() && !missing.is_empty() {
            let (owners, why) = lowlat_collect::socket_owners(self.sys, &missing);
            self.owners.extend(owners);
            self.not_seen.extend(why);
        }
        let owners = |key: &u64| self.inodes.get(key).and_then(|inode| self.owners.get(inode)).cloned();
        folded.into_iter().map(|(key, s)| WatchedSocket { owners: owners(&key).unwrap_or_default(), ..s }).collect()
    }
}

fn named(s: &LiveSocket) -> WatchedSocket {
    WatchedSocket {
        protocol: if s.udp { "udp" } else { "tcp" }.to_owned(),
        local: s.local.to_string(),
        remote: s.remote.to_string(),
        ..WatchedSocket::default()
    }
}

/// `port 5000`, `process 812, port 5000`.
fn whose(ask: &WatchAsk) -> String {
    let parts = [
        ask.pid.map(|p| format!("process {p}")),
        ask.port.map(|p| format!("port {p}")),
        ask.peer.map(|p| format!("peer {p}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn none(ask: &WatchAsk) -> String {
    let next = match (ask.pid, ask.peer) {
        (Some(pid), _) => format!("start when it has opened one; `ls -l /proc/{pid}/fd` shows what it has"),
        (None, Some(_)) => {
            let unconnected = "a UDP socket that is not connected has no peer: give --port";
            format!("start when it is connected, or find its address with ss -tuan ({unconnected})")
        }
        (None, None) => "start when the application runs, or find its port with ss -tuan".to_owned(),
    };
    format!("watch {}: no TCP or UDP socket fits; {next}", whose(ask))
}

fn cannot<T>(ask: &WatchAsk, why: &Reading<T>) -> Failure {
    let (kind, why) = why.why_not().unwrap_or_default();
    Failure::new(format!("watch {}: {kind}: {why}; run as root, on a kernel with socket diagnosis", whose(ask)))
}
