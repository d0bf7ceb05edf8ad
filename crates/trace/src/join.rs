//! Events to probes: for each, when it passed each point of its way.
//!
//! One probe is on its way at a time, so what happens between its send and its answer is its own or somebody else's:
//! the threads that send and read, the packet's buffer, the CPU, and the order tell which.

use std::collections::BTreeMap;

use lowlat_model::trace::FarAnswer;

use crate::event::{NET_RX, TraceEvent, What};
use crate::meanwhile::Cpus;
use crate::stage::{ALL, POINTS, Point};

/// One probe as the prober saw it, times on the trace's clock, ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flight {
    /// When it was sent.
    pub sent: u64,
    /// When its answer was there.
    pub received: u64,
    /// The far end's own time by its own report, ns; `None` where it gave none.
    pub residence: Option<u64>,
    /// When the far program received and when it sent, by its own report, ns on the far clock; `None` where they were not
    /// kept.
    pub far_stamps: Option<(u64, u64)>,
}

/// Who sends and reads, by the trace's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Threads {
    /// The prober.
    pub near: u32,
    /// The far end's threads that answered; empty where it is on another host.
    pub far: Vec<u32>,
}

/// Not passed.
const NONE: u32 = u32::MAX;
/// A CPU of another host, which is none of this one's.
const ELSEWHERE: u16 = u16::MAX;

/// One probe with its points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// When it was sent.
    pub sent: u64,
    /// Its round trip, ns.
    pub rtt: u64,
    /// The far end's own report.
    pub residence: Option<u64>,
    /// The far program's own two stamps, on the far clock.
    pub far_stamps: Option<(u64, u64)>,
    /// After the send, ns; [`NONE`] where it was not passed or not seen.
    at: [u32; POINTS],
    cpus: [u16; POINTS],
    /// The interrupt that announced the answer.
    pub irq: Option<u32>,
    /// The thread that answered.
    pub far: Option<u32>,
    /// The thread of somebody else that had its CPUs longest meanwhile, if for at least a tenth of the round trip.
    pub other: Option<u32>,
}

/// A thread that had less of the round trip than this is not what made it long.
const OTHER_PART: u64 = 10;

impl Joined {
    /// The length of the stage that ends at each point; `None` where the point was not passed. The lengths of a probe
    /// make its round trip.
    pub fn lengths(&self) -> [Option<u64>; POINTS] {
        let mut lengths = [None; POINTS];
        let mut last = 0;
        for (i, length) in lengths.iter_mut().enumerate().skip(1) {
            // Across CPUs the order of two events may be the other way round by some ns: then the later stage is 0.
            if self.at[i] != NONE {
                *length = Some(u64::from(self.at[i].saturating_sub(last)));
                last = last.max(self.at[i]);
            }
        }
        lengths
    }

    /// On which CPU a point was passed.
    pub fn cpu(&self, point: Point) -> Option<u32> {
        let cpu = self.cpus[point as usize];
        (self.at[point as usize] != NONE && cpu != ELSEWHERE && point != Point::Sent && point != Point::Returned)
            .then(|| u32::from(cpu))
    }

    /// Whether the far end's own way was seen.
    pub fn far_seen(&self) -> bool {
        self.at[Point::FarReceived as usize] != NONE
    }

    /// Takes away the far end's points.
    pub(crate) fn without_far(&mut self) {
        for point in FAR {
            self.at[point as usize] = NONE;
        }
        self.far = None;
    }

