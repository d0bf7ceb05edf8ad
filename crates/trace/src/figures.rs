//! Joined probes to figures: quantiles and shares of each stage, what the slowest have in common, the slowest one by one.

use std::collections::BTreeMap;

use lowlat_model::trace::FarAnswer;
use lowlat_model::trace::{
    Common, FarTrace, How, Largest, Side, SlowProbe, SlowStage, StageKey, Tail, TraceDocument, TraceStage,
};
use lowlat_model::{NotSeen, Quantiles};

use crate::Trace;
use crate::acts::acts_on_probes;
use crate::event::{TRACE_POINTS, TraceNames};
use crate::join::{Flight, Joined, Threads, join, used};
use crate::meanwhile::{Cpus, words_of_irq, words_of_thread};
use crate::stage::{ALL, ANSWER, POINTS, Point, WIRE_AND_FAR, key, kind};

/// Slow probes that are kept with what ran meanwhile.
const SLOWEST: usize = 5;
/// Stages and others that are named of each.
const NAMED: usize = 3;
/// The tail is the slowest hundredth, and at least so many probes: as every quantile has ten samples beyond it.
const TAIL_LEAST: usize = 10;
/// Something is common to the tail if so much more of it has it than of all probes: at ten probes, two more than would
/// be expected.
const COMMON_MORE: f64 = 0.2;
/// What fewer than one of so many probes passed is somebody else's now and then (an interrupt of another device).
const RARE: u64 = 100;
/// A stage is conspicuous if it is more than half of the median round trip…
const CONSPICUOUS_PART: f64 = 0.5;
/// …and takes at least so long: on an idle host a stage takes 0.3 to 5 µs (seen on veth, kernel 6.18), a wake-up from a
/// deep idle state some ten more.
const CONSPICUOUS_NS: u64 = 20_000;

/// One traced round.
#[derive(Debug, Clone, Copy)]
pub struct TracedRound<'a> {
    /// Its events, in the order of time.
    pub trace: &'a Trace,
    /// Its answered probes.
    pub flights: &'a [Flight],
    /// Those that were not.
    pub lost: u64,
    /// Events that found no room in the ring.
    pub overruns: u64,
}

/// What traced rounds add up to.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    joined: Vec<Joined>,
    slowest: Vec<(Joined, SlowProbe)>,
    names: TraceNames,
    rounds: u32,
    incomplete: u64,
    lost: u64,
    events: u64,
    overruns: u64,
    garbled: u64,
    /// What the far host's own trace lacks, where one was joined and held any of the probes.
    far_missing: Option<BTreeMap<String, String>>,
}

/// An answer is looked for among so many that were read last: threads of the far end may answer at once.
const AT_ONCE: usize = 8;

impl Figures {
    /// Takes a round.
    pub fn take(&mut self, round: &TracedRound<'_>, threads: &Threads) {
        let whole: Vec<Flight> =
            round.flights.iter().filter(|f| f.sent >= round.trace.complete_from).copied().collect();
        let (joined, incomplete) = join(&round.trace.events, &whole, threads);
        self.rounds += 1;
        self.incomplete += incomplete + (round.flights.len() - whole.len()) as u64;
        self.lost += round.lost;
        self.events += round.trace.events.len() as u64;
        self.overruns += round.overruns;
        self.garbled += round.trace.garbled;
        self.names.threads.extend(round.trace.names.threads.clone());
        self.names.irqs.extend(round.trace.names.irqs.clone());
        self.keep_slowest(round.trace, &joined, threads);
        self.joined.extend(joined);
    }

    /// Takes the far end's stages from the far host's own trace, and gives how many probes it holds. A probe is found by
    /// the far program's two stamps, which lie between its receiving and its sending call.
    pub fn with_far(&mut self, far: &FarTrace) -> usize {
        // What some probes seem to have met on this host was other traffic of it.
        if !self.sees_far() {
            self.joined.iter_mut().chain(self.slowest.iter_mut().map(|(j, _)| j)).for_each(Joined::without_far);
        }
        let mut answers: Vec<&FarAnswer> = far.answers.iter().collect();
        answers.sort_by_key(|a| a.read_ns);
        let take = |joined: &mut Joined| {
            let Some((received, sent)) = joined.far_stamps else { return false };
            let end = answers.partition_point(|a| a.read_ns <= received);
            let candidates = answers[end.saturating_sub(AT_ONCE)..end].iter().rev();
            candidates.filter(|a| received <= sent && sent <= a.called_ns).any(|a| joined.take_far(a))
        };
        let mut found = 0;
        for joined in &mut self.joined {
            found += usize::from(take(joined));
        }
        for (joined, _) in &mut self.slowest {
            take(joined);
        }
        self.far_missing = (found > 0).then(|| far.missing.clone());
        found
    }

