//! Packets of live traffic to their stages, without a probe: each message that a watched thread receives or sends.
//!
//! No message is known beforehand, so what a thread reads is matched to what came for its socket, in order. That holds only
//! from a moment on at which nothing waited there: a reader that had to be woken shows one, and so do the sockets themselves
//! when the trace begins.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lowlat_model::Quantiles;
use lowlat_model::trace::TraceDirection;
use lowlat_model::watch::WatchedStage;

use crate::Trace;
use crate::event::What;
use crate::join::{FAR, Way, Window, queued, to_reader};
use crate::stage::{Point, kind};

/// Points of a received message, the first without a stage before it: the first ones of [`FAR`].
const RECEIVED: usize = 11;
/// Points of a sent one, the same.
const SENT: [Point; 4] = [Point::Sent, Point::NearQueued, Point::NearStarted, Point::NearDriven];
/// A message is looked for so long before it was read, and its way out so long after it was queued, ns.
const AROUND_NS: u64 = 20_000_000;
/// Messages that may wait for one reader; more are those of somebody who is not watched.
const MOST_WAITING: usize = 10_000;
/// Messages that are kept in all, each some 300 bytes.
const MOST_KEPT: usize = 100_000;

/// What was followed of one trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passes {
    /// Of each received message the length of each stage, ns; `None` where it was not passed.
    received: Vec<[Option<u64>; RECEIVED]>,
    /// Of each sent one.
    sent: Vec<[Option<u64>; SENT.len()]>,
    /// Messages that were read, and came before it was known that nothing else waited; and those that were queued and did not
    /// leave while it was looked.
    pub unmatched: u64,
}

/// A reader, or the socket that it reads from where the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    Socket(u64),
    Thread(u32),
}

/// What waits for one reader.
#[derive(Debug, Default)]
struct Waiting {
    /// The event by which each left the device layer, in order.
    came: VecDeque<usize>,
    /// Nothing waited before the first of them.
    known: bool,
}

impl Passes {
    /// Takes what another trace gave.
    pub fn extend(&mut self, other: Self) {
        let room = MOST_KEPT.saturating_sub(self.received.len() + self.sent.len());
        self.received.extend(other.received.into_iter().take(room));
        let room = MOST_KEPT.saturating_sub(self.received.len() + self.sent.len());
        self.sent.extend(other.sent.into_iter().take(room));
        self.unmatched += other.unmatched;
    }

    /// Received and sent messages.
    pub fn counts(&self) -> (u64, u64) {
        (self.received.len() as u64, self.sent.len() as u64)
    }

    /// The figures of every stage that a message passed, in the order of the way.
    pub fn stages(&self) -> Vec<WatchedStage> {
        let mut all = Vec::new();
        let (out, back) = (TraceDirection::Out, TraceDirection::Back);
        for (i, point) in FAR.into_iter().take(RECEIVED).enumerate().skip(1) {
            all.extend(figures(back, point, self.received.iter().map(|m| m[i])));
        }
        for (i, point) in SENT.into_iter().enumerate().skip(1) {
            all.extend(figures(out, point, self.sent.iter().map(|m| m[i])));
        }
        all
    }
}

/// A stage's figures over all messages, 0 in one that did not need it; `None` where none passed it.
fn figures(
    direction: TraceDirection,
    point: Point,
    lengths: impl Iterator<Item = Option<u64>> + Clone,
) -> Option<WatchedStage> {
    let passed = lengths.clone().flatten().count() as u64;
    let mut all: Vec<u64> = lengths.map(Option::unwrap_or_default).collect();
    let (name, what) = (kind(point).name.to_owned(), kind(point).what.to_owned());
    (passed > 0).then(|| WatchedStage { name, direction, what, passed, time: Quantiles::of(&mut all) })
}

/// The stages between points that were passed; an earlier event on another CPU that is a little later makes a stage of 0.
fn lengths<const N: usize>(w: Window<'_>, points: [Option<usize>; N]) -> [Option<u64>; N] {
    let mut last = None;
    points.map(|point| {
        let at = w.at(point)?.at;
        let length = last.map_or(0, |last: u64| at.saturating_sub(last));
        last = Some(last.map_or(at, |last: u64| last.max(at)));
        Some(length)
    })
}

/// Follows every message that one of these threads received or sent. `trace` is in the order of time; `empty` says that
/// nothing waited in any of their sockets when it began.
pub fn passes(trace: &Trace, threads: &BTreeSet<u32>, empty: bool) -> Passes {
    let begin = trace.events.partition_point(|e| e.at < trace.complete_from);
    let w = Window(&trace.events[begin..]);
    let mut out = Passes::default();
    let mut fold = Fold {
        w,
        threads,
        waiting: BTreeMap::new(),
        came: BTreeMap::new(),
        called: BTreeMap::new(),
        last: BTreeMap::new(),
        empty,
    };
    for i in 0..w.0.len() {
        fold.take(i, &trace.names.streams, &mut out);
    }
    out
}

