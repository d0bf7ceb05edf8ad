//! Hindsight: a ring of trace events that the kernel keeps anyway, and that is read only when a trigger is crossed.
//!
//! The ring is a tracefs instance of lowlat's own in overwrite mode: interrupts, softirqs and thread switches of every CPU,
//! the newest kept. Next to it the counters that no event shows (time stolen by a hypervisor, interrupts of the firmware) are
//! read a few times a second and kept as long.

use std::collections::VecDeque;
use std::path::PathBuf;

use lowlat_model::watch::{CaughtStall, TriggerReport, WatchDocument};
use lowlat_model::{NotSeen, Schema};
use lowlat_os::clock;
use lowlat_sys::tracefs::TraceInstance;
use lowlat_sys::{NetQuery, Sys, query};
use lowlat_trace::{Decoder, PageForm, StallBlame, TRACE_POINTS, Trace, blame, lines};
use lowlat_watch::{Crossing, CrossingKind, Trigger, stalls};

use crate::Failure;

/// Room of the ring for each CPU, KiB: some 40,000 events of 48 bytes, seconds of a busy CPU.
const ROOM_KIB: u32 = 2_048;
/// Between two readings of the counters, ns, and how many are kept: ten seconds.
const COUNTERS_NS: u64 = 200_000_000;
const COUNTERS: usize = 50;
/// Stalls that are kept and written; further ones are counted.
const MOST_STALLS: usize = 100;
/// Events of one stall's file, and the time before it that they begin at, ns.
const MOST_EVENTS: usize = 5_000;
const LEAD_NS: u64 = 5_000_000;
/// A stall shorter than this has as much before and after it looked at: a drop has no length at all.
const LEAST_NS: u64 = 1_000_000;

/// Where a stall's file goes: its number from 1, and the document.
pub(super) type Keep<'a> = dyn FnMut(usize, &WatchDocument) -> Result<PathBuf, Failure> + 'a;

/// The ring.
#[derive(Debug)]
struct Ring {
    instance: TraceInstance,
    form: PageForm,
    decoder: Decoder,
    cpus: Vec<(u32, u64)>,
    /// Since when it records.
    since: u64,
}

/// Counters at one moment.
#[derive(Debug, Default, Clone)]
struct Moment {
    at: u64,
    /// Ticks of 10 ms stolen, by CPU in the order of `/proc/stat`.
    steal: Vec<u64>,
    smi: Option<u64>,
}

/// A trigger that waits.
#[derive(Debug)]
pub(super) struct Hindsight {
    trigger: Trigger,
    ring: Result<Ring, String>,
    moments: VecDeque<Moment>,
    waiting: Vec<Crossing>,
    report: TriggerReport,
    /// Files that were written, and why one was not.
    pub(super) written: Vec<PathBuf>,
    pub(super) not_written: Option<String>,
}

impl Ring {
    fn begin() -> Result<Self, String> {
        let instance = TraceInstance::make("hindsight")?;
        instance.write("trace_clock", "mono")?;
        instance.write("buffer_size_kb", &ROOM_KIB.to_string())?;
        let garbled = |what: &str, why: String| format!("garbled: tracefs {what}: {why}");
        let form = PageForm::parse(&instance.read("events/header_page")?, &instance.read("events/header_event")?)
            .map_err(|why| garbled("events", why))?;
        let mut decoder = Decoder::default();
        let wanted = |name: &str| name == "sched_switch" || name.starts_with("irq_") || name.starts_with("softirq_e");
        for point in TRACE_POINTS.iter().filter(|p| wanted(p.name)) {
            let text = instance.read(&format!("events/{}/{}/format", point.group, point.name))?;
            decoder.learn(point.name, &text).map_err(|why| garbled(point.name, why))?;
            instance.write(&format!("events/{}/{}/enable", point.group, point.name), "1")?;
        }
        let cpus = instance.cpus()?.into_iter().map(|cpu| (cpu, 0)).collect();
        instance.write("tracing_on", "1")?;
        Ok(Self { instance, form, decoder, cpus, since: clock::monotonic() })
    }