    /// Whether the far end runs on this host: then its stages are in this host's trace.
    pub fn sees_far(&self) -> bool {
        self.joined.iter().filter(|j| j.far_seen()).count() * 2 > self.joined.len()
    }

    /// Probes whose stages are known so far.
    pub fn probes(&self) -> usize {
        self.joined.len()
    }

    fn keep_slowest(&mut self, trace: &Trace, joined: &[Joined], threads: &Threads) {
        let mut order: Vec<&Joined> = joined.iter().collect();
        order.sort_by_key(|j| std::cmp::Reverse(j.rtt));
        let cpus = Cpus::of(&trace.events);
        let began = self.joined.first().or(joined.first()).map_or(0, |j| j.sent);
        for j in order.into_iter().take(SLOWEST) {
            let ours: Vec<u32> = threads.far.iter().copied().chain([threads.near]).chain(j.far).collect();
            let mut meanwhile = cpus.others(&used(j), (j.sent, j.sent + j.rtt), &ours, &trace.names);
            meanwhile.truncate(NAMED);
            let at_ns = j.sent.saturating_sub(began);
            let slow = SlowProbe { at_ns, rtt_ns: j.rtt, stages: Vec::new(), meanwhile };
            self.slowest.push((j.clone(), slow));
        }
        self.slowest.sort_by_key(|(j, _)| std::cmp::Reverse(j.rtt));
        self.slowest.truncate(SLOWEST);
    }

    /// Puts all figures into a document that says already what was traced. `missing` are the trace points that this
    /// kernel does not give, with the reason.
    pub fn document(&self, missing: &BTreeMap<String, String>, mut out: TraceDocument) -> TraceDocument {
        // The far host reads its ring now and then, and what it answers meanwhile is not in its trace.
        let far_seen = self.far_missing.is_some() || self.sees_far();
        let rows = Rows { far_missing: self.far_missing.clone(), ..Rows::of(&self.joined, far_seen) };
        out.how = How::Trace;
        out.far_seen = far_seen;
        out.rounds = self.rounds;
        out.probes = rows.rtts.len() as u64;
        out.incomplete = self.incomplete + (self.joined.len() - rows.rtts.len()) as u64;
        out.lost += self.lost;
        out.events = self.events;
        out.overruns = self.overruns;
        out.rtt = Quantiles::of(&mut rows.rtts.clone());
        out.stages = rows.stages(missing);
        let seen = || out.stages.iter().filter(|s| s.how != How::Unseen);
        out.sum_p50_ns = seen().map(|s| s.at_p50_ns).sum::<Option<u64>>().filter(|_| seen().next().is_some());
        out.sum_ratio = out.sum_p50_ns.zip(out.rtt.p50_ns).map(|(sum, rtt)| sum as f64 / rtt.max(1) as f64);
        out.largest = largest(&out.proto, &out.stages);
        out.conspicuous = out.largest.clone().filter(|l| {
            l.share_ratio > CONSPICUOUS_PART && l.at_p50_ns >= Some(CONSPICUOUS_NS) && l.stage.name != WIRE_AND_FAR
        });
        out.tail = self.tail(&rows);
        out.slowest = self.slow_probes(&rows);
        for point in TRACE_POINTS {
            if let (Some(shows), Some(why)) = (point.shows, missing.get(point.name)) {
                let fact = format!("what separates {shows} ({})", point.name);
                out.not_seen.push(NotSeen { fact, why: why.clone() });
            }
        }
        if self.garbled > 0 {
            out.notes.push(format!("{} pages of the trace did not make sense to their end", self.garbled));
        }
        out
    }