/// The state of a pass over all events.
struct Fold<'a> {
    w: Window<'a>,
    threads: &'a BTreeSet<u32>,
    waiting: BTreeMap<Reader, Waiting>,
    /// The packet that left the device layer last on each CPU, and was not given to a socket yet.
    came: BTreeMap<u32, usize>,
    /// The sending call of each thread that has queued nothing yet.
    called: BTreeMap<u32, usize>,
    /// The last event of each CPU.
    last: BTreeMap<u32, usize>,
    empty: bool,
}

impl Fold<'_> {
    fn take(&mut self, i: usize, streams: &BTreeSet<u64>, out: &mut Passes) {
        let e = &self.w.0[i];
        let ours = e.own && self.threads.contains(&e.thread);
        let before = self.last.insert(e.cpu, i).map(|b| self.w.0[b].what);
        match e.what {
            What::Receive(..) => {
                self.came.insert(e.cpu, i);
            }
            // Where the reader has the socket, it takes what came meanwhile later itself, and that was an earlier packet.
            What::Ready(Some(socket)) if !ours => self.wait(Reader::Socket(socket), e.cpu),
            What::Waking(thread) if self.threads.contains(&thread) => self.woken(thread, e.cpu, before),
            What::Read(socket) if ours => {
                let reader = socket.map_or(Reader::Thread(e.thread), Reader::Socket);
                // A datagram is read alone; a stream gives all that came.
                let all = socket.is_none_or(|s| streams.contains(&s));
                self.read(i, reader, all, out);
            }
            What::Send if ours => {
                self.called.insert(e.thread, i);
            }
            What::Queue(..) if ours => self.sent(i, out),
            _ => {}
        }
    }

    /// What came last on a CPU waits for a reader.
    fn wait(&mut self, reader: Reader, cpu: u32) {
        let Some(came) = self.came.remove(&cpu) else { return };
        let empty = self.empty;
        let waiting = self.waiting.entry(reader).or_insert_with(|| Waiting { known: empty, ..Waiting::default() });
        if waiting.came.len() < MOST_WAITING {
            waiting.came.push_back(came);
        }
    }

    /// A reader that a packet wakes slept, so nothing waited but what woke it.
    fn woken(&mut self, thread: u32, cpu: u32, before: Option<What>) {
        let reader = match before {
            Some(What::Ready(Some(socket))) => Reader::Socket(socket),
            // Before Linux 6.3 no event names the socket.
            Some(What::Receive(..)) => {
                self.wait(Reader::Thread(thread), cpu);
                Reader::Thread(thread)
            }
            _ => return,
        };
        if let Some(waiting) = self.waiting.get_mut(&reader) {
            if !waiting.known {
                let earlier = waiting.came.len().saturating_sub(1);
                waiting.came.drain(..earlier);
            }
            waiting.known = true;
        }
    }

    fn read(&mut self, i: usize, reader: Reader, all: bool, out: &mut Passes) {
        let Some(waiting) = self.waiting.get_mut(&reader).filter(|w| w.known) else {
            if let Some(unknown) = self.waiting.get_mut(&reader) {
                unknown.came.clear();
            }
            out.unmatched += 1;
            return;
        };
        let count = if all { waiting.came.len() } else { waiting.came.len().min(1) };
        // A stream may be read in parts.
        if count == 0 && !all {
            out.unmatched += 1;
        }
        let taken: Vec<usize> = waiting.came.drain(..count).collect();
        for into in taken {
            let (w, thread) = (self.w, self.w.0[i].thread);
            let from = w.0.partition_point(|e| e.at < w.0[into].at.saturating_sub(AROUND_NS));
            // A reader that was awake already was woken for an earlier message.
            let Some(way) = to_reader(w, (from, into, i), thread) else { continue };
            let mut points = [Some(i); RECEIVED];
            points[..way.len()].copy_from_slice(&way);
            out.received.push(lengths(w, points));
        }
    }

    fn sent(&mut self, i: usize, out: &mut Passes) {
        let (w, e) = (self.w, &self.w.0[i]);
        let Some((skb, _)) = queued(e) else { return };
        // Of a call that sends several packets the first has its length; the others begin where they are queued.
        let called = self.called.remove(&e.thread);
        let until = w.0.partition_point(|n| n.at <= e.at.saturating_add(AROUND_NS));
        let [queued, started, driven] = Way::of(Window(&w.0[..until]), i, skb).points();
        // Still in the queue when the trace ended, or dropped there: no length of it is known, and none is 0.
        if started.is_none() {
            out.unmatched += 1;
            return;
        }
        out.sent.push(lengths(w, [called.or(queued), queued, started, driven]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TraceEvent;

    const READER: u32 = 7;

    fn event(at: u64, thread: u32, own: bool, what: What) -> TraceEvent {
        TraceEvent { at, cpu: 0, thread, own, what }
    }

    /// A datagram that comes for socket 5 in the softirq of an idle CPU.
    fn comes(at: u64, skb: u64) -> Vec<TraceEvent> {
        let idle = |at, what| event(at, 0, false, what);
        vec![idle(at, What::Softirq(3)), idle(at + 10, What::Receive(skb, 92)), idle(at + 30, What::Ready(Some(5)))]
    }

    fn wakes(at: u64) -> Vec<TraceEvent> {
        let idle = |at, what| event(at, 0, false, what);
        vec![
            idle(at, What::Waking(READER)),
            idle(at + 5, What::Wakeup(READER)),
            event(at + 40, 0, true, What::Switch(0, READER)),
        ]
    }

    fn reads(at: u64) -> Vec<TraceEvent> {
        vec![event(at, READER, true, What::Read(Some(5)))]
    }

    fn followed(parts: &[Vec<TraceEvent>], empty: bool) -> Passes {
        let trace = Trace { events: parts.concat(), ..Trace::default() };
        passes(&trace, &BTreeSet::from([READER]), empty)
    }

    fn longest(p: &Passes, name: &str) -> Option<u64> {
        p.stages().into_iter().find(|s| s.name == name).and_then(|s| s.time.max_ns)
    }

    #[test]
    fn what_waits_is_read_in_its_order_and_the_time_until_then_is_the_readers() {
        // Three come; the first wakes the reader, who works for a while before each of the others.
        let parts = [comes(0, 1), wakes(40), comes(200, 2), comes(300, 3), reads(1_000), reads(2_000), reads(9_000)];
        let p = followed(&parts, false);
        assert_eq!((p.counts(), p.unmatched), ((3, 0), 0));
        let read: Vec<Option<u64>> = p.received.iter().map(|m| m[10]).collect();
        // From its start on the CPU for the first, from the socket for those that found it awake.
        assert_eq!(read, [Some(920), Some(1_770), Some(8_670)]);
        assert_eq!((longest(&p, "IP"), longest(&p, "scheduling")), (Some(20), Some(35)));
    }

    #[test]
    fn until_it_is_known_that_nothing_waited_nothing_is_matched() {
        // The first read takes what came before the trace began.
        let parts = [comes(0, 1), reads(500), comes(600, 2), reads(700), comes(1_000, 3), wakes(1_040), reads(2_000)];
        let p = followed(&parts, false);
        assert_eq!((p.counts(), p.unmatched), ((1, 0), 2));
        assert_eq!(p.received[0][10], Some(920));
        let p = followed(&parts, true);
        assert_eq!((p.counts(), p.unmatched), ((3, 0), 0), "where the sockets say that nothing waited");
        // A timer that wakes the reader says nothing of the socket.
        let timer = vec![event(450, 0, false, What::Irq(1)), event(460, 0, false, What::Waking(READER))];
        assert_eq!(followed(&[comes(0, 1), comes(100, 2), timer, reads(500)], false).unmatched, 1);
    }

    #[test]
    fn a_stream_gives_all_that_came_at_once_and_may_be_read_in_parts() {
        let parts = [comes(0, 1), wakes(40), comes(200, 2), reads(1_000), reads(1_100)];
        let mut trace = Trace { events: parts.concat(), ..Trace::default() };
        trace.names.streams.insert(5);
        let p = passes(&trace, &BTreeSet::from([READER]), false);
        assert_eq!((p.counts(), p.unmatched), ((2, 0), 0));
    }

    #[test]
    fn what_is_sent_has_its_call_its_queue_and_its_driver() {
        let ours = |at, what| event(at, READER, true, what);
        let one = vec![
            ours(0, What::Send),
            ours(100, What::Queue(9, 106)),
            event(5_100, 0, false, What::Start(9)),
            event(5_150, 0, false, What::Driven(9)),
        ];
        let waits = vec![event(6_000, 3, true, What::Queue(4, 60)), ours(6_100, What::Queue(8, 106))];
        let p = followed(&[one.clone(), waits], false);
        assert_eq!(p.unmatched, 1, "it was not seen to leave");
        assert_eq!((p.counts(), p.sent.clone()), ((0, 1), vec![[Some(0), Some(100), Some(5_000), Some(50)]]));
        assert_eq!(longest(&p, "queue discipline"), Some(5_000));
        let mut twice = p.clone();
        twice.extend(p);
        assert_eq!(twice.counts(), (0, 2));
    }
}
