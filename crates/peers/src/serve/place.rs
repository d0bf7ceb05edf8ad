//! On which CPU the far end answers while a prober has asked it to stay on one.
//!
//! One client has the placement at a time, for as long as it asked and [`LONGEST_S`] at most; others are reported that
//! it is taken. The CPU is one of those that whoever started the far end gave it, so a request can choose no other,
//! forged or not. Every thread that answers follows: it looks at one number after each message, and calls the kernel
//! only when that changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lowlat_transport::Ns;

use super::privilege;
use crate::lowlat::place::{Answer, PlacementRequest};
use crate::lowlat::replay::Replays;

/// A lease lasts no longer without another request, s: a prober that was killed does not hold it for a day.
pub const LONGEST_S: u32 = 3600;
/// No CPU.
const NONE: u32 = u32::MAX;

/// The CPUs a far end may be placed on. Found beforehand, since a confined far end reads no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Token of this host, the same as a prober's on it; 0 for unknown.
    pub host: u64,
    /// For a prober on another host.
    pub alone: Option<u32>,
    /// For a prober on this host: its CPU → this far end's.
    pub beside: BTreeMap<u32, u32>,
    /// Where its threads may run otherwise.
    pub before: Vec<u32>,
}

/// Decides about requests, and reports every thread.
#[derive(Debug)]
pub struct Desk {
    places: Option<Places>,
    /// The CPU it was started on (`--cpu`).
    fixed: Option<u32>,
    lease: Mutex<Option<u64>>,
    cpu: AtomicU32,
    until: AtomicU64,
    replays: Mutex<Replays>,
}

impl Desk {
    /// For a far end with these places; `fixed` is where it was started to run, which then no request changes.
    pub fn new(places: Option<Places>, fixed: Option<u32>) -> Self {
        let (cpu, until) = (AtomicU32::new(NONE), AtomicU64::new(0));
        Self { places, fixed, lease: Mutex::new(None), cpu, until, replays: Mutex::default() }
    }

    /// Whether a tagged message came for the first time, on whichever of the far end's sockets.
    pub(crate) fn is_new(&self, session: u32, number: u64, now: Ns) -> bool {
        // A panicked holder leaves at worst a number that counts as seen.
        self.replays.lock().unwrap_or_else(PoisonError::into_inner).is_new(session, number, now)
    }

    /// Where the threads that answer are to be; `None` for wherever they may.
    pub fn cpu(&self) -> Option<u32> {
        Some(self.cpu.load(Ordering::Relaxed)).filter(|cpu| *cpu != NONE)
    }

    /// Decides about a request that came at `now`, on a thread that answers, and pins that thread.
    #[cold]
    pub(crate) fn ask(&self, request: &PlacementRequest, now: Ns) -> Answer {
        if let Some(cpu) = self.fixed {
            return if request.seconds == 0 { Answer::Released } else { Answer::Fixed(cpu) };
        }
        let Some(places) = &self.places else { return Answer::Cannot };
        // A panicked holder leaves at worst a lease that ends on its own.
        let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if lease.is_some_and(|client| client != request.client) && now < self.until.load(Ordering::Relaxed) {
            return Answer::Busy;
        }
        if request.seconds == 0 {
            *lease = None;
            self.cpu.store(NONE, Ordering::Relaxed);
            return Answer::Released;
        }
        let same_host = places.host != 0 && places.host == request.host;
        let (cpu, answer) = match request.cpu.filter(|_| same_host) {
            Some(near) => (places.beside.get(&near).copied(), Answer::Beside as fn(u32) -> Answer),
            None => (places.alone, Answer::ByRule as fn(u32) -> Answer),
        };
        let Some(cpu) = cpu.filter(|cpu| privilege::pin(*cpu).is_ok()) else { return Answer::Cannot };
        *lease = Some(request.client);
        let seconds = u64::from(request.seconds.min(LONGEST_S));
        self.until.store(now.saturating_add(seconds * 1_000_000_000), Ordering::Relaxed);
        self.cpu.store(cpu, Ordering::Relaxed);
        answer(cpu)
    }

    /// Ends a lease that has run out.
    fn look(&self, now: Ns) {
        if self.cpu().is_some() && now >= self.until.load(Ordering::Relaxed) {
            *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.cpu.store(NONE, Ordering::Relaxed);
        }
    }

    fn before(&self) -> &[u32] {
        self.places.as_ref().map_or(&[], |p| &p.before)
    }
}

/// One thread's following of the desk.
#[derive(Debug)]
pub(super) struct Follower {
    desk: Arc<Desk>,
    on: u32,
}