    /// Takes the far end's points from the far host's own trace of the same message. The two clocks are not compared: what
    /// both wires take is one stage, the one after the far end's last point. Whether it fits.
    pub(crate) fn take_far(&mut self, answer: &FarAnswer) -> bool {
        let at = |point: Point| Some(self.at[point as usize]).filter(|at| *at != NONE);
        let started = at(Point::NearStarted).or(at(Point::NearQueued)).unwrap_or(0);
        let gone = at(Point::NearDriven).unwrap_or(started);
        let Some(back) = at(Point::NearArrived) else { return false };
        let [first @ .., driven] = answer.points_ns.as_slice() else { return false };
        let least = first.iter().flatten().max().copied().unwrap_or(0);
        let most = driven.unwrap_or(0).max(least);
        // A message may arrive before the function that sent it returns: what comes first ends the stage, at either end.
        let gone = gone.min(back.saturating_sub(most).max(started));
        if self.far_seen() || answer.points_ns.len() != FAR.len() || gone.saturating_add(least) > back {
            return false;
        }
        for (point, ns) in FAR.into_iter().zip(&answer.points_ns) {
            let at = ns.map_or(NONE, |ns| gone.saturating_add(ns).min(back));
            (self.at[point as usize], self.cpus[point as usize]) = (at, ELSEWHERE);
        }
        if self.at[Point::NearDriven as usize] != NONE {
            self.at[Point::NearDriven as usize] = gone;
        }
        self.far_seen()
    }

    /// Takes back a point that is later than the one after it: what comes first ends the stage.
    fn not_after(&mut self, point: Point, next: Point) {
        let (at, next) = (point as usize, next as usize);
        if self.at[at] != NONE && self.at[next] < self.at[at] {
            (self.at[at], self.cpus[at]) = (self.at[next], self.cpus[next]);
        }
    }

    fn pass(&mut self, point: Point, event: Option<&TraceEvent>) {
        let Some(event) = event else { return };
        self.at[point as usize] = u32::try_from(event.at.saturating_sub(self.sent)).unwrap_or(NONE);
        self.cpus[point as usize] = u16::try_from(event.cpu).unwrap_or(u16::MAX);
    }
}

/// Events between a send and its answer.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a>(pub(crate) &'a [TraceEvent]);

impl<'a> Window<'a> {
    fn of(events: &'a [TraceEvent], from: u64, to: u64) -> Self {
        let begin = events.partition_point(|e| e.at < from);
        let end = events.partition_point(|e| e.at <= to);
        Self(&events[begin..end.max(begin)])
    }

    /// The first one from `from` on and before `to`.
    fn first(&self, from: usize, to: usize, is: impl Fn(&TraceEvent) -> bool) -> Option<usize> {
        (from..to.min(self.0.len())).find(|i| is(&self.0[*i]))
    }

    /// The last one before `to` and from `from` on.
    fn last(&self, from: usize, to: usize, is: impl Fn(&TraceEvent) -> bool) -> Option<usize> {
        (from..to.min(self.0.len())).rev().find(|i| is(&self.0[*i]))
    }

    pub(crate) fn at(&self, i: Option<usize>) -> Option<&'a TraceEvent> {
        self.0.get(i?)
    }
}

/// A packet left the device layer: its buffer and length.
pub(crate) fn received(e: &TraceEvent) -> Option<(u64, u64)> {
    if let What::Receive(skb, length) = e.what { Some((skb, length)) } else { None }
}

pub(crate) fn queued(e: &TraceEvent) -> Option<(u64, u64)> {
    if let What::Queue(skb, length) = e.what { Some((skb, length)) } else { None }
}

/// An Ethernet header, which is counted on the way out and not on the way in.
const ETHERNET: u64 = 14;

/// Whether a packet that left with the one length may be the one that came with the other.
fn same_length(out: u64, into: u64) -> bool {
    out == into || out == into + ETHERNET
}

/// Whether the packet that was received at `i` goes to another device instead of its protocol: the next that its CPU does
/// with a packet is to queue the same buffer (net/sched/act_mirred.c, `tcf_mirred_to_dev`: on ingress a packet that is
/// redirected is not copied). That device hands it in again, from a softirq of its own (drivers/net/ifb.c, `ifb_ri_tasklet`).
fn is_redirected(w: Window<'_>, i: usize) -> bool {
    let Some((skb, length)) = received(&w.0[i]) else { return false };
    let on = |e: &TraceEvent| e.cpu == w.0[i].cpu && (received(e).is_some() || queued(e).is_some());
    let next = w.at(w.first(i + 1, w.0.len(), on)).and_then(queued);
    next.is_some_and(|(s, l)| s == skb && same_length(l, length))
}