    /// Everything in the ring, which is empty afterwards; and the events that it gave up since the last time.
    fn read(&mut self) -> Result<(Trace, u64), String> {
        self.instance.write("tracing_on", "0")?;
        let (mut trace, mut overruns) = (Trace::default(), 0);
        for (cpu, before) in &mut self.cpus {
            let lost = self.instance.lost(*cpu)?;
            let new = lost.saturating_sub(*before);
            *before = lost;
            overruns += new;
            let pages = self.instance.pages(*cpu, self.form.length())?;
            trace.take(&self.form, &self.decoder, (*cpu, new > 0), &pages);
        }
        self.instance.write("tracing_on", "1")?;
        trace.complete_from = trace.complete_from.max(std::mem::replace(&mut self.since, clock::monotonic()));
        trace.sort();
        Ok((trace, overruns))
    }
}

impl Hindsight {
    /// Begins to wait.
    pub(super) fn begin(trigger: Trigger) -> Self {
        let report = TriggerReport { asked: trigger.to_string(), ..TriggerReport::default() };
        let (ring, moments) = (Ring::begin(), VecDeque::new());
        Self { trigger, ring, moments, waiting: Vec::new(), report, written: Vec::new(), not_written: None }
    }

    /// What is waited for.
    pub(super) fn trigger(&self) -> Trigger {
        self.trigger
    }

    /// Why there is no ring.
    pub(super) fn not_seen(&self) -> Option<NotSeen> {
        let why = self.ring.as_ref().err()?.clone();
        Some(NotSeen { fact: "what the CPUs did in a stall".to_owned(), why })
    }

    /// Reads the counters, if it is time or they are wanted now.
    pub(super) fn count(&mut self, sys: &dyn Sys, now: bool) {
        let at = sys.now_ns();
        if !now && self.moments.back().is_some_and(|m| at.saturating_sub(m.at) < COUNTERS_NS) {
            return;
        }
        let smi = query::typed::<u64>(sys, &NetQuery::SmiCount).into_value();
        let steal = sys.read("/proc/stat").into_value().map(|text| stolen(&text)).unwrap_or_default();
        self.moments.push_back(Moment { at, steal, smi });
        if self.moments.len() > COUNTERS {
            self.moments.pop_front();
        }
    }

    /// Something crossed the trigger.
    pub(super) fn crossed(&mut self, crossing: Crossing) {
        self.waiting.push(crossing);
    }

    /// Reads the ring if something crossed, and writes what it shows. `began` is the time of the first reading; `ours` gives
    /// the threads of the application.
    pub(super) fn look(&mut self, sys: &dyn Sys, began: u64, ours: &dyn Fn() -> Vec<u32>, keep: &mut Keep<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        let found = stalls(std::mem::take(&mut self.waiting));
        self.report.crossings += found.len() as u64;
        if self.report.stalls.len() >= MOST_STALLS {
            return;
        }
        self.count(sys, true);
        let read = match &mut self.ring {
            Ok(ring) => ring.read(),
            Err(why) => Err(why.clone()),
        };
        let (trace, overruns) = match read {
            Ok(read) => read,
            Err(why) => {
                self.ring = Err(why);
                (Trace::default(), 0)
            }
        };
        self.report.ring_overruns += overruns;
        if let (Some(first), Some(last)) = (trace.events.first(), trace.events.last()) {
            let reach = last.at.saturating_sub(first.at.max(trace.complete_from));
            self.report.ring_ns = Some(self.report.ring_ns.map_or(reach, |least| least.min(reach)));
        }
        let ours = ours();
        for crossing in found.into_iter().take(MOST_STALLS - self.report.stalls.len()) {
            let stall = self.caught(&trace, crossing, began, &ours);
            let number = self.report.stalls.len() + 1;
            let document = WatchDocument {
                schema: Schema::current("watch"),
                trigger: Some(TriggerReport { crossings: 1, stalls: vec![stall.clone()], ..self.report.clone() }),
                ..WatchDocument::default()
            };
            match keep(number, &document) {
                Ok(file) => self.written.push(file),
                Err(why) => {
                    self.not_written.get_or_insert(why.to_string());
                }
            }
            self.report.stalls.push(CaughtStall { events: Vec::new(), ..stall });
        }
    }

