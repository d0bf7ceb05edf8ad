//! The kernel's trace of one CPU, read as intervals: who had the CPU, from when to when.
//!
//! The text is that of `instances/…/per_cpu/cpuN/trace` (Documentation/trace/ftrace.rst, "Output format"):
//! `comm-pid [cpu] flags seconds.micros: event: fields`. An entry and its exit are paired on the CPU they are of; both
//! may nest, as a softirq does in the interrupt that it ends.

use std::collections::BTreeMap;

use lowlat_model::noise::TracedSource;

/// One interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    /// `irq 24 (eth0-rx-0)`, `softirq NET_RX`, `interrupt local_timer`, `thread kworker/1:2`.
    pub(crate) source: String,
    /// `CLOCK_MONOTONIC`, ns, to a microsecond.
    pub(crate) begin: u64,
    /// See `begin`.
    pub(crate) end: u64,
}

/// Intervals during which something else than thread `tid` had the CPU.
pub(crate) fn intervals(text: &str, tid: u32) -> Vec<Interval> {
    let mut open: BTreeMap<String, (String, u64)> = BTreeMap::new();
    let mut out = Vec::new();
    let mut close = |open: &mut BTreeMap<String, (String, u64)>, key: &str, end: u64| {
        if let Some((source, begin)) = open.remove(key) {
            out.push(Interval { source, begin, end });
        }
    };
    for (at, event, fields) in text.lines().filter_map(line) {
        match event {
            "irq_handler_entry" => {
                let irq = field(fields, "irq=").unwrap_or("?");
                let name = field(fields, "name=").unwrap_or("?");
                open.insert(format!("irq{irq}"), (format!("irq {irq} ({name})"), at));
            }
            "irq_handler_exit" => close(&mut open, &format!("irq{}", field(fields, "irq=").unwrap_or("?")), at),
            "softirq_entry" => {
                let action = field(fields, "action=").unwrap_or("?").trim_end_matches(']');
                open.insert("softirq".to_owned(), (format!("softirq {action}"), at));
            }
            "softirq_exit" => close(&mut open, "softirq", at),
            "sched_switch" => {
                if number(fields, "next_pid=") == Some(tid) {
                    close(&mut open, "thread", at);
                } else {
                    // From one other thread to the next: the time of each is its own.
                    close(&mut open, "thread", at);
                    let comm = field(fields, "next_comm=").unwrap_or("?");
                    open.insert("thread".to_owned(), (format!("thread {comm}"), at));
                }
            }
            _ => {
                if let Some(vector) = event.strip_suffix("_entry") {
                    open.insert(vector.to_owned(), (format!("interrupt {vector}"), at));
                } else if let Some(vector) = event.strip_suffix("_exit") {
                    close(&mut open, vector, at);
                }
            }
        }
    }
    out.sort_by_key(|i| i.begin);
    out
}

/// Time (ns), event and fields of a line; comments and lines of another shape are none.
fn line(line: &str) -> Option<(u64, &str, &str)> {
    if line.starts_with('#') {
        return None;
    }
    // The command's name may hold anything, so the line is read from the CPU's bracket on.
    let (_, rest) = line.split_once("] ")?;
    let mut words = rest.split_whitespace();
    let time = words.find(|w| w.ends_with(':') && w.contains('.'))?;
    let (seconds, micros) = time.trim_end_matches(':').split_once('.')?;
    let ns =
        seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?.checked_mul(1_000)?;
    let (_, after) = rest.split_once(time)?;
    let (event, fields) = after.trim_start().split_once(':')?;
    Some((ns, event, fields.trim()))
}

fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.split_once(name)?.1.split_whitespace().next()
}

fn number(fields: &str, name: &str) -> Option<u32> {
    field(fields, name)?.parse().ok()
}

