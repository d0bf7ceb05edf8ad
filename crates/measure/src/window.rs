//! Which probes are on their way, and what an answer means for them.

use lowlat_transport::Ns;

use crate::probe::{Flags, Probe};

/// Sequence numbers whose fate is remembered after they left the window, as bits: 2²⁰ of them in 128 KiB. At a million
/// probes a second that is one second beyond the timeout; an answer older than that is counted as late.
const REMEMBERED: u64 = 1 << 20;

/// What an answer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The first, in time.
    First,
    /// One more.
    Duplicate,
    /// The first, but its probe was given up before.
    Late,
    /// To a probe never sent.
    Unknown,
}

/// Remembers which of the last [`REMEMBERED`] probes were answered.
#[derive(Debug)]
pub(crate) struct Memory {
    bits: Vec<u64>,
    next: u64,
}

impl Memory {
    pub(crate) fn new(first: u64) -> Self {
        Self { bits: vec![0; usize::try_from(REMEMBERED / 64).unwrap_or(usize::MAX)], next: first }
    }

    fn place(seq: u64) -> (usize, u64) {
        let at = seq % REMEMBERED;
        (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
    }

    /// The fate of `seq`, the next to be given up or answered; must be called in order.
    #[inline]
    pub(crate) fn close(&mut self, seq: u64, answered: bool) {
        let (word, bit) = Self::place(seq);
        self.bits[word] = (self.bits[word] & !bit) | if answered { bit } else { 0 };
        self.next = seq + 1;
    }

    /// What an answer to the closed probe `seq` is.
    pub(crate) fn answer(&mut self, seq: u64) -> Class {
        if seq >= self.next {
            return Class::Unknown;
        }
        if self.next - seq > REMEMBERED {
            return Class::Late;
        }
        let (word, bit) = Self::place(seq);
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            Class::Late
        } else {
            Class::Duplicate
        }
    }
}

/// The probes of an open loop that may still be answered, in send order, in bounded memory.
#[derive(Debug)]
pub(crate) struct Window {
    ring: Vec<Probe>,
    base: u64,
    next: u64,
    timeout_ns: u64,
    highest: Option<u64>,
}

impl Window {
    /// Room for all that can be on their way at once: rate × timeout, within 2¹⁰ … 2²⁰ (40 MiB).
    pub(crate) fn new(first: u64, rate_pps: f64, timeout_ns: u64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let room = ((rate_pps * timeout_ns as f64 / 1e9 * 1.25).clamp(1024.0, f64::from(1 << 20)) as usize)
            .next_power_of_two();
        Self { ring: vec![Probe::default(); room], base: first, next: first, timeout_ns, highest: None }
    }

    fn at(&self, seq: u64) -> usize {
        usize::try_from(seq).unwrap_or(0) & (self.ring.len() - 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.base == self.next
    }

    pub(crate) fn is_full(&self) -> bool {
        self.next - self.base == self.ring.len() as u64
    }

    pub(crate) fn push(&mut self, probe: Probe) {
        let at = self.at(self.next);
        self.ring[at] = probe;
        self.next += 1;
    }

    /// When the oldest probe is given up.
    pub(crate) fn deadline(&self) -> Option<Ns> {
        (!self.is_empty()).then(|| self.ring[self.at(self.base)].sent.saturating_add(self.timeout_ns))
    }

    /// `seq` was settled before.
    pub(crate) fn has_left(&self, seq: u64) -> bool {
        seq < self.base
    }

    /// Books an answer to a probe in the window. A late one leaves its probe lost.
    pub(crate) fn answer(&mut self, seq: u64, at: Ns, residence: u64, flags: Flags) -> Class {
        if seq < self.base || seq >= self.next {
            return Class::Unknown;
        }
        let highest = self.highest;
        let slot = self.at(seq);
        let timeout = self.timeout_ns;
        let probe = &mut self.ring[slot];
        if probe.answered() || probe.flags.has(Flags::LATE) {
            probe.duplicates = probe.duplicates.saturating_add(1);
            return Class::Duplicate;
        }
        if at > probe.sent.saturating_add(timeout) {
            probe.flags.set(Flags::LATE);
            return Class::Late;
        }
        probe.received = at;
        probe.residence = residence;
        probe.flags.set(flags);
        if highest.is_some_and(|h| seq < h) {
            probe.flags.set(Flags::REORDERED);
        } else {
            self.highest = Some(seq);
        }
        Class::First
    }

    /// Takes out the oldest probe, when it is settled at `now`: answered, given up, or (`force`) pushed out.
    pub(crate) fn pop(&mut self, memory: &mut Memory, now: Ns, force: bool) -> Option<Probe> {
        if self.is_empty() {
            return None;
        }
        let seq = self.base;
        let probe = self.ring[self.at(seq)];
        if !(probe.answered() || force || now > probe.sent.saturating_add(self.timeout_ns)) {
            return None;
        }
        memory.close(seq, probe.answered() || probe.flags.has(Flags::LATE));
        self.base += 1;
        Some(probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at: Ns) -> Probe {
        Probe { planned: at, sent: at, ..Probe::default() }
    }

    #[test]
    fn every_answer_has_one_meaning() {
        let mut w = Window::new(0, 1e3, 100);
        for t in [0, 10, 20, 30] {
            w.push(sent(t));
        }
        let mut answer = |seq, at| w.answer(seq, at, u64::MAX, Flags::default());
        assert_eq!(answer(1, 50), Class::First);
        assert_eq!(answer(0, 60), Class::First); // overtaken by 1
        assert_eq!(answer(1, 61), Class::Duplicate);
        assert_eq!(answer(2, 121), Class::Late);
        assert_eq!(answer(2, 122), Class::Duplicate);
        assert_eq!(answer(9, 122), Class::Unknown);
        let mut memory = Memory::new(0);
        let fates: Vec<_> = std::iter::from_fn(|| w.pop(&mut memory, 131, false)).collect();
        assert_eq!(fates.len(), 4);
        assert!(fates[0].flags.has(Flags::REORDERED) && !fates[1].flags.has(Flags::REORDERED));
        assert_eq!(fates[1].duplicates, 1);
        assert!(!fates[2].answered() && !fates[3].answered());
        // After they left the window: 3 was never answered, 1 was, 2 was late.
        assert!(w.has_left(3));
        assert_eq!(
            [3, 3, 1, 2].map(|seq| memory.answer(seq)),
            [Class::Late, Class::Duplicate, Class::Duplicate, Class::Duplicate]
        );
    }

    #[test]
    fn memory_is_bounded_and_forgets_into_late() {
        let mut m = Memory::new(0);
        for seq in 0..REMEMBERED + 10 {
            m.close(seq, true);
        }
        assert_eq!(m.answer(5), Class::Late);
        assert_eq!(m.answer(20), Class::Duplicate);
        assert_eq!(m.answer(REMEMBERED + 10), Class::Unknown);
    }
}
