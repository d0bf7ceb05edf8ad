//! The far host's own trace: the stages of messages that a program of this host answers.
//!
//! `lowlat serve` itself is confined and may not trace; this runs next to it, or next to any other program that answers on
//! the port. What it gives is joined by `lowlat trace --far` at the near end.

use std::time::Duration;

use lowlat_collect::Whose;
use lowlat_model::Schema;
use lowlat_model::trace::FarTrace;
use lowlat_sys::{Sys, query};
use lowlat_trace::Threads;
use lowlat_transport::clock;

use super::tracer::Tracer;
use crate::{Failure, signals};

/// The ring is read this often, ns: at 40 events a message and 20,000 messages a second it then holds some 10 MB.
const ROUND_NS: u64 = 250_000_000;
/// A signal is looked for this often.
const LOOK: Duration = Duration::from_millis(20);
/// More are not kept: as many as the near end keeps probes.
const MOST_ANSWERS: usize = 60_000;

/// What to trace.
#[derive(Debug, Clone, Copy)]
pub struct AnswersAsk {
    /// The program with a socket of this port.
    pub port: u16,
    /// For how long, ns.
    pub duration_ns: u64,
}

/// Traces the program that answers on a port; on a signal, what was traced so far.
pub fn answers(ask: &AnswersAsk, sys: &dyn Sys) -> Result<FarTrace, Failure> {
    let failed = |why: String| Failure::new(format!("trace the answers of port {}: {why}", ask.port));
    let threads = threads(ask.port, sys)?;
    let mut tracer = Tracer::begin("answers").map_err(failed)?;
    // All of them are far ones to the near end; the filter takes them alike.
    let (first, rest) = threads.split_first().ok_or_else(|| failed("its program has no threads".to_owned()))?;
    tracer.keep_to(&Threads { near: *first, far: rest.to_vec() }).map_err(failed)?;
    signals::at_stake();
    let mut out = FarTrace {
        schema: Schema::current("far-trace"),
        kernel: query::uname(sys).into_value().map_or_else(|| "unknown".to_owned(), |u| u.release),
        port: ask.port,
        missing: tracer.missing().clone(),
        ..FarTrace::default()
    };
    let begin = clock::now();
    while clock::now().saturating_sub(begin) < ask.duration_ns
        && !signals::stopped()
        && out.answers.len() < MOST_ANSWERS
    {
        tracer.on().map_err(failed)?;
        let from = clock::now();
        let left = ask.duration_ns.saturating_sub(from.saturating_sub(begin)).min(ROUND_NS);
        while clock::now().saturating_sub(from) < left && !signals::stopped() {
            std::thread::sleep(LOOK);
        }
        out.traced_ns += clock::now().saturating_sub(from);
        let read = tracer.off().map_err(failed)?;
        let events = &read.trace.events;
        // What a ring had lost events of before cannot be followed.
        let whole = &events[events.partition_point(|e| e.at < read.trace.complete_from)..];
        let (found, incomplete) = lowlat_trace::answers(whole, &threads);
        out.answers.extend(found);
        out.incomplete += incomplete;
        out.overruns += read.overruns;
    }
    out.answers.truncate(MOST_ANSWERS);
    out.interrupted = signals::stopped();
    Ok(out)
}

/// The threads of the programs with a socket of that port.
fn threads(port: u16, sys: &dyn Sys) -> Result<Vec<u32>, Failure> {
    let facts = lowlat_collect::gather_application(sys, None, None, None, Whose::Port(port))?;
    let application = facts.application;
    let processes = application.iter().flat_map(|a| &a.processes);
    let threads: Vec<u32> = processes.flat_map(|p| &p.threads).map(|thread| thread.tid).collect();
    if threads.is_empty() {
        let why = application.iter().flat_map(|a| &a.not_seen).next();
        let why = why.map_or_else(|| "nobody has it open".to_owned(), |n| n.why.clone());
        return Err(Failure::new(format!(
            "trace the answers of port {port}: no program of it can be seen: {why}; start it first, and run this as root"
        )));
    }
    Ok(threads)
}
