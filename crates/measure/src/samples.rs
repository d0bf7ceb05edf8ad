//! What came of each probe, and the figures made from it.

use std::collections::BTreeMap;

use lowlat_model::measurement::LOST;
use lowlat_model::{Conditions, GapMarks, Measurement, Quantiles, Schema};
use lowlat_transport::{Ns, StampAt, TxStamp};

use crate::histogram::Histogram;
use crate::sends::Sends;
use crate::stages::{self, Probed};
use crate::window::Class;
use crate::{Spec, gaps};

/// Marks on a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Part of the warm-up: kept, left out of the figures.
    pub const WARMUP: u8 = 1;
    /// Its answer came after that of a later probe.
    pub const REORDERED: u8 = 2;
    /// It was given up, and an answer came after all.
    pub const LATE: u8 = 4;
    /// It was planned and could not leave: the socket stayed full, or the run ended behind its plan.
    pub const UNSENT: u8 = 8;
    /// It ran while the host was seen interrupting (see `noise`).
    pub const GAP: u8 = 16;
    /// Its answer carried a software receive stamp.
    pub const RX_SOFTWARE: u8 = 32;
    /// Its answer carried a hardware receive stamp.
    pub const RX_HARDWARE: u8 = 64;
    /// The steady-state test left it out of the figures; it is counted all the same.
    pub const UNSTEADY: u8 = 128;

    /// Whether `mark` is set.
    #[inline]
    pub fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    /// Sets marks.
    #[inline]
    pub fn set(&mut self, marks: impl Into<Self>) {
        self.0 |= marks.into().0;
    }
}

impl From<u8> for Flags {
    fn from(marks: u8) -> Self {
        Self(marks)
    }
}

/// One probe. Times are `CLOCK_MONOTONIC`, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// When it was to leave.
    pub planned: Ns,
    /// When it left.
    pub sent: Ns,
    /// When its first answer came in time; [`LOST`] if none did.
    pub received: Ns,
    /// The far end's time between receive and send; [`LOST`] if it told none.
    pub residence: u64,
    /// Answers after the first.
    pub duplicates: u16,
    /// Marks.
    pub flags: Flags,
}

impl Default for Probe {
    fn default() -> Self {
        Self { planned: 0, sent: 0, received: LOST, residence: LOST, duplicates: 0, flags: Flags::default() }
    }
}

impl Probe {
    /// An answer came in time.
    #[inline]
    pub fn answered(&self) -> bool {
        self.received != LOST
    }

    /// Round trip from the actual send; [`LOST`] if lost.
    #[inline]
    pub fn rtt(&self) -> u64 {
        if self.answered() { self.received.saturating_sub(self.sent) } else { LOST }
    }

    /// Round trip from the planned send.
    #[inline]
    pub fn rtt_planned(&self) -> u64 {
        if self.answered() { self.received.saturating_sub(self.planned) } else { LOST }
    }
}

/// Takes the full log: each probe in send order, as soon as it is settled, warm-up included.
pub trait SampleSink {
    /// One probe. Called between probes: it must not block for long.
    fn put(&mut self, probe: &Probe) -> std::io::Result<()>;

    /// One more answer to the probe that was the `index`-th to be put, from 0: a duplicate, or (`late`) the first, after
    /// its probe was given up.
    fn after(&mut self, index: u64, late: bool) -> std::io::Result<()> {
        let _ = (index, late);
        Ok(())
    }
}

/// Counts of a run, warm-up left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Left this program.
    pub sent: u64,
    /// Answered in time, first answers only.
    pub received: u64,
    /// Left, and not answered in time.
    pub lost: u64,
    /// Answers after the first.
    pub duplicates: u64,
    /// First answers that came after a later probe's.
    pub reordered: u64,
    /// First answers after the timeout.
    pub late: u64,
    /// Messages that were no answers.
    pub foreign: u64,
    /// Probes of the warm-up.
    pub warmup: u64,
    /// Planned, and never left.
    pub unsent: u64,
    /// Answers that belong to a round before this one on the same flow.
    pub stale: u64,
    /// Errors the path gave in the middle of the run (refused, unreachable).
    pub path_errors: u64,
}

