//! What the far end did, and what it did not.

use std::sync::{Arc, Mutex, PoisonError};

use lowlat_transport::Ns;

use super::Ignored;
use super::limit::Shut;

/// How often a thread shows its counts to others, ns: no report is older than this.
const SHOW_NS: u64 = 250_000_000;

/// Where a thread shows its counts while it runs, so that counting itself shares nothing.
#[derive(Clone, Default)]
pub(super) struct Board {
    shown: Arc<Mutex<ServeStats>>,
    next: Ns,
}

impl Board {
    /// Whether it is time.
    #[inline]
    pub(super) fn is_due(&self, now: Ns) -> bool {
        now >= self.next
    }

    #[cold]
    pub(super) fn show(&mut self, stats: &ServeStats, now: Ns) {
        self.next = now + SHOW_NS;
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone_from(stats);
    }

    /// Nothing to show here; asks again after the same time.
    pub(super) fn put_off(&mut self, now: Ns) {
        self.next = now + SHOW_NS;
    }

    /// What was shown last.
    pub(super) fn read(&self) -> ServeStats {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Counts over all sockets and connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeStats {
    /// Messages that came.
    pub received: u64,
    /// Answers handed to the kernel.
    pub answered: u64,
    /// Of those, on a socket connected to the client.
    pub answered_connected: u64,
    /// Not a message of the protocol, too long, or an answer.
    pub malformed: u64,
    /// Without the right tag.
    pub unauthenticated: u64,
    /// With the right tag, but they came before.
    pub replayed: u64,
    /// Asked for no answer.
    pub none_wanted: u64,
    /// From a source that is not on the allow-list.
    pub not_allowed: u64,
    /// Above one source's rate.
    pub source_limited: u64,
    /// Above the total rate.
    pub total_limited: u64,
    /// Answers the kernel did not take (full send buffer, no route, packet filter).
    pub send_failed: u64,
    /// Receive calls that failed.
    pub receive_failed: u64,
    /// Datagrams the kernel dropped before this program: the socket's buffer was full.
    pub kernel_dropped: u64,
    /// TCP connections taken.
    pub connections: u64,
    /// TCP connections closed at once: too many, in all or from one source.
    pub connections_refused: u64,
    /// TCP connections closed because nothing whole came for too long.
    pub connections_idle: u64,
    /// Bytes thrown away on sink connections.
    pub sink_bytes: u64,
    /// Time from receive to the end of the send, of every 16th answer.
    pub residence: Residence,
}

impl ServeStats {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.answered += other.answered;
        self.answered_connected += other.answered_connected;
        self.malformed += other.malformed;
        self.unauthenticated += other.unauthenticated;
        self.replayed += other.replayed;
        self.none_wanted += other.none_wanted;
        self.not_allowed += other.not_allowed;
        self.source_limited += other.source_limited;
        self.total_limited += other.total_limited;
        self.send_failed += other.send_failed;
        self.receive_failed += other.receive_failed;
        self.kernel_dropped += other.kernel_dropped;
        self.connections += other.connections;
        self.connections_refused += other.connections_refused;
        self.connections_idle += other.connections_idle;
        self.sink_bytes += other.sink_bytes;
        self.residence.add(&other.residence);
    }

    pub(super) fn ignored(&mut self, why: Ignored) {
        *match why {
            Ignored::Malformed => &mut self.malformed,
            Ignored::Unauthenticated => &mut self.unauthenticated,
            Ignored::Replayed => &mut self.replayed,
            Ignored::NoneWanted => &mut self.none_wanted,
        } += 1;
    }

    pub(super) fn shut(&mut self, why: Shut) {
        *match why {
            Shut::NotAllowed => &mut self.not_allowed,
            Shut::SourceLimit => &mut self.source_limited,
            Shut::TotalLimit => &mut self.total_limited,
        } += 1;
    }

    /// Whether this answer's residence is to be timed: a clock read costs as much as a hundredth of an answer.
    #[inline]
    pub(super) fn times_this(&self) -> bool {
        self.answered.is_multiple_of(16)
    }
}

/// Four cells per power of two: a quantile is exact to a quarter of its power.
const CELLS: usize = 64 * 4;

/// Times in constant memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Residence {
    cells: Box<[u64; CELLS]>,
    /// How many.
    pub count: u64,
    /// Longest, ns.
    pub max_ns: u64,
}

impl Default for Residence {
    fn default() -> Self {
        Self { cells: Box::new([0; CELLS]), count: 0, max_ns: 0 }
    }
}

impl Residence {
    pub(super) fn record(&mut self, ns: u64) {
        self.cells[cell(ns)] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    fn add(&mut self, other: &Self) {
        for (a, b) in self.cells.iter_mut().zip(other.cells.iter()) {
            *a += b;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The quantile `q`, ns, rounded up to its cell; `None` with fewer than `10 / (1 − q)` times.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        // 100 × (1 − 0.9) is a little less than 10 in binary.
        if ((self.count as f64) * (1.0 - q) + 1e-6) < 10.0 {
            return None;
        }
        let rank = self.count as f64 * q;
        let mut seen = 0;
        let at = self.cells.iter().position(|n| {
            seen += n;
            seen as f64 >= rank
        })?;
        Some(upper(at).min(self.max_ns))
    }
}

impl std::fmt::Debug for Residence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} times, p50 {:?}, p99 {:?}, max {}",
            self.count,
            self.quantile(0.5),
            self.quantile(0.99),
            self.max_ns
        )
    }
}

fn cell(ns: u64) -> usize {
    let power = ns.max(4).ilog2();
    let quarter = (ns.max(4) >> (power - 2)) & 3;
    usize::try_from(u64::from(power) * 4 + quarter).unwrap_or(CELLS - 1)
}

fn upper(cell: usize) -> u64 {
    let (power, quarter) = (cell / 4, cell % 4);
    let top = (1u128 << power) + ((quarter as u128 + 1) << power.saturating_sub(2)) - 1;
    u64::try_from(top).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_their_times() {
        for ns in [4, 5, 7, 8, 1000, 1023, 1024, 123_456_789, u64::MAX] {
            let top = upper(cell(ns));
            assert!(top >= ns && top <= ns.saturating_add(ns / 4), "{ns} in a cell up to {top}");
        }
        assert_eq!(cell(0), cell(4));
    }

    #[test]
    fn quantiles_need_their_sample() {
        let mut r = Residence::default();
        (1..=99).for_each(|i| r.record(i * 1000));
        assert_eq!(r.quantile(0.9), None);
        r.record(100_000);
        let p90 = r.quantile(0.9).unwrap();
        assert!((90_000..=100_000).contains(&p90), "{p90}");
    }
}
