//! Readings of many sockets, folded as they come: of each socket the first and the last, and the spread of what goes up and
//! down in between, so that an hour of watching takes no more memory than a second.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lowlat_model::watch::{SampleSpread, SocketSample, WatchedSocket};

/// Sockets that are kept; each takes a little over 1 KB here and in the document.
pub const MOST_SOCKETS: usize = 20_000;

/// The fold.
#[derive(Debug, Default)]
pub struct WatchFold {
    sockets: BTreeMap<u64, Folded>,
    /// Those of this reading that found no room, and the most of any before.
    over: u64,
    left_out: u64,
    readings: u32,
}

#[derive(Debug, Default)]
struct Sum {
    samples: u64,
    min: u64,
    max: u64,
    total: u128,
}

impl Sum {
    fn add(&mut self, value: u64) {
        self.min = if self.samples == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.total += u128::from(value);
        self.samples += 1;
    }

    fn spread(&self) -> SampleSpread {
        let some = self.samples > 0;
        let mean = u64::try_from(self.total / u128::from(self.samples.max(1))).unwrap_or(u64::MAX);
        SampleSpread {
            samples: self.samples,
            min: some.then_some(self.min),
            mean: some.then_some(mean),
            max: some.then_some(self.max),
        }
    }
}

/// One socket so far.
#[derive(Debug)]
struct Folded {
    socket: WatchedSocket,
    /// The reading at which it was seen last, counted from 1.
    seen: u32,
    unread: Sum,
    unsent: Sum,
    rtt: Sum,
}

impl WatchFold {
    /// Begins a reading of all sockets.
    pub fn begin(&mut self) {
        self.readings += 1;
        self.left_out = self.left_out.max(std::mem::take(&mut self.over));
    }

    /// Readings that were begun.
    pub fn readings(&self) -> u32 {
        self.readings
    }

    /// Whether a socket was seen before.
    pub fn knows(&self, key: u64) -> bool {
        self.sockets.contains_key(&key)
    }

    /// Takes one socket of the reading. `key` is the same for the same socket and no other; `named` gives its protocol and
    /// addresses, and is asked once.
    pub fn take(&mut self, key: u64, state: &str, sample: SocketSample, named: impl FnOnce() -> WatchedSocket) {
        let full = self.sockets.len() >= MOST_SOCKETS;
        let readings = self.readings;
        let folded = match self.sockets.entry(key) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(_) if full => {
                self.over += 1;
                return;
            }
            Entry::Vacant(new) => {
                let socket = WatchedSocket { first: sample, last: sample, ..named() };
                new.insert(Folded {
                    socket,
                    seen: 0,
                    unread: Sum::default(),
                    unsent: Sum::default(),
                    rtt: Sum::default(),
                })
            }
        };
        folded.add(state, &sample);
        folded.seen = readings;
    }

    /// The sockets with their keys, those with most traffic first, and how many found no room.
    pub fn finish(self) -> (Vec<(u64, WatchedSocket)>, u64) {
        let readings = self.readings;
        let mut all: Vec<(u64, WatchedSocket)> = self
            .sockets
            .into_iter()
            .map(|(key, f)| {
                let (unread, unsent, rtt) = (f.unread.spread(), f.unsent.spread(), f.rtt.spread());
                (key, WatchedSocket { closed: f.seen < readings, unread, unsent, rtt, ..f.socket })
            })
            .collect();
        all.sort_by_key(|(key, s)| (std::cmp::Reverse(traffic(s)), *key));
        (all, self.left_out.max(self.over))
    }
}

impl Folded {
    fn add(&mut self, state: &str, sample: &SocketSample) {
        let socket = &mut self.socket;
        let before = (socket.readings > 0).then_some(socket.last);
        let listens = state == "listen";
        if socket.state != state {
            state.clone_into(&mut socket.state);
        }
        socket.readings += 1;
        self.unread.add(sample.unread);
        socket.readings_unread += u32::from(sample.unread > 0);
        // A row of readings at which something waits and nothing was taken out.
        let untouched = sample.unread > 0 && !listens && before.is_none_or(|b| b.unread == 0 || !taken(&b, sample));
        socket.unread_to_the_end = if untouched { socket.unread_to_the_end + 1 } else { u32::from(sample.unread > 0) };
        if let Some(tcp) = &sample.tcp {
            self.unsent.add(tcp.unsent);
            let sent = before.and_then(|b| b.tcp).is_some_and(|b| b.sent_segments != tcp.sent_segments);
            if let Some(rtt) = tcp.rtt_ns.filter(|_| sent) {
                self.rtt.add(rtt);
            }
            let open = state == "established" || state == "close-wait";
            socket.readings_peer_window_zero += u32::from(open && tcp.peer_window == Some(0));
            socket.readings_own_window_zero += u32::from(open && tcp.own_window == Some(0));
        }
        socket.last = *sample;
    }
}