impl Follower {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk, on: NONE }
    }

    /// After a message: goes where the desk says, if that changed.
    #[inline]
    pub(super) fn follow(&mut self) {
        let on = self.desk.cpu.load(Ordering::Relaxed);
        if on != self.on {
            self.go(on);
        }
    }

    /// Now and then, when the counts are shown.
    pub(super) fn look(&mut self, now: Ns) {
        self.desk.look(now);
        self.follow();
    }

    #[cold]
    fn go(&mut self, on: u32) {
        self.on = on;
        // Refused: it answers from where it is.
        let _ = if on == NONE { privilege::spread(self.desk.before()) } else { privilege::pin(on) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn cpus() -> Vec<u32> {
        privilege::allowed().unwrap()
    }

    fn desk() -> (Desk, u32) {
        let all = cpus();
        let last = all[all.len() - 1];
        let places = Places { host: 5, alone: Some(last), beside: BTreeMap::from([(900, all[0])]), before: all };
        (Desk::new(Some(places), None), last)
    }

    fn request(client: u64, seconds: u32) -> PlacementRequest {
        PlacementRequest { client, host: 0, cpu: Some(900), seconds }
    }

    /// On a thread of its own, which is what gets pinned.
    fn apart(test: impl FnOnce() + Send) {
        std::thread::scope(|s| s.spawn(test).join()).unwrap();
    }

    #[test]
    fn one_client_at_a_time_until_it_gives_up_or_its_time_is_over() {
        apart(|| {
            let (desk, last) = desk();
            assert_eq!(desk.ask(&request(1, 10), 0), Answer::ByRule(last));
            assert_eq!((desk.cpu(), cpus()), (Some(last), vec![last]));
            assert_eq!(desk.ask(&request(2, 10), 5 * SECOND), Answer::Busy);
            assert_eq!(desk.ask(&request(2, 0), 5 * SECOND), Answer::Busy, "nobody gives up another's");
            assert_eq!(desk.ask(&request(1, 10), 5 * SECOND), Answer::ByRule(last), "asked again: longer");
            assert_eq!(desk.ask(&request(2, 10), 14 * SECOND), Answer::Busy);
            assert_eq!(desk.ask(&request(2, 10), 15 * SECOND), Answer::ByRule(last));
            assert_eq!(desk.ask(&request(2, 0), 16 * SECOND), Answer::Released);
            assert_eq!(desk.cpu(), None);
            desk.ask(&request(3, u32::MAX), 0);
            assert_eq!(desk.ask(&request(4, 1), (u64::from(LONGEST_S) + 1) * SECOND), Answer::ByRule(last));
        });
    }

    #[test]
    fn a_prober_on_the_same_host_gets_the_other_cpu_and_a_liar_no_other() {
        apart(|| {
            let (desk, last) = desk();
            let first = desk.places.as_ref().unwrap().before[0];
            assert_eq!(desk.ask(&PlacementRequest { host: 5, ..request(1, 9) }, 0), Answer::Beside(first));
            assert_eq!(desk.ask(&PlacementRequest { host: 6, ..request(1, 9) }, 0), Answer::ByRule(last));
            assert_eq!(desk.ask(&PlacementRequest { host: 5, cpu: Some(7_777), ..request(1, 9) }, 0), Answer::Cannot);
            let nowhere = Desk::new(Some(Places { alone: Some(8_000), ..Places::default() }), None);
            assert_eq!(nowhere.ask(&request(1, 9), 0), Answer::Cannot, "the kernel has no such CPU");
            assert_eq!(Desk::new(None, None).ask(&request(1, 9), 0), Answer::Cannot);
        });
    }

    #[test]
    fn where_it_was_started_wins() {
        apart(|| {
            let desk = Desk::new(Some(Places { alone: Some(0), ..Places::default() }), Some(6));
            assert_eq!(desk.ask(&request(1, 9), 0), Answer::Fixed(6));
            assert_eq!((desk.cpu(), desk.ask(&request(1, 0), 0)), (None, Answer::Released));
        });
    }

    #[test]
    fn a_thread_follows_and_is_free_again_afterwards() {
        apart(|| {
            let (desk, last) = desk();
            let (desk, all) = (Arc::new(desk), cpus());
            let mut follower = Follower::new(desk.clone());
            std::thread::scope(|s| s.spawn(|| desk.ask(&request(1, 10), 0)).join()).unwrap();
            assert_eq!(cpus(), all, "another thread was asked");
            follower.follow();
            assert_eq!(cpus(), [last]);
            follower.look(9 * SECOND);
            assert_eq!(cpus(), [last]);
            follower.look(10 * SECOND);
            assert_eq!(cpus(), all, "the lease is over");
        });
    }
}
