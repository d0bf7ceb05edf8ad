//! What is most likely behind a stall: what had a CPU in its course, and had not just before.
//!
//! A thread that is busy all the time is on its CPU in every stall and behind none, so each share of the stall is set against
//! the share of the time before it.

use std::collections::BTreeMap;

use lowlat_model::trace::Meanwhile;

use crate::Trace;
use crate::event::What;
use crate::meanwhile::Cpus;

/// What had a CPU for at least this share of the stall can be behind it.
const SHARE: f64 = 0.5;
/// And for so much more of it than of the time before.
const MORE: f64 = 0.25;
/// The time before, in lengths of the stall.
const BEFORE: u64 = 4;
/// A CPU had received packets if it ran at least one in so many of the receive softirqs that the busiest one ran.
const RECEIVES: u64 = 4;
/// Its number (include/linux/interrupt.h).
const NET_RX: u32 = 3;
/// What is listed.
const LISTED: usize = 6;

/// What a trace says of a stall.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StallBlame {
    /// What is most likely behind it, with its CPU; `None` where nothing had a CPU for long enough.
    pub who: Option<Meanwhile>,
    /// The thread that it took the CPU from, `thread feed (812)`.
    pub from: Option<String>,
    /// What had CPUs meanwhile, most time first.
    pub meanwhile: Vec<Meanwhile>,
    /// The trace holds all of the stall.
    pub whole: bool,
}

/// Looks at a stall, ns on the trace's clock. `trace` is in the order of time; `ours` are the threads of the application,
/// which are not to blame for their own work. Where packets were `late`, what came to a CPU that had received them goes before
/// what came to another one.
pub fn blame(trace: &Trace, (from, to): (u64, u64), ours: &[u32], late: bool) -> StallBlame {
    let cpus = Cpus::of(&trace.events);
    let length = to.saturating_sub(from);
    let all: Vec<u32> = cpus.numbers();
    let meanwhile = cpus.others(&all, (from, to), ours, &trace.names);
    let begin = from.saturating_sub(length.saturating_mul(BEFORE)).max(trace.complete_from);
    let before: BTreeMap<(u32, String), u64> = cpus
        .others(&all, (begin, from), ours, &trace.names)
        .into_iter()
        .map(|m| ((m.cpu, m.who), m.length_ns))
        .collect();
    let share = |ns: u64, of: u64| if of > 0 { ns as f64 / of as f64 } else { 0.0 };
    let more = |m: &Meanwhile| {
        let usual = before.get(&(m.cpu, m.who.clone())).copied().unwrap_or(0);
        share(m.length_ns, length) - share(usual, from.saturating_sub(begin))
    };
    // Where the trace does not reach back, what took the CPU from another thread in its course came then.
    let reaches = from.saturating_sub(begin) >= length;
    let came = |m: &Meanwhile| if reaches { more(m) >= MORE } else { displaced(trace, m, (from, to)).is_some() };
    let receptions = if late { receptions(trace, (begin, from)) } else { BTreeMap::new() };
    let most = receptions.values().copied().max().unwrap_or(0);
    let receives = |m: &Meanwhile| receptions.get(&m.cpu).is_some_and(|n| n * RECEIVES >= most);
    let who = meanwhile
        .iter()
        .filter(|m| share(m.length_ns, length) >= SHARE && came(m))
        .max_by(|a, b| receives(a).cmp(&receives(b)).then(more(a).total_cmp(&more(b))))
        .cloned();
    let displaced = who.as_ref().and_then(|w| displaced(trace, w, (from, to)));
    StallBlame {
        who,
        from: displaced,
        meanwhile: meanwhile.into_iter().take(LISTED).collect(),
        whole: from >= trace.complete_from,
    }
}

/// Receive softirqs that began on each CPU.
fn receptions(trace: &Trace, (from, to): (u64, u64)) -> BTreeMap<u32, u64> {
    let first = trace.events.partition_point(|e| e.at < from);
    let mut all = BTreeMap::new();
    for event in trace.events[first..].iter().take_while(|e| e.at < to).filter(|e| e.what == What::Softirq(NET_RX)) {
        *all.entry(event.cpu).or_default() += 1;
    }
    all
}

/// The thread that ran on a CPU before the one that is blamed came, not the idle one.
fn displaced(trace: &Trace, who: &Meanwhile, (from, to): (u64, u64)) -> Option<String> {
    let first = trace.events.partition_point(|e| e.at < from.saturating_sub(to - from));
    let thread = trace.events[first..].iter().take_while(|e| e.at <= to).find_map(|e| match e.what {
        What::Switch(before, next) if e.cpu == who.cpu && before > 0 => {
            (crate::meanwhile::words_of_thread(next, &trace.names) == who.who).then_some(before)
        }
        _ => None,
    })?;
    Some(crate::meanwhile::words_of_thread(thread, &trace.names))
}

