//! The stages of live messages: short windows in which the kernel's trace points record what the watched threads receive and
//! send.
//!
//! The trace points cost each packet of the host some time while they are on, so they are on for a small part of the time
//! only, and off again after each window.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::application::Owner;
use lowlat_model::watch::WatchedStages;
use lowlat_model::{NotSeen, Reading};
use lowlat_os::clock;
use lowlat_sys::Sys;
use lowlat_trace::{Passes, Threads};

use crate::trace::Tracer;

/// From one window to the next, ns, and how long each is: at 40 events a packet and 20,000 packets a second it fills some
/// 2 MB of the ring.
const EVERY_NS: u64 = 5_000_000_000;
pub(super) const WINDOW_NS: u64 = 50_000_000;
/// Threads that are followed: a filter of the kernel has room for a page of text.
const MOST_THREADS: usize = 100;

/// Windows of one watch. Dropping it removes its instance.
#[derive(Debug)]
pub(super) struct StageTrace {
    tracer: Tracer,
    threads: BTreeSet<u32>,
    passes: Passes,
    out: WatchedStages,
    too_many: bool,
    /// Processes that ended before their threads could be listed.
    ended: BTreeSet<u32>,
    /// Process → why its threads could not be listed.
    refused: BTreeMap<u32, String>,
    /// When the window that is open began, and whether nothing waited then.
    open: Option<(u64, bool)>,
    next: u64,
}

impl StageTrace {
    /// Makes the instance; the error begins with `absent`, `denied`, `unsupported` or `garbled`.
    pub(super) fn begin() -> Result<Self, NotSeen> {
        Ok(Self {
            tracer: Tracer::begin("stages").map_err(|why| unseen(&why))?,
            threads: BTreeSet::new(),
            passes: Passes::default(),
            out: WatchedStages::default(),
            too_many: false,
            ended: BTreeSet::new(),
            refused: BTreeMap::new(),
            open: None,
            next: 0,
        })
    }

    /// Begins a window if it is time for one. `empty` says that nothing waits in any watched socket.
    pub(super) fn open(
        &mut self,
        sys: &dyn Sys,
        owners: &BTreeMap<u32, Vec<Owner>>,
        empty: bool,
    ) -> Result<(), NotSeen> {
        let now = clock::monotonic();
        if self.open.is_some() || now < self.next {
            return Ok(());
        }
        self.next = now.saturating_add(EVERY_NS);
        let pids: BTreeSet<u32> = owners.values().flatten().map(|o| o.pid).collect();
        let found = tasks(&|pid| sys.list(&format!("/proc/{pid}/task")), &pids);
        self.too_many |= found.threads.len() > MOST_THREADS;
        self.ended.extend(found.ended);
        self.refused.extend(found.refused);
        let threads: BTreeSet<u32> = found.threads.into_iter().take(MOST_THREADS).collect();
        let Some(first) = threads.first().copied() else { return Ok(()) };
        if threads != self.threads {
            let far = threads.iter().skip(1).copied().collect();
            self.tracer.keep_to(&Threads { near: first, far }).map_err(|why| unseen(&why))?;
            self.threads = threads;
        }
        self.out.pids = found.followed;
        self.tracer.on().map_err(|why| unseen(&why))?;
        self.open = Some((clock::monotonic(), empty));
        Ok(())
    }

    /// Whether a window is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Ends the window that is open, if it was long enough or everything ends.
    pub(super) fn close(&mut self, now: bool) -> Result<(), NotSeen> {
        let Some((began, empty)) = self.open else { return Ok(()) };
        let length = clock::monotonic().saturating_sub(began);
        if !now && length < WINDOW_NS {
            return Ok(());
        }
        self.open = None;
        let read = self.tracer.off().map_err(|why| unseen(&why))?;
        self.out.windows += 1;
        self.out.traced_ns += length;
        self.out.overruns += read.overruns;
        // A ring that lost events begins later than the sockets were looked at.
        self.passes.extend(lowlat_trace::passes(&read.trace, &self.threads, empty && read.overruns == 0));
        Ok(())
    }

    /// The figures, and what they lack.
    pub(super) fn finish(mut self) -> (WatchedStages, Vec<NotSeen>) {
        let mut not_seen: Vec<NotSeen> = self.close(true).err().into_iter().collect();
        (self.out.received, self.out.sent) = self.passes.counts();
        self.out.unmatched = self.passes.unmatched;
        self.out.stages = self.passes.stages();
        if self.too_many {
            not_seen.push(unseen(&format!("unsupported: of more than {MOST_THREADS} threads the first are followed")));
        }
        not_seen.extend(self.refused.values().map(|why| unseen(why)));
        if self.out.windows == 0 && not_seen.is_empty() {
            not_seen.push(unseen(&none_followed(&self.ended)));
        }
        (self.out, not_seen)
    }
}

/// The threads of some processes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tasks {
    threads: BTreeSet<u32>,
    /// The processes that they are of.
    followed: Vec<u32>,
    /// Processes that are no more.
    ended: Vec<u32>,
    /// Process → why its threads could not be listed.
    refused: BTreeMap<u32, String>,
}

/// `list` gives the names below `/proc/PID/task`.
fn tasks(list: &dyn Fn(u32) -> Reading<Vec<String>>, pids: &BTreeSet<u32>) -> Tasks {
    let mut out = Tasks::default();
    for &pid in pids {
        match list(pid) {
            Reading::Value(all) => {
                out.threads.extend(all.iter().filter_map(|tid| tid.parse::<u32>().ok()));
                out.followed.push(pid);
            }
            Reading::Absent(_) => out.ended.push(pid),
            other => {
                let (kind, why) = other.why_not().unwrap_or_default();
                let next = if kind == "denied" { "; run as root" } else { "" };
                out.refused.insert(pid, format!("{kind}: list the threads of process {pid}: {why}{next}"));
            }
        }
    }
    out
}

/// Why no window was recorded, although nothing refused one.
fn none_followed(ended: &BTreeSet<u32>) -> String {
    if ended.is_empty() {
        return "absent: no process is known to hold the watched sockets; run as root to see those of others"
            .to_owned();
    }
    let all: Vec<String> = ended.iter().map(u32::to_string).collect();
    format!("absent: process {} ended before a window was recorded; start when the application runs", all.join(", "))
}

fn unseen(why: &str) -> NotSeen {
    NotSeen { fact: "the stages of its messages".to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_one_that_may_not_be_seen_and_one_that_is_followed_are_told_apart() {
        let list = |pid: u32| match pid {
            6 => Reading::Absent("no such directory".to_owned()),
            7 => Reading::Value(vec!["7".to_owned(), "9".to_owned()]),
            _ => Reading::Denied("may not be read".to_owned()),
        };
        let found = tasks(&list, &BTreeSet::from([6, 7, 8]));
        assert_eq!((found.threads, found.followed, found.ended), (BTreeSet::from([7, 9]), vec![7], vec![6]));
        let why = &found.refused[&8];
        assert!(why.starts_with("denied: list the threads of process 8: ") && why.ends_with("; run as root"), "{why}");
        assert!(none_followed(&BTreeSet::from([6])).contains("process 6 ended"));
        assert!(none_followed(&BTreeSet::new()).contains("run as root"));
    }
}