    fn slow_probes(&self, rows: &Rows) -> Vec<SlowProbe> {
        let one = |(joined, slow): &(Joined, SlowProbe)| {
            let lengths = rows.lengths(joined)?;
            let mut stages: Vec<SlowStage> = lengths
                .iter()
                .zip(&rows.kept)
                .filter(|(length, _)| **length > 0)
                .map(|(length, column)| SlowStage {
                    stage: column.key.clone(),
                    length_ns: *length,
                    cpu: column.point.and_then(|p| joined.cpu(p)),
                })
                .collect();
            stages.sort_by_key(|s| std::cmp::Reverse(s.length_ns));
            stages.truncate(NAMED);
            Some(SlowProbe { stages, ..slow.clone() })
        };
        self.slowest.iter().filter_map(one).collect()
    }

    fn tail(&self, rows: &Rows) -> Option<Tail> {
        let (tail, middle) = (rows.tail()?, rows.middle());
        let mean = |of: &[usize], column: usize| {
            of.iter().map(|i| rows.cells[*i][column] as f64).sum::<f64>() / of.len().max(1) as f64
        };
        let growth: Vec<f64> = (0..rows.kept.len()).map(|c| mean(tail, c) - mean(middle, c)).collect();
        let all: f64 = growth.iter().sum();
        let (column, most) = growth.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        Some(Tail {
            probes: tail.len() as u64,
            from_ns: tail.iter().map(|i| rows.rtts[*i]).min().unwrap_or(0),
            stage: rows.kept[column].key.clone(),
            share_of_growth_ratio: if all > 0.0 { most / all } else { 0.0 },
            common: self.common(rows, tail),
        })
    }

    /// What is more frequent among the slowest than among all.
    fn common(&self, rows: &Rows, tail: &[usize]) -> Vec<Common> {
        let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        let is_slow: std::collections::BTreeSet<usize> = tail.iter().copied().collect();
        for (i, probe) in rows.probes.iter().enumerate() {
            for mark in self.marks(&self.joined[*probe]) {
                let count = counts.entry(mark).or_default();
                count.1 += 1;
                count.0 += usize::from(is_slow.contains(&i));
            }
        }
        let ratio = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let mut common: Vec<Common> = counts
            .into_iter()
            .map(|(what, (slow, all))| Common {
                what,
                tail_ratio: ratio(slow, tail.len()),
                all_ratio: ratio(all, rows.probes.len()),
            })
            .filter(|c| c.tail_ratio - c.all_ratio >= COMMON_MORE)
            .collect();
        common.sort_by(|a, b| (b.tail_ratio - b.all_ratio).total_cmp(&(a.tail_ratio - a.all_ratio)));
        common.truncate(SLOWEST);
        common
    }

