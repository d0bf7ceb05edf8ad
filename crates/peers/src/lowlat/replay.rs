//! Which tagged messages came already: a tag proves who made a message, not that it is new.
//!
//! Of each session the newest sequence numbers are remembered, as IPsec does (RFC 6479). A session is forgotten when
//! [`SESSIONS`] newer ones have come, and all are when the far end ends: a message recorded before is then answered once
//! more. That discloses nothing but the far end's clock and is no longer than the message.

use std::collections::HashMap;

use lowlat_transport::Ns;

/// Sessions remembered; a prober opens one a round.
const SESSIONS: usize = 1024;
/// Words of a session's window.
const WORDS: usize = 16;
/// Sequence numbers behind the newest that are remembered; what comes later still counts as seen. One word less than
/// there are: the newest one's word is partly ahead.
const WINDOW: u64 = 64 * (WORDS as u64 - 1);

/// What came already.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    sessions: HashMap<u32, Seen>,
}

#[derive(Debug)]
struct Seen {
    last: Ns,
    newest: u64,
    words: [u64; WORDS],
}

impl Replays {
    /// Whether the message with this number is the first of its session to have it; from now on it is not. Call it for
    /// messages alone whose tag was right.
    pub(crate) fn is_new(&mut self, session: u32, seq: u64, now: Ns) -> bool {
        if self.sessions.len() >= SESSIONS && !self.sessions.contains_key(&session) {
            let oldest = self.sessions.iter().min_by_key(|(_, seen)| seen.last).map(|(session, _)| *session);
            oldest.and_then(|session| self.sessions.remove(&session));
        }
        let first = Seen { last: now, newest: seq, words: [0; WORDS] };
        let seen = self.sessions.entry(session).or_insert(first);
        seen.last = now;
        seen.takes(seq)
    }
}

impl Seen {
    fn takes(&mut self, seq: u64) -> bool {
        if seq.saturating_add(WINDOW) < self.newest {
            return false;
        }
        if seq > self.newest {
            let passed = (seq / 64 - self.newest / 64).min(WORDS as u64);
            for n in 1..=passed {
                self.words[word(self.newest / 64 + n)] = 0;
            }
            self.newest = seq;
        }
        let (at, bit) = (word(seq / 64), 1 << (seq % 64));
        let new = self.words[at] & bit == 0;
        self.words[at] |= bit;
        new
    }
}

#[allow(clippy::cast_possible_truncation)] // below WORDS
fn word(n: u64) -> usize {
    (n % WORDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_new_once_and_sessions_are_apart() {
        let mut r = Replays::default();
        for seq in [0, 1, 5, 3, 4, 2, 700, 600, 1_000_000, u64::MAX - 1, u64::MAX] {
            assert!(r.is_new(1, seq, 0), "{seq}");
            assert!(!r.is_new(1, seq, 0), "{seq} again");
            assert!(r.is_new(2, seq, 0), "{seq} of another session");
        }
        assert!(!r.is_new(1, 6, 0), "far behind the newest");
    }

    #[test]
    fn the_oldest_session_makes_room_and_memory_is_bounded() {
        let mut r = Replays::default();
        for n in 0..5_000 {
            assert!(r.is_new(n, 7, u64::from(n)));
            // One that goes on is kept.
            assert_eq!(r.is_new(0, u64::from(n), u64::from(n)), n != 7);
        }
        assert_eq!(r.sessions.len(), SESSIONS);
        assert!(!r.is_new(4_999, 7, 9_999) && r.is_new(1, 7, 9_999));
    }

    proptest! {
        /// Against a set: in any order within the window each number is new once.
        #[test]
        fn reordering_within_the_window_loses_nothing(offsets in proptest::collection::vec(0u64..800, 1..300), base in 0u64..10_000) {
            let (mut r, mut known) = (Replays::default(), std::collections::HashSet::new());
            for (n, offset) in (0u64..).zip(offsets) {
                let seq = base + n / 2 + offset;
                prop_assert_eq!(r.is_new(9, seq, 0), known.insert(seq), "{}", seq);
            }
        }
    }
}
