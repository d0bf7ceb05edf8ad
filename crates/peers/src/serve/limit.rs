//! Who may be answered, and how often: the allow-list and the token buckets.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use lowlat_transport::Ns;

use super::{Cidr, ServeConfig};

/// Sources remembered: sets of ways. A flood of forged sources evicts others; those come back with a full bucket, so it
/// harms no honest one, and the total limit is what holds the flood.
const SETS: usize = 1024;
const WAYS: usize = 4;
/// Tokens a bucket holds at most, in ns of its rate: bursts of this length pass.
const BURST_NS: u64 = 100_000_000;

/// Why a source is not answered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    NotAllowed,
    SourceLimit,
    TotalLimit,
}

/// Shared by all threads; costs nothing where nothing is limited.
#[derive(Clone)]
pub(super) struct Gate {
    allow: Arc<[Cidr]>,
    limits: Option<Arc<Mutex<Limits>>>,
}

struct Limits {
    source: Option<Sources>,
    total: Option<Bucket>,
}

impl Gate {
    pub(super) fn new(config: &ServeConfig) -> Self {
        let limits =
            Limits { source: config.source_limit.map(Sources::new), total: config.total_limit.map(Bucket::new) };
        let any = limits.source.is_some() || limits.total.is_some();
        Self { allow: config.allow.clone().into(), limits: any.then(|| Arc::new(Mutex::new(limits))) }
    }

    /// Whether one message from `ip` may be answered at `now`.
    #[inline]
    pub(super) fn pass(&self, ip: IpAddr, now: Ns) -> Result<(), Shut> {
        self.allowed(ip)?;
        let Some(limits) = &self.limits else {
            return Ok(());
        };
        // A panicked holder cannot leave the buckets worse than inexact.
        let mut limits = limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.source.as_mut().is_some_and(|s| !s.take(ip, now)) {
            return Err(Shut::SourceLimit);
        }
        if limits.total.as_mut().is_some_and(|t| !t.take(now)) {
            return Err(Shut::TotalLimit);
        }
        Ok(())
    }

    /// The allow-list alone.
    #[inline]
    pub(super) fn allowed(&self, ip: IpAddr) -> Result<(), Shut> {
        if self.allow.is_empty() || self.allow.iter().any(|r| r.contains(ip)) { Ok(()) } else { Err(Shut::NotAllowed) }
    }
}

/// A token bucket that counts in time: a message costs the ns that one message takes at the rate (GCRA).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    cost_ns: u64,
    /// The time at which the bucket is full again.
    full_at: Ns,
}

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self { cost_ns: 1_000_000_000 / per_second.max(1), full_at: 0 }
    }

    #[inline]
    fn take(&mut self, now: Ns) -> bool {
        let full_at = self.full_at.max(now) + self.cost_ns;
        // At least one message passes, however low the rate.
        if full_at - now > BURST_NS.max(self.cost_ns) {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

struct Sources {
    rate: u64,
    hasher: RandomState,
    table: Vec<[(u64, Bucket); WAYS]>,
}

impl Sources {
    fn new(rate: u64) -> Self {
        Self { rate, hasher: RandomState::new(), table: vec![[(0, Bucket::new(rate)); WAYS]; SETS] }
    }

    fn take(&mut self, ip: IpAddr, now: Ns) -> bool {
        // Whoever has an IPv6 address has the whole /64 (RFC 4291 §2.5.1), so that is the source.
        let source = match ip.to_canonical() {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 64).unwrap_or(0) | 1 << 63,
        };
        // Keyed, so that nobody can choose sources that fall into one set.
        let set = usize::try_from(self.hasher.hash_one(source) % SETS as u64).unwrap_or(0);
        let ways = &mut self.table[set];
        if let Some((_, bucket)) = ways.iter_mut().find(|(s, _)| *s == source) {
            return bucket.take(now);
        }
        let Some(oldest) = ways.iter_mut().min_by_key(|(_, b)| b.full_at) else {
            return true;
        };
        *oldest = (source, Bucket::new(self.rate));
        oldest.1.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut b = Bucket::new(1000);
        let start = 5_000_000_000;
        assert_eq!((0..1000).filter(|_| b.take(start)).count(), 100, "100 ms of 1000/s");
        assert_eq!((0..1000).filter(|i| b.take(start + i * 1_000_000)).count(), 999, "then one per millisecond");
        let mut slow = Bucket::new(1);
        assert!(slow.take(start) && !slow.take(start + 1) && slow.take(start + 1_000_000_000));
    }

    #[test]
    fn one_greedy_source_does_not_use_up_anothers_share() {
        let mut s = Sources::new(1000);
        assert_eq!((0..5000).filter(|_| s.take(ip("192.0.2.1"), 1)).count(), 100);
        assert!(s.take(ip("192.0.2.2"), 1));
        assert_eq!((0..5000u32).filter(|i| s.take(ip(&format!("2001:db8::{i:x}")), 1)).count(), 100, "one /64");
    }

    #[test]
    fn the_gate_names_what_shut_it() {
        let mut config = ServeConfig { allow: vec!["10.0.0.0/8".parse().unwrap()], ..ServeConfig::default() };
        assert_eq!(Gate::new(&config).pass(ip("192.0.2.1"), 1), Err(Shut::NotAllowed));
        config.source_limit = Some(1);
        config.total_limit = Some(2);
        let gate = Gate::new(&config);
        assert_eq!(gate.pass(ip("10.0.0.1"), 1), Ok(()));
        assert_eq!(gate.pass(ip("10.0.0.1"), 1), Err(Shut::SourceLimit));
        assert_eq!(gate.pass(ip("10.0.0.2"), 1), Err(Shut::TotalLimit));
    }
}
