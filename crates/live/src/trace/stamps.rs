//! The same document from time stamps: fewer stages, and every one that they do not show is named.

use lowlat_measure::Mode;
use lowlat_model::stamps::Stage;
use lowlat_model::trace::{How, Largest, Side, StageKey, TraceDirection, TraceDocument, TraceStage};
use lowlat_model::{Measurement, NotSeen};
use lowlat_sys::Sys;

use super::{TraceAsk, with_memory_locked};
use crate::Failure;
use crate::path::ProbePath;
use crate::probe::{self, Ask, Heard};

/// Of a short phase one part of so many is left out at its start.
const SHORT_WARMUP: u64 = 10;

/// What lies between two stamps.
#[derive(Debug)]
struct Bound {
    from: &'static str,
    to: &'static str,
    /// The place that it takes among the stages.
    name: &'static str,
    side: Side,
    direction: TraceDirection,
    /// Every stage between the two, by name; the one that it is called by first, where it is among them.
    spans: &'static [&'static str],
}

const fn bound_of(
    (from, to): (&'static str, &'static str),
    (name, side, direction): (&'static str, Side, TraceDirection),
    spans: &'static [&'static str],
) -> Bound {
    Bound { from, to, name, side, direction, spans }
}

/// From a received packet's stamp to its reader: the stamp is taken after GRO and before the packet is steered
/// (net/core/dev.c in linux 6.12, `netif_receive_skb_internal` with `netdev_tstamp_prequeue`, which is 1 by default). One
/// that is redirected to an ifb loses it, and gets another when it comes out there (include/linux/skbuff.h in linux 6.12,
/// `skb_set_redirected`), so the time there lies before the stamp.
const UP: &[&str] = &["steering", "IP", "socket", "wake-up", "scheduling", "return"];

/// Which of the way's stages two stamps bound. The wire's is both wires and the far kernel's way out, less the far end's
/// own time.
static BOUNDS: [Bound; 7] = [
    bound_of(("send", "sched-tx"), ("system call", Side::Near, TraceDirection::Out), &["system call"]),
    bound_of(
        ("send", "software-tx"),
        ("system call", Side::Near, TraceDirection::Out),
        &["system call", "queue discipline"],
    ),
    bound_of(("sched-tx", "software-tx"), ("queue discipline", Side::Near, TraceDirection::Out), &["queue discipline"]),
    bound_of(
        ("software-tx", "software-rx"),
        ("wire", Side::Far, TraceDirection::Back),
        &["wire", "redirection", "GRO", "softirq", "interrupt", "driver"],
    ),
    bound_of(("far-software-rx", "far-recv"), ("return", Side::Far, TraceDirection::Out), UP),
    bound_of(("far-recv", "far-send"), ("program", Side::Far, TraceDirection::Back), &["program"]),
    bound_of(("software-rx", "recv"), ("return", Side::Near, TraceDirection::Back), UP),
];

fn bound(stage: &Stage) -> Option<&'static Bound> {
    BOUNDS.iter().find(|b| b.from == stage.from && b.to == stage.to)
}

/// Measures with stamps. An engine or a path that gives none is a failure: then nothing is known of any stage.
pub(super) fn document(
    ask: &TraceAsk<'_>,
    out: TraceDocument,
    refused: &str,
    sys: &dyn Sys,
) -> Result<TraceDocument, Failure> {
    let path = ProbePath { stamps: true, ..ask.path.clone() };
    // Of a short phase the hundred probes that are left out elsewhere may be most.
    let warmup_ns = ask.short_at_ns.map(|_| ask.duration_ns / SHORT_WARMUP);
    let mode = Mode::PingPong { interval_ns: ask.interval_ns };
    let timeout_ns = ask.timeout_ns();
    let ask =
        Ask { duration_ns: ask.duration_ns, rt: ask.rt, mode, warmup_ns, timeout_ns, ..Ask::new(&path, ask.engine) };
    let m = probe::measure_with(&ask, sys, &[], &mut Heard { progress: &mut |_| {}, line: &mut |_| {} })?;
    let Some(mut out) = of(&m, out, "it was not traced, and no time stamp bounds it") else {
        return Err(Failure::new(format!(
            "trace {}: {refused}, and engine {} gives no time stamps here; run it where tracefs is mounted, as sudo does, \
             or choose another --engine",
            ask.path.words, ask.engine
        )));
    };
    out.not_seen.extend(m.conditions.and_then(|c| c.memory_refused).as_deref().map(with_memory_locked));
    out.not_seen.push(NotSeen { fact: "the kernel's trace points".to_owned(), why: refused.to_owned() });
    Ok(out)
}

