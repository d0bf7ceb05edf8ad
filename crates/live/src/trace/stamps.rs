//! The same document from time stamps: fewer stages, and every one that they do not show is named.

use lowlat_model::NotSeen;
use lowlat_model::stamps::Stage;
use lowlat_model::trace::{How, Side, StageKey, TraceDirection, TraceDocument, TraceStage};
use lowlat_sys::Sys;

use super::{TraceAsk, with_memory_locked};
use crate::Failure;
use crate::path::ProbePath;
use crate::probe::{self, Ask, Heard};

/// Which of the way's stages two stamps bound. The wire's is both wires and the far kernel's way out, less the far end's
/// own time.
const BOUNDS: [(&str, &str, &str, Side, TraceDirection); 7] = [
    ("send", "sched-tx", "system call", Side::Near, TraceDirection::Out),
    ("send", "software-tx", "system call", Side::Near, TraceDirection::Out),
    ("sched-tx", "software-tx", "queue discipline", Side::Near, TraceDirection::Out),
    ("software-tx", "software-rx", "wire", Side::Far, TraceDirection::Back),
    ("far-software-rx", "far-recv", "return", Side::Far, TraceDirection::Out),
    ("far-recv", "far-send", "program", Side::Far, TraceDirection::Back),
    ("software-rx", "recv", "return", Side::Near, TraceDirection::Back),
];

fn key_of(stage: &Stage) -> Option<StageKey> {
    let (_, _, name, side, direction) = BOUNDS.iter().find(|(from, to, ..)| *from == stage.from && *to == stage.to)?;
    Some(StageKey { name: (*name).to_owned(), side: *side, direction: *direction })
}

/// Measures with stamps. An engine or a path that gives none is a failure: then nothing is known of any stage.
pub(super) fn document(
    ask: &TraceAsk<'_>,
    mut out: TraceDocument,
    refused: &str,
    sys: &dyn Sys,
) -> Result<TraceDocument, Failure> {
    let path = ProbePath { stamps: true, ..ask.path.clone() };
    let ask = Ask { duration_ns: ask.duration_ns, rt: ask.rt, ..Ask::new(&path, ask.engine) };
    let m = probe::measure_with(&ask, sys, &[], &mut Heard { progress: &mut |_| {}, line: &mut |_| {} })?;
    let shown: Vec<(StageKey, &Stage)> =
        m.stamps.iter().flat_map(|s| &s.stages).filter_map(|s| Some((key_of(s)?, s))).collect();
    if shown.is_empty() {
        return Err(Failure::new(format!(
            "trace {}: {refused}, and engine {} gives no time stamps here; run it where tracefs is mounted, as sudo does, \
             or choose another --engine",
            ask.path.words, ask.engine
        )));
    }
    out.how = How::Stamp;
    out.probes = m.rtt.samples;
    out.lost = m.lost;
    out.rtt = m.rtt;
    out.interrupted = m.interrupted;
    out.stages = lowlat_trace::unseen("tracing was refused, and no time stamp bounds it");
    for (key, stage) in &shown {
        let place = |s: &&mut TraceStage| s.name == key.name && s.side == key.side && s.direction == key.direction;
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
    out.not_seen.extend(m.conditions.and_then(|c| c.memory_refused).as_deref().map(with_memory_locked));
    out.not_seen.push(NotSeen { fact: "the kernel's trace points".to_owned(), why: refused.to_owned() });
    Ok(out)
}