    /// What may be common to probes.
    fn marks(&self, joined: &Joined) -> Vec<String> {
        let on = |point, words: &str| joined.cpu(point).map(|cpu| format!("{words} on CPU {cpu}"));
        [
            on(Point::FarReceived, "the probe was received"),
            on(Point::FarRunning, "the far program was woken"),
            on(Point::NearReceived, "the answer was received"),
            on(Point::NearRunning, "the prober was woken"),
            joined.irq.map(|irq| words_of_irq(irq, &self.names)),
            joined.other.map(|thread| format!("{} on its CPUs", words_of_thread(thread, &self.names))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Every stage of the way, none of them seen, for this reason.
pub fn unseen(why: &str) -> Vec<TraceStage> {
    let one = |point: Point| {
        let StageKey { name, side, direction } = key(point);
        let what = kind(point).what.to_owned();
        let why_unseen = Some(why.to_owned());
        TraceStage { name, side, direction, what, how: How::Unseen, why_unseen, ..TraceStage::default() }
    };
    ALL.into_iter().skip(1).map(one).collect()
}

/// A stage with its place among the points; none for the far program's own report.
#[derive(Debug, Clone)]
struct Column {
    point: Option<Point>,
    key: StageKey,
}

/// The lengths of all stages of all probes whose far end was seen, or of all where it was seen of none.
struct Rows {
    far_seen: bool,
    /// See [`Figures`].
    far_missing: Option<BTreeMap<String, String>>,
    /// The stages that have a column.
    kept: Vec<Column>,
    /// Whether the probe passed each, and how long it took.
    cells: Vec<Vec<u64>>,
    passed: Vec<u64>,
    rtts: Vec<u64>,
    /// Numbers of the probes.
    probes: Vec<usize>,
    /// Rows in the order of their round trips.
    order: Vec<usize>,
}

impl Rows {
    fn of(joined: &[Joined], far_seen: bool) -> Self {
        let reported = !far_seen && joined.iter().filter(|j| j.residence.is_some()).count() * 2 > joined.len();
        let mut kept = Vec::new();
        for point in ALL.into_iter().skip(1) {
            let mut key = key(point);
            if !far_seen && point == Point::NearArrived {
                if reported {
                    let program = lowlat_model::trace::TraceDirection::Back;
                    let name = kind(Point::FarCalled).name.to_owned();
                    kept.push(Column { point: None, key: StageKey { name, side: Side::Far, direction: program } });
                }
                WIRE_AND_FAR.clone_into(&mut key.name);
            } else if !far_seen && key.side == Side::Far {
                continue;
            }
            kept.push(Column { point: Some(point), key });
        }
        let mut rows = Self {
            far_seen,
            far_missing: None,
            passed: vec![0; kept.len()],
            kept,
            cells: Vec::new(),
            rtts: Vec::new(),
            probes: Vec::new(),
            order: Vec::new(),
        };
        for (i, joined) in joined.iter().enumerate().filter(|(_, j)| j.far_seen() || !far_seen) {
            let Some(cells) = rows.lengths(joined) else { continue };
            let lengths = joined.lengths();
            for (column, passed) in rows.kept.iter().zip(&mut rows.passed) {
                *passed += u64::from(column.point.is_none_or(|p| lengths[p as usize].is_some()));
            }
            rows.cells.push(cells);
            rows.rtts.push(joined.rtt);
            rows.probes.push(i);
        }
        rows.name_answer();
        rows.order = (0..rows.rtts.len()).collect();
        rows.order.sort_by_key(|i| rows.rtts[*i]);
        rows
    }

    /// Where no program received or sent on the far side, its kernel answered (an echo, an XDP program).
    fn name_answer(&mut self) {
        let passed = |point: Point| {
            let column = self.kept.iter().position(|c| c.point == Some(point));
            column.is_some_and(|c| self.passed[c] > 0)
        };
        if self.far_seen && !passed(Point::FarRead) && !passed(Point::FarCalled) && !passed(Point::FarWaking) {
            let answer = self.kept.iter_mut().filter(|c| c.point == Some(Point::FarQueued));
            answer.for_each(|c| ANSWER.clone_into(&mut c.key.name));
        }
    }

    /// The lengths of a probe, column by column; `None` where its far end would be needed and was not seen.
    fn lengths(&self, joined: &Joined) -> Option<Vec<u64>> {
        if self.far_seen && !joined.far_seen() {
            return None;
        }
        let lengths: [Option<u64>; POINTS] = joined.lengths();
        let by_report = self.kept.iter().any(|c| c.point.is_none());
        let reported = joined.residence.filter(|_| by_report).unwrap_or(0);
        let between = lengths[Point::NearArrived as usize].unwrap_or(0);
        let reported = reported.min(between);
        let cell = |column: &Column| match column.point {
            None => reported,
            Some(Point::NearArrived) => between - reported,
            Some(point) => lengths[point as usize].unwrap_or(0),
        };
        Some(self.kept.iter().map(cell).collect())
    }

    /// The rows next to the median: from P45 to P55, and at least one.
    fn middle(&self) -> &[usize] {
        let n = self.order.len();
        let (from, to) = (n * 45 / 100, (n * 55).div_ceil(100));
        &self.order[from..to.max((from + 1).min(n))]
    }

    /// The slowest hundredth, if that is enough.
    fn tail(&self) -> Option<&[usize]> {
        let n = self.order.len() / 100;
        (n >= TAIL_LEAST).then(|| &self.order[self.order.len() - n..])
    }

    fn mean(&self, rows: &[usize], column: usize) -> Option<u64> {
        let sum: u64 = rows.iter().map(|i| self.cells[*i][column]).sum();
        let count = rows.len() as u64;
        (sum + count / 2).checked_div(count)
    }

    fn share(&self, rows: &[usize], column: usize) -> Option<f64> {
        let whole: u64 = rows.iter().map(|i| self.rtts[*i]).sum();
        let part: u64 = rows.iter().map(|i| self.cells[*i][column]).sum();
        (whole > 0).then(|| part as f64 / whole as f64)
    }

    fn stages(&self, missing: &BTreeMap<String, String>) -> Vec<TraceStage> {
        let mut stages = Vec::new();
        for point in ALL.into_iter().skip(1) {
            let own = |c: &&Column| c.point == Some(point);
            let report = self.kept.iter().position(|c| c.point.is_none() && point == Point::FarCalled);
            let column = self.kept.iter().position(|c| own(&c)).or(report);
            let often = |c: &usize| self.passed[*c] > 0 && self.passed[*c] * RARE >= self.rtts.len() as u64;
            let took_time = |c: &usize| self.cells.iter().any(|row| row[*c] > 0);
            match column.filter(|c| often(c) && took_time(c)) {
                Some(column) => stages.push(self.stage(column, point)),
                None => stages.push(self.unseen(point, missing)),
            }
        }
        stages
    }

    fn stage(&self, column: usize, point: Point) -> TraceStage {
        let key = self.kept[column].key.clone();
        let mut lengths: Vec<u64> = self.cells.iter().map(|row| row[column]).collect();
        let figures = Quantiles::of(&mut lengths);
        let what = match (&key.name, self.kept[column].point) {
            (name, _) if name == WIRE_AND_FAR => {
                "from the driver to this host's interrupt: both wires and the far host".to_owned()
            }
            (_, Some(Point::NearArrived)) if self.far_missing.is_some() => {
                "both wires and the devices at their ends, to this host's interrupt".to_owned()
            }
            (name, _) if name == ANSWER => "IP and the far kernel's own answer, to the queue discipline".to_owned(),
            (_, None) => "the far end's time by its own report".to_owned(),
            _ => kind(point).what.to_owned(),
        };
        TraceStage {
            name: key.name,
            side: key.side,
            direction: key.direction,
            what,
            how: if self.kept[column].point.is_none() { How::Stamp } else { How::Trace },
            why_unseen: None,
            samples: self.passed[column],
            at_p50_ns: figures.p50_ns.and_then(|_| self.mean(self.middle(), column)),
            p50_ns: figures.p50_ns,
            p99_ns: figures.p99_ns,
            max_ns: figures.max_ns,
            share_p50_ratio: self.share(self.middle(), column),
            share_tail_ratio: self.tail().and_then(|tail| self.share(tail, column)),
            not_passed: false,
        }
    }

    fn unseen(&self, point: Point, missing: &BTreeMap<String, String>) -> TraceStage {
        let StageKey { name, side, direction } = key(point);
        let missing = self.far_missing.as_ref().filter(|_| side == Side::Far).unwrap_or(missing);
        let lacking = kind(point).needs.iter().find_map(|n| missing.get(*n));
        let (why, not_passed) = if self.rtts.is_empty() {
            ("no probe could be followed".to_owned(), false)
        } else if self.far_missing.is_some() && point == Point::FarArrived {
            ("both wires are one stage: the clocks of two hosts are not compared".to_owned(), false)
        } else if !self.far_seen && side == Side::Far {
            (
                "the far end is not on this host; run `lowlat trace --answers` there and join both by --far".to_owned(),
                false,
            )
        } else if let Some(why) = lacking {
            (why.clone(), false)
        } else {
            ("no probe passed through it, or hardly any".to_owned(), true)
        };
        let (what, why_unseen) = (kind(point).what.to_owned(), Some(why));
        TraceStage { name, side, direction, what, how: How::Unseen, why_unseen, not_passed, ..TraceStage::default() }
    }
}

fn largest(proto: &str, stages: &[TraceStage]) -> Option<Largest> {
    let share = |s: &TraceStage| s.share_p50_ratio.unwrap_or(0.0);
    let points = ALL.into_iter().skip(1);
    let (stage, point) = stages
        .iter()
        .zip(points)
        .filter(|(s, _)| s.how != How::Unseen)
        .max_by(|a, b| share(a.0).total_cmp(&share(b.0)))?;
    let (rules, knobs) = acts_on_probes(proto, &[&stage.name], stage.at_p50_ns);
    Some(Largest {
        stage: StageKey { name: stage.name.clone(), side: stage.side, direction: stage.direction },
        at_p50_ns: stage.at_p50_ns,
        share_ratio: share(stage),
        why: kind(point).why.to_owned(),
        rules,
        knobs,
    })
}