/// Whether the queueing at `i` is such a redirection and nobody's sending.
fn redirects(w: Window<'_>, i: usize) -> bool {
    let on = |e: &TraceEvent| e.cpu == w.0[i].cpu && (received(e).is_some() || queued(e).is_some());
    w.last(0, i, on).is_some_and(|before| received(&w.0[before]).is_some() && is_redirected(w, before))
}

/// Where the packet that was handed to its protocol at `into` was received first, not before `from`: earlier only if it was
/// redirected meanwhile.
fn came(w: Window<'_>, from: usize, into: usize) -> usize {
    let Some(last) = received(&w.0[into]) else { return into };
    w.first(from, into, |e| received(e) == Some(last)).filter(|i| is_redirected(w, *i)).unwrap_or(into)
}

/// The way out of one side: queued, given to the driver, gone.
pub(crate) struct Way {
    queued: usize,
    started: Option<usize>,
    driven: Option<usize>,
}

impl Way {
    pub(crate) fn of(w: Window<'_>, queued_at: usize, skb: u64) -> Self {
        let end = w.0.len();
        let started = w.first(queued_at + 1, end, |e| e.what == What::Start(skb));
        // The far side may begin before the driver's function returns: what comes first ends the stage.
        let driven = started.and_then(|s| {
            w.first(s + 1, end, |e| match e.what {
                What::Driven(b) | What::Backlog(b) | What::Gro(b) | What::Receive(b, _) => b == skb,
                _ => false,
            })
        });
        Self { queued: queued_at, started, driven }
    }

    pub(crate) fn points(&self) -> [Option<usize>; 3] {
        [Some(self.queued), self.started, self.driven]
    }

    fn end(&self) -> usize {
        self.driven.or(self.started).unwrap_or(self.queued)
    }
}

/// How a packet came in, from the interrupt on.
struct Arrival {
    arrived: Option<usize>,
    raised: Option<usize>,
    polled: Option<usize>,
    steered: Option<usize>,
    irq: Option<u32>,
}

impl Arrival {
    /// Of the packet `skb` that was received at `into`, after it went out by `out`.
    fn of(w: Window<'_>, out: &Way, into: usize, skb: u64) -> Self {
        // An emulated device raises the other end's interrupt before the driver's function returns.
        let from = out.started.unwrap_or(out.queued) + 1;
        let last = out.end();
        // Handed over in software, as veth does: the softirq is asked for on the sender's CPU.
        let handed = |base: usize| w.first(last, base, |e| e.cpu == w.0[last].cpu && e.what == What::Raise(NET_RX));
        Self::within(w, (from, last + 1), into, skb, &handed)
    }

    /// Of a packet that came from another host, not before `from`.
    fn alone(w: Window<'_>, from: usize, into: usize, skb: u64) -> Self {
        let raised = |base: usize| w.last(from, base, |e| e.cpu == w.0[base].cpu && e.what == What::Raise(NET_RX));
        Self::within(w, (from, from), into, skb, &raised)
    }

    /// `software` finds its arrival where no interrupt announced it.
    fn within(
        w: Window<'_>,
        (from, gone): (usize, usize),
        into: usize,
        skb: u64,
        software: &dyn Fn(usize) -> Option<usize>,
    ) -> Self {
        let cpu_of = |i: usize| w.0[i].cpu;
        let polled = w.last(gone, into, |e| e.what == What::Gro(skb));
        let base = polled.unwrap_or(into);
        let on = |e: &TraceEvent| e.cpu == cpu_of(base);
        let entry = w.last(from, base, |e| on(e) && e.what == What::Softirq(NET_RX)).unwrap_or(base);
        let raised = w.last(from, entry, |e| on(e) && e.what == What::Raise(NET_RX));
        let irq = w.last(from, raised.unwrap_or(base), |e| on(e) && matches!(e.what, What::Irq(_)));
        // The handler that asked for the softirq, not one that had ended before.
        let ended = |i: usize| w.first(i, raised.unwrap_or(i), |e| on(e) && matches!(e.what, What::IrqEnd(_)));
        let irq = irq.filter(|i| ended(*i).is_none());
        let number = w.at(irq).and_then(|e| if let What::Irq(n) = e.what { Some(n) } else { None });
        // Polled without either, by a reader or a softirq that was at it anyway: it arrived when it was found.
        let arrived = irq.or_else(|| software(base)).unwrap_or(base);
        let before = polled.unwrap_or(arrived);
        Self {
            arrived: Some(arrived),
            raised: raised.filter(|_| irq.is_some()),
            // Without GRO the driver's poll ends where the packet leaves the device layer.
            polled: polled.or_else(|| (cpu_of(before) == cpu_of(into)).then_some(into)),
            steered: (cpu_of(before) != cpu_of(into)).then_some(into),
            irq: number,
        }
    }
}

