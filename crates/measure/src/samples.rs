//! The outcome of each probe, and the figures made from it.

mod course;
mod document;

use std::collections::BTreeMap;

use lowlat_model::{Conditions, GapMarks, Quantiles};
use lowlat_transport::{Ns, StampAt, TxStamp};

use crate::Spec;
use crate::histogram::Histogram;
use crate::probe::{Counts, Flags, Probe, ProbeStamps};
use crate::probed::Probed;
use crate::sends::Sends;
use crate::window::Class;

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
    /// What else affects the number.
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

    /// When the far end received the probe at this place of [`Samples::probes`] and when it answered it, ns on the far
    /// end's clock; `None` where it reported neither, or they were not kept ([`Spec::far_stamps`]).
    pub fn far_stamps(&self, place: usize) -> Option<(Ns, Ns)> {
        self.stamps.get(place).map(|s| (s.far_recv, s.far_send)).filter(|(received, sent)| *received > 0 && *sent > 0)
    }

    /// Of a run that is read back.
    pub fn replayed(has_plan: bool, keep: usize) -> Self {
        Self { keep, has_plan, ..Self::default() }
    }

    /// Marks a run that is read back as ended by a signal.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// One more answer to the probe of that number, read back.
    pub fn book_again(&mut self, index: u64, late: bool) {
        self.book_after(index, if late { Class::Late } else { Class::Duplicate });
    }

    /// Books a settled probe.
    #[inline]
    pub fn book(&mut self, probe: &Probe) {
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
    fn included(&self) -> impl Iterator<Item = &Probe> {
        self.measured().filter(|p| !p.flags.has(Flags::UNSTEADY))
    }

    /// Latencies of every measured probe in send order, for the steady-state test: from the plan where there is one, so
    /// that a warm-up of the sender shows too.
    pub fn course(&self) -> Vec<u64> {
        self.measured().map(|p| if self.has_plan { p.rtt_planned() } else { p.rtt() }).collect()
    }

    /// Round trips from the actual send, in send order, warm-up left out, [`LOST`](lowlat_model::measurement::LOST) for
    /// the lost: what a comparison takes.
    pub fn rtts(&self) -> Vec<u64> {
        self.included().filter(|p| !p.flags.has(Flags::UNSENT)).map(Probe::rtt).collect()
    }

    /// Round trips from the planned send, the unsent among the lost; empty where the plan is the send.
    pub fn rtts_planned(&self) -> Vec<u64> {
        if self.has_plan { self.included().map(Probe::rtt_planned).collect() } else { Vec::new() }
    }

    /// How late each probe left, ns.
    pub fn send_errors(&self) -> Vec<u64> {
        self.measured().filter(|p| !p.flags.has(Flags::UNSENT)).map(|p| p.sent.saturating_sub(p.planned)).collect()
    }

    /// Leaves the first and the last so many measured probes out of the figures, as a steady-state test found. They
    /// stay counted. Nothing happens where not all probes were kept.
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
}