/// What had the CPU during `begin..end`, longest overlap first, at most four.
pub(crate) fn cause(intervals: &[Interval], begin: u64, end: u64) -> Option<String> {
    // The trace reports microseconds, so an interval may seem to lie one next to its gap.
    let (from, to) = (begin.saturating_sub(1_000), end + 1_000);
    let upto = intervals.partition_point(|i| i.begin <= to);
    let mut shares: BTreeMap<&str, u64> = BTreeMap::new();
    for i in intervals[..upto].iter().filter(|i| i.end >= from) {
        let overlap = i.end.min(to).saturating_sub(i.begin.max(from));
        *shares.entry(&i.source).or_default() += overlap.max(1);
    }
    let mut shares: Vec<(&str, u64)> = shares.into_iter().collect();
    shares.sort_by_key(|s| std::cmp::Reverse(s.1));
    let words: Vec<String> = shares.iter().take(4).map(|(s, ns)| format!("{s} {} µs", ns / 1_000)).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Each source's part of the time, most first.
pub(crate) fn sources(intervals: &[Interval]) -> Vec<TracedSource> {
    let mut all: BTreeMap<&str, TracedSource> = BTreeMap::new();
    for i in intervals {
        let s = all.entry(&i.source).or_insert_with(|| TracedSource {
            source: i.source.clone(),
            count: 0,
            total_ns: 0,
            longest_ns: 0,
        });
        let length = i.end.saturating_sub(i.begin);
        s.count += 1;
        s.total_ns += length;
        s.longest_ns = s.longest_ns.max(length);
    }
    let mut all: Vec<TracedSource> = all.into_values().collect();
    all.sort_by_key(|s| std::cmp::Reverse(s.total_ns));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // As kernel 6.18 prints it.
    const TRACE: &str = "\
# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
 my: odd [0] name-4242    [001] d.h1.   100.000010: local_timer_entry: vector=236
          lowlat-4242    [001] d.h1.   100.000014: local_timer_exit: vector=236
          lowlat-4242    [001] ..s1.   100.000015: softirq_entry: vec=3 [action=NET_RX]
          lowlat-4242    [001] d.h2.   100.000016: irq_handler_entry: irq=38 name=virtio2-input.0
          lowlat-4242    [001] d.h2.   100.000018: irq_handler_exit: irq=38 ret=handled
          lowlat-4242    [001] ..s1.   100.000025: softirq_exit: vec=3 [action=NET_RX]
          lowlat-4242    [001] d..2.   100.000100: sched_switch: prev_comm=lowlat prev_pid=4242 prev_prio=120 prev_state=R ==> next_comm=kworker/1:2 next_pid=77 next_prio=120
     kworker/1:2-77      [001] d..2.   100.000150: sched_switch: prev_comm=kworker/1:2 prev_pid=77 prev_prio=120 prev_state=I ==> next_comm=lowlat next_pid=4242 next_prio=120
";

    #[test]
    fn intervals_are_paired_also_where_they_nest() {
        let found = intervals(TRACE, 4242);
        let named: Vec<(&str, u64)> = found.iter().map(|i| (i.source.as_str(), (i.end - i.begin) / 1_000)).collect();
        assert_eq!(
            named,
            [
                ("interrupt local_timer", 4),
                ("softirq NET_RX", 10),
                ("irq 38 (virtio2-input.0)", 2),
                ("thread kworker/1:2", 50)
            ]
        );
        assert_eq!(found[0].begin, 100_000_010_000);
        let cause = |from: u64, to: u64| cause(&found, 100_000_000_000 + from, 100_000_000_000 + to);
        assert_eq!(cause(99_500, 150_500).as_deref(), Some("thread kworker/1:2 50 µs"));
        assert!(cause(9_000, 26_000).unwrap().starts_with("softirq NET_RX 10 µs, interrupt local_timer 4 µs"));
        assert_eq!(cause(50_000, 60_000), None);
        assert_eq!(sources(&found)[0].source, "thread kworker/1:2");
        assert!(intervals("garbage\n[] 1.x: y\n] 99999999999999999999.1: a_entry:", 1).is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in "(?s).*", shaped in "[a-z]-1 \\[000\\] d [0-9]{1,25}\\.[0-9]{1,25}: [a-z_]{1,20}: .*") {
            let _ = intervals(&text, 1);
            let _ = sources(&intervals(&shaped, 1));
        }
    }
}