impl Arrival {
    /// Of a packet that was received first at `came` and handed to its protocol at `into`.
    fn points(&self, came: usize, into: usize) -> [Option<usize>; 6] {
        [self.arrived, self.raised, self.polled, self.steered, Some(came), Some(into).filter(|i| *i != came)]
    }
}

/// Where the answer was received on the near side: after `from`.
fn answer(w: Window<'_>, from: usize, (skb, length): (u64, u64), near: u32) -> Option<usize> {
    let end = w.0.len();
    let running = w.last(from, end, |e| matches!(e.what, What::Switch(_, to) if to == near));
    let waking = w.last(from, running.unwrap_or(end), |e| e.what == What::Waking(near));
    let socket = w
        .last(from, end, |e| e.thread == near && e.own && matches!(e.what, What::Read(Some(_))))
        .and_then(|i| if let What::Read(socket) = w.0[i].what { socket } else { None });
    let ready = socket.and_then(|s| w.last(from, end, |e| e.what == What::Ready(Some(s))));
    let before = |i: usize| w.last(from, i, |e| e.cpu == w.0[i].cpu && received(e).is_some());
    ready.and_then(before).or_else(|| waking.and_then(before)).or_else(|| {
        let i = w.last(from, end, |e| received(e).is_some_and(|(_, l)| same_length(length, l)))?;
        // In one host the probe itself is received too, in the buffer that it was sent in.
        let is_probe = received(&w.0[i]).is_some_and(|(s, _)| s == skb)
            && !(from..i).any(|n| queued(&w.0[n]).is_some_and(|(s, _)| s == skb) && !redirects(w, n));
        (!is_probe).then_some(i)
    })
}

/// Where the far side received the probe and queued its answer, if that is on this host.
fn far_way(w: Window<'_>, out: &Way, into: usize, (skb, length): (u64, u64), near: u32) -> Option<(usize, usize)> {
    let (reply, reply_length) = received(&w.0[into])?;
    let from = out.end();
    // By the buffer: exact.
    let sends = |i: usize| queued(&w.0[i]).is_some_and(|(s, _)| s == reply) && !redirects(w, i);
    let of_reply = |is: &dyn Fn(&TraceEvent) -> bool| (from..into).rev().find(|i| is(&w.0[*i]) && sends(*i));
    let sent = of_reply(&|e| e.own && e.thread != near)
        .or_else(|| of_reply(&|e| e.thread != near))
        .or_else(|| of_reply(&|_| true));
    if let Some(sent) = sent
        && let Some(got) = w.last(from, sent, |e| received(e).is_some_and(|(s, _)| s == skb))
    {
        // A buffer that came after the probe and goes on is another host's answer, which this one bridges or routes.
        let came_too = w.first(got + 1, sent, |e| received(e).is_some_and(|(s, _)| s == reply));
        return came_too.is_none().then_some((got, sent));
    }
    // Over a device that copies: by length, order and the thread that was woken or read. Two that fit are other traffic of this
    // host, and then neither is known to be the answer.
    let fits =
        |e: &TraceEvent| e.own && e.thread != near && queued(e).is_some_and(|(_, l)| same_length(l, reply_length));
    let sent = w.last(from + 1, into, fits)?;
    if w.first(from + 1, sent, fits).is_some() {
        return None;
    }
    let far = w.0[sent].thread;
    let got = w.last(from + 1, sent, |e| received(e).is_some_and(|(_, l)| same_length(length, l)))?;
    let read = w.first(got, sent, |e| match e.what {
        What::Waking(t) | What::Wakeup(t) | What::Switch(_, t) => t == far,
        What::Read(_) => e.thread == far && e.own,
        _ => false,
    });
    read.map(|_| (got, sent))
}