/// The stages that the time stamps of a measurement bound, put into a document that says already what was measured;
/// `None` where there are none. `unseen` is why the others are not seen.
pub(super) fn of(m: &Measurement, mut out: TraceDocument, unseen: &str) -> Option<TraceDocument> {
    let shown: Vec<(&Bound, &Stage)> =
        m.stamps.iter().flat_map(|s| &s.stages).filter_map(|s| Some((bound(s)?, s))).collect();
    if shown.is_empty() {
        return None;
    }
    out.how = How::Stamp;
    out.probes = m.rtt.samples;
    out.lost = m.lost;
    out.rtt = m.rtt;
    out.interrupted = m.interrupted;
    out.stages = lowlat_trace::unseen(unseen);
    for (bound, stage) in &shown {
        let place =
            |s: &&mut TraceStage| s.name == bound.name && s.side == bound.side && s.direction == bound.direction;
        if let Some(place) = out.stages.iter_mut().find(place) {
            place.what.clone_from(&stage.what);
            place.how = How::Stamp;
            place.why_unseen = None;
            place.samples = stage.time.samples;
            (place.p50_ns, place.p99_ns, place.max_ns) = (stage.time.p50_ns, stage.time.p99_ns, stage.time.max_ns);
            place.at_p50_ns = stage.time.p50_ns;
            place.share_p50_ratio = stage.share;
        }
    }
    let seen = || out.stages.iter().filter(|s| s.how == How::Stamp);
    out.sum_p50_ns = seen().map(|s| s.at_p50_ns).sum();
    out.sum_ratio = out.sum_p50_ns.zip(out.rtt.p50_ns).map(|(sum, rtt)| sum as f64 / rtt.max(1) as f64);
    out.notes
        .push("by stamps: shares are of the mean round trip, and the slowest probes are not taken apart".to_owned());
    out.largest = largest(&out.proto, &shown);
    Some(out)
}

/// The largest of the stages that stamps bound, with what acts on any stage that it spans.
fn largest(proto: &str, shown: &[(&Bound, &Stage)]) -> Option<Largest> {
    let (bound, stage) = shown
        .iter()
        .filter(|(_, s)| s.share.is_some())
        .max_by(|a, b| a.1.share.unwrap_or(0.0).total_cmp(&b.1.share.unwrap_or(0.0)))?;
    let (rules, knobs) = lowlat_trace::acts_on_probes(proto, bound.spans, stage.time.p50_ns);
    Some(Largest {
        stage: StageKey { name: bound.name.to_owned(), side: bound.side, direction: bound.direction },
        at_p50_ns: stage.time.p50_ns,
        share_ratio: stage.share.unwrap_or(0.0),
        why: format!("one of the stages that it spans: {}", bound.spans.join(", ")),
        rules,
        knobs,
    })
}

#[cfg(test)]
mod tests {
    use lowlat_model::Quantiles;
    use lowlat_model::stamps::StampReport;

    use super::*;

    fn stage(from: &str, to: &str, ns: u64, share: Option<f64>) -> Stage {
        let time = Quantiles::of(&mut vec![ns; 100]);
        Stage { from: from.into(), to: to.into(), what: format!("{from} to {to}"), time, share }
    }

    #[test]
    fn stages_of_stamps_take_their_places_and_the_largest_has_what_acts_on_all_it_spans() {
        let stages = vec![
            stage("send", "software-tx", 3_000, Some(0.1)),
            stage("software-tx", "software-rx", 9_000, Some(0.3)),
            stage("software-rx", "recv", 18_000, Some(0.6)),
            stage("hardware-tx", "hardware-rx", 99_000, None),
        ];
        let m = Measurement {
            rtt: Quantiles::of(&mut vec![30_000; 100]),
            stamps: Some(StampReport { stages, ..StampReport::default() }),
            ..Measurement::default()
        };
        let d = of(&m, TraceDocument::default(), "hidden").unwrap();
        assert_eq!((d.how, d.sum_p50_ns, d.probes), (How::Stamp, Some(30_000), 100));
        let seen: Vec<&str> = d.stages.iter().filter(|s| s.how == How::Stamp).map(|s| s.name.as_str()).collect();
        assert_eq!(seen, ["system call", "wire", "return"]);
        let hidden = |s: &TraceStage| s.why_unseen.as_deref() == Some("hidden") && !s.not_passed;
        assert!(d.stages.iter().filter(|s| s.how == How::Unseen).all(hidden));
        let largest = d.largest.as_ref().unwrap();
        assert_eq!((largest.stage.name.as_str(), largest.stage.side), ("return", Side::Near));
        for knob in ["steer.rps", "sysctl.net.core.busy_read", "cpu.idle-states"] {
            assert!(largest.knobs.iter().any(|k| k == knob), "{knob}: {:?}", largest.knobs);
        }
        // Coarse stages show of no finer one that it costs nothing.
        assert!(lowlat_trace::costless(&d).is_empty());
        assert!(of(&Measurement::default(), TraceDocument::default(), "hidden").is_none());
    }

    #[test]
    fn what_stamps_span_are_stages() {
        for bound in &BOUNDS {
            assert!(bound.spans.iter().all(|s| lowlat_trace::stages().any(|known| known == *s)), "{bound:?}");
        }
    }
}
