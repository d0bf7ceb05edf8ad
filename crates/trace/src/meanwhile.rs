//! What ran on a CPU in a span of time.

use std::collections::BTreeMap;

use lowlat_model::trace::Meanwhile;

use crate::event::{SOFTIRQS, TraceEvent, TraceNames, What};

/// The events of each CPU, in the order of time.
#[derive(Debug)]
pub(crate) struct Cpus<'a>(BTreeMap<u32, Vec<&'a TraceEvent>>);

/// Who has a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Thread(u32),
    Softirq(u32),
    Irq(u32),
}

impl<'a> Cpus<'a> {
    /// Of the events of a round.
    pub(crate) fn of(events: &'a [TraceEvent]) -> Self {
        let mut cpus: BTreeMap<u32, Vec<&TraceEvent>> = BTreeMap::new();
        for event in events {
            cpus.entry(event.cpu).or_default().push(event);
        }
        Self(cpus)
    }

    /// Their numbers.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.0.keys().copied().collect()
    }

    /// Adds up who had a CPU between the two times. What interrupts has the CPU, not what it interrupts.
    fn add(&self, cpu: u32, from: u64, to: u64, sums: &mut BTreeMap<Who, u64>) {
        let Some(events) = self.0.get(&cpu) else { return };
        let begin = events.partition_point(|e| e.at < from);
        // Whoever the last event before made run; an event names the thread that runs while it is made.
        let mut thread = match events.get(begin.wrapping_sub(1)).map(|e| e.what) {
            Some(What::Switch(_, next)) => Some(next),
            _ => events.get(begin.wrapping_sub(1)).or_else(|| events.get(begin)).map(|e| e.thread),
        };
        let mut stack: Vec<Who> = Vec::new();
        let mut last = from;
        for event in events[begin..].iter().take_while(|e| e.at <= to) {
            if let Some(who) = stack.last().copied().or(thread.map(Who::Thread)) {
                *sums.entry(who).or_default() += event.at.saturating_sub(last);
            }
            last = event.at;
            match event.what {
                What::Switch(_, next) => {
                    thread = Some(next);
                    stack.clear();
                }
                What::Irq(n) => stack.push(Who::Irq(n)),
                What::Softirq(n) => stack.push(Who::Softirq(n)),
                What::IrqEnd(_) | What::SoftirqEnd(_) => {
                    stack.pop();
                }
                _ => {}
            }
        }
        if let Some(who) = stack.last().copied().or(thread.map(Who::Thread)) {
            *sums.entry(who).or_default() += to.saturating_sub(last);
        }
    }

    /// Threads and how long they had any of these CPUs, ns.
    pub(crate) fn threads(&self, cpus: &[u32], from: u64, to: u64) -> Vec<(u32, u64)> {
        let mut sums = BTreeMap::new();
        for cpu in cpus {
            self.add(*cpu, from, to, &mut sums);
        }
        let thread = |(who, ns): (Who, u64)| if let Who::Thread(thread) = who { Some((thread, ns)) } else { None };
        sums.into_iter().filter_map(thread).collect()
    }

    /// All but the idle thread and `ours`, most time first, CPU by CPU.
    pub(crate) fn others(
        &self,
        cpus: &[u32],
        (from, to): (u64, u64),
        ours: &[u32],
        names: &TraceNames,
    ) -> Vec<Meanwhile> {
        let mut all = Vec::new();
        for cpu in cpus {
            let mut sums = BTreeMap::new();
            self.add(*cpu, from, to, &mut sums);
            for (who, length_ns) in sums.into_iter().filter(|(_, ns)| *ns > 0) {
                let who = match who {
                    Who::Thread(thread) if thread == 0 || ours.contains(&thread) => continue,
                    Who::Thread(thread) => words_of_thread(thread, names),
                    Who::Irq(irq) => words_of_irq(irq, names),
                    Who::Softirq(n) => {
                        let name = SOFTIRQS.get(n as usize).map_or_else(|| n.to_string(), |n| (*n).to_owned());
                        format!("softirq {name}")
                    }
                };
                all.push(Meanwhile { cpu: *cpu, who, length_ns });
            }
        }
        all.sort_by_key(|m| std::cmp::Reverse(m.length_ns));
        all
    }
}

pub(crate) fn words_of_thread(thread: u32, names: &TraceNames) -> String {
    match names.threads.get(&thread) {
        Some(name) => format!("thread {name} ({thread})"),
        None => format!("thread {thread}"),
    }
}

pub(crate) fn words_of_irq(irq: u32, names: &TraceNames) -> String {
    match names.irqs.get(&irq) {
        Some(name) => format!("irq {irq} ({name})"),
        None => format!("irq {irq}"),
    }
}