/// Stamps of one probe; 0 for none. Software stamps are `CLOCK_REALTIME`, hardware ones the NIC's clock, far ones the far
/// end's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProbeStamps {
    pub(crate) tx_sched: u64,
    pub(crate) tx_software: u64,
    pub(crate) tx_hardware: u64,
    pub(crate) tx_ack: u64,
    pub(crate) rx_software: u64,
    pub(crate) rx_hardware: u64,
    /// The far kernel's receive stamp, on the clock of the two that follow.
    pub(crate) far_rx: u64,
    pub(crate) far_recv: u64,
    pub(crate) far_send: u64,
}

/// A measured run.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    probes: Vec<Probe>,
    keep: usize,
    first_seq: u64,
    pub(crate) counts: Counts,
    rtt: Histogram,
    rtt_planned: Histogram,
    /// How late probes left; only where there is a plan.
    send_delay: Histogram,
    sends: Sends,
    has_plan: bool,
    first_planned: Option<Ns>,
    last_event: Ns,
    pub(crate) stamps: Vec<ProbeStamps>,
    /// Realtime less monotonic, ns, at the start and at the end.
    pub(crate) realtime: Option<(i64, i64)>,
    /// What joining the two may be off by, ns.
    pub(crate) join_error_ns: u64,
    /// Which stamps were asked for, and came beforehand.
    pub(crate) probed: Option<Probed>,
    /// How interruptions were watched for.
    pub(crate) gaps: Option<GapMarks>,
    pub(crate) interrupted: bool,
    pub(crate) warnings: Vec<String>,
}

/// What the figures are of; the prober cannot know it all.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Address and port.
    pub target: String,
    /// `udp`, …
    pub proto: String,
    /// `lowlat`, …
    pub peer: String,
    /// `spin`, …
    pub engine: String,
    /// Where the run took place.
    pub conditions: Option<Conditions>,
    /// What else bends the number.
    pub environment: BTreeMap<String, String>,
    /// What weakens it.
    pub warnings: Vec<String>,
}

impl Samples {
    pub(crate) fn new(spec: &Spec, first_seq: u64) -> Self {
        let expected = spec.expected();
        let mut probes = Vec::with_capacity(expected);
        // Touch every page now: a page fault between two probes would be measured as latency.
        probes.resize(expected, Probe::default());
        probes.clear();
        let mut stamps = Vec::new();
        if spec.stamps {
            stamps.resize(expected, ProbeStamps::default());
            stamps.clear();
        }
        Self { probes, stamps, keep: spec.keep, first_seq, has_plan: spec.planned(), ..Self::default() }
    }

    /// Of a run that is read back.
    pub(crate) fn replayed(has_plan: bool, keep: usize) -> Self {
        Self { keep, has_plan, ..Self::default() }
    }

    /// One more answer to the probe of that number, read back.
    pub(crate) fn book_again(&mut self, index: u64, late: bool) {
        self.book_after(index, if late { Class::Late } else { Class::Duplicate });
    }

    /// Books a settled probe.
    #[inline]
    pub(crate) fn book(&mut self, probe: &Probe) {
        let c = &mut self.counts;
        self.last_event = self.last_event.max(if probe.answered() { probe.received } else { probe.sent });
        if probe.flags.has(Flags::WARMUP) {
            c.warmup += 1;
        } else {
            if self.first_planned.is_none() {
                self.first_planned = Some(probe.planned);
            }
            if probe.flags.has(Flags::UNSENT) {
                c.unsent += 1;
            } else {
                c.sent += 1;
                c.received += u64::from(probe.answered());
                c.lost += u64::from(!probe.answered());
                self.sends.book(probe);
                if self.has_plan {
                    self.send_delay.record(probe.sent.saturating_sub(probe.planned));
                }
            }
            if !probe.flags.has(Flags::UNSTEADY) {
                if !probe.flags.has(Flags::UNSENT) {
                    self.rtt.record(probe.rtt());
                }
                if self.has_plan {
                    self.rtt_planned.record(probe.rtt_planned());
                }
            }
            c.duplicates += u64::from(probe.duplicates);
            c.reordered += u64::from(probe.flags.has(Flags::REORDERED));
            c.late += u64::from(probe.flags.has(Flags::LATE));
        }
        if self.probes.len() < self.keep {
            self.probes.push(*probe);
        }
    }