/// The program read something between two readings. Of TCP what came and did not stay was read; of UDP a queue that did not
/// shrink may have been read and filled again, and counts as untouched only where it grew or stood still.
fn taken(before: &SocketSample, now: &SocketSample) -> bool {
    match before.tcp.zip(now.tcp) {
        Some((b, n)) => before.unread.saturating_add(n.received_bytes.saturating_sub(b.received_bytes)) != now.unread,
        None => now.unread < before.unread,
    }
}

fn traffic(s: &WatchedSocket) -> u64 {
    let bytes = s.first.tcp.zip(s.last.tcp).map(|(a, b)| {
        let grown = |of: fn(&lowlat_model::watch::TcpSample) -> u64| of(&b).saturating_sub(of(&a));
        grown(|t| t.acknowledged_bytes).saturating_add(grown(|t| t.received_bytes))
    });
    bytes.unwrap_or(0).saturating_add(s.unread.max.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::watch::TcpSample;

    fn named() -> WatchedSocket {
        WatchedSocket { protocol: "tcp".into(), local: "192.0.2.1:1".into(), ..WatchedSocket::default() }
    }

    fn tcp(at_ns: u64, unread: u64, received: u64, sent: u64) -> SocketSample {
        let tcp = TcpSample {
            received_bytes: received,
            sent_segments: sent,
            rtt_ns: Some(1_000 * (1 + sent)),
            ..TcpSample::default()
        };
        SocketSample { at_ns, unread, tcp: Some(tcp), ..SocketSample::default() }
    }

    fn folded(samples: &[SocketSample]) -> WatchedSocket {
        let mut fold = WatchFold::default();
        for sample in samples {
            fold.begin();
            fold.take(1, "established", *sample, named);
        }
        fold.finish().0.remove(0).1
    }

    #[test]
    fn a_row_without_reading_ends_when_something_is_read() {
        // 10 wait, 5 more come and all 15 wait, then nothing comes and all wait.
        let stalled = folded(&[tcp(0, 0, 0, 0), tcp(1, 10, 10, 0), tcp(2, 15, 15, 0), tcp(3, 15, 15, 0)]);
        assert_eq!((stalled.readings, stalled.readings_unread, stalled.unread_to_the_end), (4, 3, 3));
        // As many wait at each reading, and all of them are others.
        let busy = folded(&[tcp(0, 10, 10, 0), tcp(1, 10, 20, 0), tcp(2, 10, 30, 0)]);
        assert_eq!((busy.readings_unread, busy.unread_to_the_end), (3, 1));
        assert_eq!(folded(&[tcp(0, 10, 10, 0), tcp(1, 0, 10, 0)]).unread_to_the_end, 0);
        let udp = |unread| SocketSample { unread, ..SocketSample::default() };
        assert_eq!(folded(&[udp(0), udp(768), udp(1_536), udp(1_536)]).unread_to_the_end, 3);
        assert_eq!(folded(&[udp(768), udp(1_536), udp(768)]).unread_to_the_end, 1);
    }

    #[test]
    fn a_round_trip_counts_where_something_was_sent_and_ends_are_kept() {
        let s = folded(&[tcp(0, 0, 0, 1), tcp(1, 0, 0, 1), tcp(2, 0, 0, 3), tcp(3, 0, 0, 5)]);
        assert_eq!((s.rtt.samples, s.rtt.min, s.rtt.mean, s.rtt.max), (2, Some(4_000), Some(5_000), Some(6_000)));
        assert_eq!((s.first.at_ns, s.last.at_ns, s.closed), (0, 3, false));
        assert_eq!(folded(&[tcp(0, 0, 0, 0)]).rtt, SampleSpread::default());
    }

    #[test]
    fn what_went_is_said_and_what_found_no_room_is_counted() {
        let mut fold = WatchFold::default();
        for key in 0..=u64::try_from(MOST_SOCKETS).unwrap() {
            fold.begin();
            fold.take(key, "close", SocketSample::default(), named);
        }
        let (sockets, left_out) = fold.finish();
        assert_eq!((sockets.len(), left_out), (MOST_SOCKETS, 1));
        assert!(sockets.iter().all(|(_, s)| s.closed));
    }
}