/// The way up of one side, from the packet's reception at `into` to `end`, by `reader`.
fn up(w: Window<'_>, into: usize, end: usize, reader: u32) -> [Option<usize>; 4] {
    let cpu = w.0[into].cpu;
    let next = w.first(into + 1, end, |e| e.cpu == cpu && received(e).is_some()).unwrap_or(end);
    let ready = w.first(into, next, |e| e.cpu == cpu && matches!(e.what, What::Ready(_)));
    let waking = w.first(into, end, |e| e.what == What::Waking(reader));
    let wakeup = waking.and_then(|i| w.first(i, end, |e| e.what == What::Wakeup(reader)));
    let running = w.last(into, end, |e| matches!(e.what, What::Switch(_, to) if to == reader));
    [ready, waking, wakeup, running]
}

/// The way of a message that was received at `into`, and first not before `from`, to its reader, who runs before `end`: the
/// points of [`FAR`] before it is read.
pub(crate) fn to_reader(
    w: Window<'_>,
    (from, into, end): (usize, usize, usize),
    reader: u32,
) -> Option<[Option<usize>; 10]> {
    let first = came(w, from, into);
    let arrival = Arrival::alone(w, from, first, received(&w.0[into])?.0);
    let [arrived, raised, polled, steered, got, redirected] = arrival.points(first, into);
    let [ready, waking, wakeup, running] = up(w, into, end, reader);
    Some([arrived, raised, polled, steered, got, redirected, ready, waking, wakeup, running])
}

/// The points of a far end, from the message's arrival on.
pub(crate) const FAR: [Point; 15] = [
    Point::FarArrived,
    Point::FarRaised,
    Point::FarPolled,
    Point::FarSteered,
    Point::FarReceived,
    Point::FarRedirected,
    Point::FarReady,
    Point::FarWaking,
    Point::FarWakeup,
    Point::FarRunning,
    Point::FarRead,
    Point::FarCalled,
    Point::FarQueued,
    Point::FarStarted,
    Point::FarDriven,
];

/// The points of one arrival, from the interrupt to the packet's reception, and its second one.
const FAR_ARRIVAL: [Point; 6] = [
    Point::FarArrived,
    Point::FarRaised,
    Point::FarPolled,
    Point::FarSteered,
    Point::FarReceived,
    Point::FarRedirected,
];
const NEAR_ARRIVAL: [Point; 6] = [
    Point::NearArrived,
    Point::NearRaised,
    Point::NearPolled,
    Point::NearSteered,
    Point::NearReceived,
    Point::NearRedirected,
];
/// Those of the way up to the reader.
const FAR_UP: [Point; 4] = [Point::FarReady, Point::FarWaking, Point::FarWakeup, Point::FarRunning];
const NEAR_UP: [Point; 4] = [Point::NearReady, Point::NearWaking, Point::NearWakeup, Point::NearRunning];

impl Joined {
    fn new(flight: &Flight) -> Option<Self> {
        let rtt = flight.received.checked_sub(flight.sent)?;
        let (mut at, cpus) = ([NONE; POINTS], [0; POINTS]);
        at[Point::Sent as usize] = 0;
        at[Point::Returned as usize] = u32::try_from(rtt).ok()?;
        let (residence, far_stamps) = (flight.residence, flight.far_stamps);
        Some(Self { sent: flight.sent, rtt, residence, far_stamps, at, cpus, irq: None, far: None, other: None })
    }

    fn pass_all<const N: usize>(&mut self, w: Window<'_>, points: [Point; N], at: [Option<usize>; N]) {
        for (point, at) in points.into_iter().zip(at) {
            self.pass(point, w.at(at));
        }
    }