    /// Books an answer to a probe that was booked before.
    pub(crate) fn book_after(&mut self, seq: u64, class: Class) {
        let Some(index) = seq.checked_sub(self.first_seq) else { return };
        if let Some(probe) = usize::try_from(index).ok().and_then(|i| self.probes.get_mut(i)) {
            if class == Class::Late {
                probe.flags.set(Flags::LATE);
            } else {
                probe.duplicates = probe.duplicates.saturating_add(1);
            }
        }
        // Warm-up probes are the first of the run; the probe itself may not have been kept.
        if index < self.counts.warmup {
            return;
        }
        match class {
            Class::Late => self.counts.late += 1,
            Class::Duplicate => self.counts.duplicates += 1,
            Class::First | Class::Unknown => {}
        }
    }

    /// The probe about to be booked got these stamps.
    pub(crate) fn set_stamps(&mut self, seq: u64, set: impl FnOnce(&mut ProbeStamps)) {
        let Some(i) = seq.checked_sub(self.first_seq).and_then(|i| usize::try_from(i).ok()) else { return };
        if i < self.keep {
            if self.stamps.len() <= i {
                self.stamps.resize(i + 1, ProbeStamps::default());
            }
            set(&mut self.stamps[i]);
        }
    }

    pub(crate) fn set_tx(&mut self, seq: u64, stamp: &TxStamp) {
        self.set_stamps(seq, |s| {
            let place = match stamp.at {
                StampAt::TxSched => &mut s.tx_sched,
                StampAt::TxSoftware => &mut s.tx_software,
                StampAt::TxHardware => &mut s.tx_hardware,
                StampAt::TxAck => &mut s.tx_ack,
                StampAt::RxSoftware | StampAt::RxHardware => return,
            };
            // The first: a segment that TCP sends again is stamped again.
            if *place == 0 {
                *place = stamp.ns;
            }
        });
    }

    /// Counts, warm-up left out.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The kept probes, in send order, warm-up included.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// When the last event was.
    pub(crate) fn last_event(&self) -> Ns {
        self.last_event
    }

    /// The run was ended by the stop flag.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Every probe was kept one by one, so figures are exact.
    pub fn complete(&self) -> bool {
        self.probes.len() as u64 == self.counts.sent + self.counts.unsent + self.counts.warmup
    }

    fn measured(&self) -> impl Iterator<Item = &Probe> {
        self.probes.iter().filter(|p| !p.flags.has(Flags::WARMUP))
    }

    /// What the figures are made of: measured, and not left out by the steady-state test.
    fn figured(&self) -> impl Iterator<Item = &Probe> {
        self.measured().filter(|p| !p.flags.has(Flags::UNSTEADY))
    }

    /// Latencies of every measured probe in send order, for the steady-state test: from the plan where there is one, so
    /// that a warm-up of the sender shows too.
    pub fn course(&self) -> Vec<u64> {
        self.measured().map(|p| if self.has_plan { p.rtt_planned() } else { p.rtt() }).collect()
    }

    /// Round trips from the actual send, in send order, warm-up left out, [`LOST`] for the lost: what a comparison takes.
    pub fn rtts(&self) -> Vec<u64> {
        self.figured().filter(|p| !p.flags.has(Flags::UNSENT)).map(Probe::rtt).collect()
    }

    /// Round trips from the planned send, the unsent among the lost; empty where the plan is the send.
    pub fn rtts_planned(&self) -> Vec<u64> {
        if self.has_plan { self.figured().map(Probe::rtt_planned).collect() } else { Vec::new() }
    }

    /// How late each probe left, ns.
    pub fn send_errors(&self) -> Vec<u64> {
        self.measured().filter(|p| !p.flags.has(Flags::UNSENT)).map(|p| p.sent.saturating_sub(p.planned)).collect()
    }