/// The events around a stall as lines for people: time from its beginning, CPU, what. At most `most`, the newest.
pub fn lines(trace: &Trace, from: u64, to: u64, most: usize) -> Vec<String> {
    let first = trace.events.partition_point(|e| e.at < from);
    let last = trace.events.partition_point(|e| e.at <= to);
    let first = first.max(last.saturating_sub(most));
    let thread = |n: u32| crate::meanwhile::words_of_thread(n, &trace.names);
    let irq = |n: u32| crate::meanwhile::words_of_irq(n, &trace.names);
    let softirq = |n: u32| {
        let name = crate::SOFTIRQS.get(n as usize).map_or_else(|| n.to_string(), |n| (*n).to_owned());
        format!("softirq {name}")
    };
    trace.events[first..last]
        .iter()
        .map(|e| {
            let what = match e.what {
                What::Switch(a, b) => format!("{} to {}", thread(a), thread(b)),
                What::Irq(n) => format!("{} begins", irq(n)),
                What::IrqEnd(n) => format!("{} ends", irq(n)),
                What::Softirq(n) => format!("{} begins", softirq(n)),
                What::SoftirqEnd(n) => format!("{} ends", softirq(n)),
                other => format!("{other:?}"),
            };
            format!("{:.3} µs, CPU {}: {what}", (e.at as f64 - from as f64) / 1e3, e.cpu)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TraceEvent;

    fn switch(at: u64, cpu: u32, from: u32, to: u32) -> TraceEvent {
        TraceEvent { at, cpu, thread: from, own: true, what: What::Switch(from, to) }
    }

    /// On CPU 0 a feed (5) of short turns and, from 1,000 to 2,000, a hog (9); on CPU 1 a compiler (7) all the time.
    fn trace(more: &[TraceEvent]) -> Trace {
        let mut trace = Trace::default();
        trace.events.push(switch(0, 1, 0, 7));
        for n in 0..10 {
            trace.events.extend([switch(n * 100 + 1, 0, 0, 5), switch(n * 100 + 11, 0, 5, 0)]);
        }
        trace.events.extend_from_slice(more);
        trace.events.push(switch(3_000, 1, 7, 0));
        for (n, name) in [(5, "feed"), (7, "rustc"), (9, "hog")] {
            trace.names.threads.insert(n, name.to_owned());
        }
        trace.sort();
        trace
    }

    #[test]
    fn what_came_is_blamed_and_what_is_always_there_is_not() {
        let hog = trace(&[switch(1_001, 0, 0, 5), switch(1_002, 0, 5, 9), switch(1_990, 0, 9, 5)]);
        let found = blame(&hog, (1_000, 2_000), &[5], true);
        let who = found.who.unwrap();
        assert_eq!((who.cpu, who.who.as_str(), who.length_ns), (0, "thread hog (9)", 988));
        assert_eq!(found.from.as_deref(), Some("thread feed (5)"));
        assert!(found.whole && found.meanwhile.iter().any(|m| m.who == "thread rustc (7)"), "{:?}", found.meanwhile);
        // Nothing came: the sender paused, and the compiler ran as ever.
        assert_eq!(blame(&trace(&[]), (1_000, 2_000), &[5], true).who, None);
        // A softirq is named as such.
        let at = |at, what| TraceEvent { at, cpu: 0, thread: 0, own: false, what };
        let busy = trace(&[at(1_010, What::Softirq(3)), at(1_900, What::SoftirqEnd(3))]);
        assert_eq!(blame(&busy, (1_000, 2_000), &[5], true).who.unwrap().who, "softirq NET_RX");
    }

    #[test]
    fn of_two_that_came_the_one_where_packets_were_received_is_blamed() {
        // On CPU 2 a linker (8) comes at the same time and stays longer.
        let mut more = vec![switch(10, 2, 0, 6), switch(990, 2, 6, 8), switch(2_100, 2, 8, 6)];
        more.extend([switch(1_001, 0, 0, 5), switch(1_010, 0, 5, 9), switch(1_990, 0, 9, 5)]);
        let who = |more: &[TraceEvent], late| blame(&trace(more), (1_000, 2_000), &[5], late).who.unwrap().who;
        assert_eq!(who(&more, true), "thread 8");
        let softirqs = |cpu, every| {
            let at = move |at, what| TraceEvent { at, cpu, thread: 0, own: false, what };
            (1..9)
                .step_by(every)
                .flat_map(move |n| [at(n * 100, What::Softirq(3)), at(n * 100 + 1, What::SoftirqEnd(3))])
        };
        more.extend(softirqs(0, 1).chain(softirqs(2, 8)));
        assert_eq!((who(&more, true), who(&more, false)), ("thread hog (9)".to_owned(), "thread 8".to_owned()));
    }

    #[test]
    fn a_ring_that_begins_later_is_said_and_lines_are_bounded() {
        let mut hog = trace(&[]);
        hog.complete_from = 1_500;
        assert!(!blame(&hog, (1_000, 2_000), &[], true).whole);
        assert_eq!(
            blame(&Trace::default(), (1_000, 2_000), &[], true),
            StallBlame { whole: true, ..StallBlame::default() }
        );
        let all = lines(&hog, 0, 1_000, 3);
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], "0.911 µs, CPU 0: thread feed (5) to thread 0");
    }
}