    /// The far side's points; gives its way out.
    fn pass_far(&mut self, w: Window<'_>, out: &Way, into: usize, packet: (u64, u64), near: u32) -> Option<Way> {
        let (got, sent) = far_way(w, out, into, packet, near)?;
        let (own, thread) = (w.0[sent].own, w.0[sent].thread);
        let first = came(w, out.end(), got);
        let arrival = Arrival::of(w, out, first, received(&w.0[got])?.0);
        self.pass_all(w, FAR_ARRIVAL, arrival.points(first, got));
        self.pass_all(w, FAR_UP, up(w, got, sent, thread));
        let by = |e: &TraceEvent| own && e.own && e.thread == thread;
        self.pass(Point::FarRead, w.at(w.last(got, sent, |e| by(e) && matches!(e.what, What::Read(_)))));
        self.pass(Point::FarCalled, w.at(w.last(got, sent, |e| by(e) && e.what == What::Send)));
        let back = Way::of(w, sent, queued(&w.0[sent])?.0);
        self.pass_all(w, [Point::FarQueued, Point::FarStarted, Point::FarDriven], back.points());
        self.far = own.then_some(thread);
        Some(back)
    }
}

fn one(events: &[TraceEvent], flight: &Flight, near: u32) -> Option<Joined> {
    let mut joined = Joined::new(flight)?;
    let w = Window::of(events, flight.sent, flight.received);
    let first = w.first(0, w.0.len(), |e| e.own && e.thread == near && queued(e).is_some())?;
    let packet = queued(&w.0[first])?;
    let out = Way::of(w, first, packet.0);
    let into = answer(w, out.end() + 1, packet, near)?;
    joined.pass_all(w, [Point::NearQueued, Point::NearStarted, Point::NearDriven], out.points());
    let back = joined.pass_far(w, &out, into, packet, near);
    let before = back.as_ref().unwrap_or(&out);
    let first = came(w, before.end(), into);
    let arrival = Arrival::of(w, before, first, received(&w.0[into])?.0);
    joined.pass_all(w, NEAR_ARRIVAL, arrival.points(first, into));
    joined.pass_all(w, NEAR_UP, up(w, into, w.0.len(), near));
    joined.irq = arrival.irq;
    let next = if back.is_some() { Point::FarArrived } else { Point::NearArrived };
    joined.not_after(Point::NearDriven, next);
    joined.not_after(Point::FarDriven, Point::NearArrived);
    Some(joined)
}

/// The probes of a round with their points, and how many of them could not be joined. `events` in the order of time.
pub fn join(events: &[TraceEvent], flights: &[Flight], threads: &Threads) -> (Vec<Joined>, u64) {
    let cpus = Cpus::of(events);
    let mut joined = Vec::with_capacity(flights.len());
    let mut incomplete = 0;
    for flight in flights.iter().filter(|f| f.received > f.sent) {
        let Some(mut one) = one(events, flight, threads.near) else {
            incomplete += 1;
            continue;
        };
        let ours: Vec<u32> = one.far.into_iter().chain([threads.near, 0]).chain(threads.far.iter().copied()).collect();
        let ran = cpus.threads(&used(&one), one.sent, one.sent + one.rtt);
        let other = ran.into_iter().filter(|(thread, _)| !ours.contains(thread)).max_by_key(|(_, ns)| *ns);
        one.other = other.filter(|(_, ns)| ns.saturating_mul(OTHER_PART) >= one.rtt).map(|(thread, _)| thread);
        joined.push(one);
    }
    (joined, incomplete)
}

/// A message that a thread received and answered, on the far host alone.
fn answered(w: Window<'_>, read: usize) -> Option<Result<FarAnswer, ()>> {
    let thread = w.0[read].thread;
    let by = |e: &TraceEvent| e.own && e.thread == thread;
    // The next thing that it does is to send; else it was no message that is answered.
    let called = w.first(read + 1, w.0.len(), |e| by(e) && matches!(e.what, What::Send | What::Read(_)))?;
    if w.0[called].what != What::Send {
        return None;
    }
    let next = w.first(called + 1, w.0.len(), |e| by(e) && matches!(e.what, What::Send | What::Read(_)));
    let sent = w.first(called + 1, next.unwrap_or(w.0.len()), |e| by(e) && queued(e).is_some())?;
    let from = w.last(0, read, |e| by(e) && queued(e).is_some()).map_or(0, |i| i + 1);
    Some(answered_by(w, (from, read, called, sent), thread).ok_or(()))
}