    /// Leaves the first and the last so many measured probes out of the figures, as a steady-state test found. They stay
    /// counted. Nothing happens where not all probes were kept.
    pub fn leave_out(&mut self, first: u64, last: u64) {
        if !self.complete() {
            return;
        }
        let measured = self.probes.iter_mut().filter(|p| !p.flags.has(Flags::WARMUP));
        let total = self.counts.sent + self.counts.unsent;
        for (i, p) in (0u64..).zip(measured) {
            if i < first || i >= total.saturating_sub(last) {
                p.flags.set(Flags::UNSTEADY);
            }
        }
        self.recount();
    }

    fn recount(&mut self) {
        let probes = std::mem::take(&mut self.probes);
        let Counts { foreign, stale, path_errors, .. } = self.counts;
        self.counts = Counts { foreign, stale, path_errors, ..Counts::default() };
        self.rtt = Histogram::default();
        self.rtt_planned = Histogram::default();
        self.send_delay = Histogram::default();
        self.first_planned = None;
        self.sends = Sends::default();
        for p in &probes {
            self.book(p);
        }
        self.probes = probes;
    }

    /// Live figures for a progress line.
    pub(crate) fn so_far(&self) -> (Counts, Quantiles) {
        (self.counts, self.rtt.quantiles())
    }

    /// The document. `rtt_planned` stays empty where the plan is the send.
    pub fn measurement(&self, spec: &Spec, context: Context) -> Measurement {
        let c = self.counts;
        let exact = self.complete();
        let figures = |samples: Vec<u64>, histogram: &Histogram| {
            let mut samples = samples;
            if exact { Quantiles::of(&mut samples) } else { histogram.quantiles() }
        };
        let rtt = figures(self.rtts(), &self.rtt);
        let rtt_planned =
            if self.has_plan { figures(self.rtts_planned(), &self.rtt_planned) } else { Quantiles::default() };
        let mut residence: Vec<u64> =
            self.figured().filter(|p| p.answered() && p.residence != LOST).map(|p| p.residence).collect();
        let shown = stages::show(self, context.peer == lowlat_peers::lowlat::ENTRY.name);
        let mut warnings = context.warnings;
        warnings.extend(self.warnings.iter().cloned());
        if !exact {
            warnings.push(format!(
                "{} probes, {} kept one by one: figures come from a histogram, at most 0.4 % above the sample",
                c.sent + c.unsent + c.warmup,
                self.probes.len()
            ));
        }
        if c.path_errors > 0 {
            warnings.push(format!("the path answered {} times with an error (refused or unreachable)", c.path_errors));
        }
        if self.interrupted {
            warnings.push("interrupted: figures are of the part that ran".to_owned());
        }
        let ratio = match (rtt.p99_ns, rtt.p50_ns) {
            (Some(p99), Some(p50)) if p50 > 0 => Some(p99 as f64 / p50 as f64),
            _ => None,
        };
        let mut out = Measurement {
            schema: Schema::current("measure"),
            target: context.target,
            proto: context.proto,
            peer: context.peer,
            engine: context.engine,
            mode: spec.mode_name().to_owned(),
            size_bytes: u32::try_from(spec.size).unwrap_or(u32::MAX),
            rate_pps: spec.rate_pps(),
            cpu: spec.cpu,
            sent: c.sent,
            received: c.received,
            lost: c.lost,
            duplicates: c.duplicates,
            reordered: c.reordered,
            late: c.late,
            foreign: c.foreign,
            warmup: c.warmup,
            loss_ratio: (c.sent > 0).then(|| c.lost as f64 / c.sent as f64),
            duration_ns: self.last_event.saturating_sub(self.first_planned.unwrap_or(self.last_event)),
            rtt,
            rtt_planned,
            jitter_ratio: ratio,
            residence: Quantiles::of(&mut residence),
            stamp_coverage: shown.coverage,
            legs: shown.legs,
            stamps: shown.report,
            one_way: shown.one_way,
            gaps: self.gaps.as_ref().map(|marks| gaps::figures(marks, self.figured())),
            conditions: context.conditions,
            environment: context.environment,
            warnings,
            unsent: c.unsent,
            sent_rate_pps: self.sends.rate_pps(),
            rate_borne: if self.has_plan { self.sends.borne(&c) } else { None },
            send_delay: self.send_delay.quantiles(),
            interrupted: self.interrupted,
            ..Measurement::default()
        };
        out.warnings.extend(out.not_borne());
        out
    }
}
