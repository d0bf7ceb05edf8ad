//! Interruptions as a spinning thread sees them: its clock jumps.

use crate::Ns;

/// Interruptions kept one by one; beyond, they are counted only.
const KEPT: usize = 1 << 16;

/// The least jump that counts, ns. One turn of the spinning receive takes 0.2 to 0.5 µs, and 2 µs when it brings a
/// message; an interrupt with its softirq takes about 5. What takes 10 was no part of the probe's own way.
pub const THRESHOLD_NS: u64 = 10_000;

/// Interruptions of one engine's thread.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Begin and end, `CLOCK_MONOTONIC`, in time order, since the last [`Gaps::take`].
    list: Vec<(Ns, Ns)>,
    /// All of them.
    pub seen: u64,
    /// The longest, ns.
    pub longest_ns: u64,
}

impl Gaps {
    /// With room, so that noting one allocates nothing.
    pub fn new() -> Self {
        Self { list: Vec::with_capacity(1 << 10), seen: 0, longest_ns: 0 }
    }

    /// Looks at two clock readings that followed each other.
    #[inline]
    pub fn look(&mut self, last: Ns, now: Ns) {
        if now.saturating_sub(last) >= THRESHOLD_NS {
            self.note(last, now);
        }
    }

    #[cold]
    fn note(&mut self, last: Ns, now: Ns) {
        self.seen += 1;
        self.longest_ns = self.longest_ns.max(now - last);
        if self.list.len() < KEPT {
            self.list.push((last, now));
        }
    }

    /// Whether there are any to take.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Appends those since the last call.
    pub fn take(&mut self, out: &mut Vec<(Ns, Ns)>) {
        out.append(&mut self.list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jumps_count() {
        let mut gaps = Gaps::new();
        gaps.look(5, 5 + THRESHOLD_NS - 1);
        assert!(gaps.is_empty());
        gaps.look(5, 5 + THRESHOLD_NS);
        gaps.look(50_000, 90_000);
        let mut out = Vec::new();
        gaps.take(&mut out);
        assert_eq!((out.len(), out[1], gaps.seen, gaps.longest_ns), (2, (50_000, 90_000), 2, 40_000));
        assert!(gaps.is_empty());
    }
}