fn answered_by(
    w: Window<'_>,
    (from, read, called, sent): (usize, usize, usize, usize),
    thread: u32,
) -> Option<FarAnswer> {
    let socket = if let What::Read(socket) = w.0[read].what { socket } else { None };
    let ready = socket.and_then(|s| w.last(from, read, |e| e.what == What::Ready(Some(s))));
    let waking = w.last(from, read, |e| e.what == What::Waking(thread));
    let before = |i: usize| w.last(from, i, |e| e.cpu == w.0[i].cpu && received(e).is_some());
    let into = ready.and_then(before).or_else(|| waking.and_then(before))?;
    let came = to_reader(w, (from, into, sent), thread)?;
    let left = Way::of(w, sent, queued(&w.0[sent])?.0).points();
    let since = w.at(came[0])?.at;
    let after = |e: &TraceEvent| u32::try_from(e.at.saturating_sub(since)).ok();
    Some(FarAnswer {
        read_ns: w.0[read].at,
        called_ns: w.0[called].at,
        points_ns: came.into_iter().chain([Some(read), Some(called)]).chain(left).map(|at| after(w.at(at)?)).collect(),
    })
}

/// The messages that these threads received and answered, and how many more could not be followed. `events` in the order
/// of time.
pub fn answers(events: &[TraceEvent], threads: &[u32]) -> (Vec<FarAnswer>, u64) {
    let (mut all, mut incomplete) = (Vec::new(), 0);
    let reads = events
        .iter()
        .enumerate()
        .filter(|(_, e)| e.own && threads.contains(&e.thread) && matches!(e.what, What::Read(_)));
    for (i, read) in reads {
        let from = read.at.saturating_sub(ANSWER_NS);
        let around = Window::of(events, from, read.at.saturating_add(ANSWER_NS));
        match answered(around, i - events.partition_point(|e| e.at < from)) {
            Some(Ok(answer)) => all.push(answer),
            Some(Err(())) => incomplete += 1,
            None => {}
        }
    }
    (all, incomplete)
}

/// A message is looked for so long before it was read, and its answer so long after, ns.
const ANSWER_NS: u64 = 20_000_000;

/// The CPUs that a probe used.
pub(crate) fn used(joined: &Joined) -> Vec<u32> {
    let mut cpus: Vec<u32> = ALL.iter().filter_map(|p| joined.cpu(*p)).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

/// Who sends and who answers, by what was traced of some probes: the thread that queued a packet first in most of them,
/// and those that queued their answers. `None` where no packet was seen.
pub fn threads(events: &[TraceEvent], flights: &[Flight]) -> Option<Threads> {
    let mut near: BTreeMap<u32, usize> = BTreeMap::new();
    for flight in flights.iter().filter(|f| f.received > f.sent) {
        let w = Window::of(events, flight.sent, flight.received);
        if let Some(i) = w.first(0, w.0.len(), |e| e.own && e.thread > 0 && queued(e).is_some()) {
            *near.entry(w.0[i].thread).or_default() += 1;
        }
    }
    let near = near.into_iter().max_by_key(|(_, n)| *n)?.0;
    let mut far: BTreeMap<u32, usize> = BTreeMap::new();
    for flight in flights.iter().filter(|f| f.received > f.sent) {
        if let Some(thread) = one(events, flight, near).and_then(|j| j.far) {
            *far.entry(thread).or_default() += 1;
        }
    }
    let mut far: Vec<(u32, usize)> = far.into_iter().collect();
    far.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    Some(Threads { near, far: far.into_iter().take(MOST_FAR).map(|(thread, _)| thread).collect() })
}

/// A filter names so many threads of the far end at most; one connection is answered by one.
const MOST_FAR: usize = 4;