    fn caught(&self, trace: &Trace, crossing: Crossing, began: u64, ours: &[u32]) -> CaughtStall {
        let length = crossing.to.saturating_sub(crossing.from);
        let more = LEAST_NS.saturating_sub(length) / 2;
        let span = (crossing.from.saturating_sub(more), crossing.to.saturating_add(more));
        // A datagram is dropped where its reader is late, and that may be on any CPU.
        let found = blame(trace, span, ours, crossing.kind != CrossingKind::Drop);
        let counters = self.grown(span);
        CaughtStall {
            kind: crossing.kind.name().to_owned(),
            at_ns: crossing.from.saturating_sub(began),
            length_ns: length,
            port: crossing.port,
            blame: sentence(crossing.kind, &found, &counters, self.ring.is_ok()),
            events: lines(trace, span.0.saturating_sub(LEAD_NS), span.1, MOST_EVENTS),
            meanwhile: found.meanwhile,
            counters,
        }
    }

    /// Counters that grew from the moment before a span to the one after it.
    fn grown(&self, (from, to): (u64, u64)) -> Vec<String> {
        let before = self.moments.iter().rev().find(|m| m.at <= from).or_else(|| self.moments.front());
        let after = self.moments.iter().find(|m| m.at >= to).or_else(|| self.moments.back());
        let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
        let mut all = Vec::new();
        if let (Some(a), Some(b)) = (before.smi, after.smi)
            && b > a
        {
            all.push(format!("SMI (firmware): {}", b - a));
        }
        let steal = before.steal.iter().zip(&after.steal).enumerate().filter(|(_, (a, b))| b > a);
        all.extend(steal.map(|(cpu, (a, b))| format!("steal of CPU {cpu}: {} ms", (b - a) * 10)));
        all
    }

    /// What was caught, at the end.
    pub(super) fn finish(self) -> TriggerReport {
        self.report
    }
}

/// The eighth number of each CPU's line (proc_stat(5)).
fn stolen(text: &str) -> Vec<u64> {
    let cpus = text.lines().filter(|l| l.starts_with("cpu") && !l.starts_with("cpu "));
    cpus.map(|l| l.split_whitespace().nth(8).and_then(|n| n.parse().ok()).unwrap_or(0)).collect()
}

fn sentence(kind: CrossingKind, found: &StallBlame, counters: &[String], ring: bool) -> String {
    if let Some(who) = &found.who {
        let from = found.from.as_ref().map_or_else(String::new, |f| format!(", instead of {f}"));
        return format!("{} on CPU {} for {} µs{from}", who.who, who.cpu, lowlat_model::units::us(who.length_ns));
    }
    if let Some(smi) = counters.iter().find(|c| c.starts_with("SMI")) {
        return format!("{smi}: the firmware took the CPUs");
    }
    if let Some(steal) = counters.first() {
        return format!("{steal}: the hypervisor ran somebody else");
    }
    if !ring {
        return "not known: there is no trace".to_owned();
    }
    if !found.whole {
        return "not known: the ring did not reach back to its beginning".to_owned();
    }
    match kind {
        CrossingKind::Drop => "no thread, interrupt or softirq took a CPU then: see the reason of the drop".to_owned(),
        _ => "no thread, interrupt or softirq took a CPU here: the sender paused, or the network".to_owned(),
    }
}
