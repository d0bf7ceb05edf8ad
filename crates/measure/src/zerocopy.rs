//! What a zero-copy send takes against a plain one, size by size: rounds of each way, alternated on connections of their
//! own to one sink.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::random::Random;
use lowlat_os::clock;
use lowlat_transport::zerocopy::{BulkSender, Completions, unacknowledged};

use crate::MeasureError;

/// Rounds of each way at each size: an interval of 95 % then leaves two pairs outside at each end.
pub const PAIRS: usize = 12;
/// A round is at least so long, ns: many times the clock's own cost at every size.
pub const LEAST_ROUND_NS: u64 = 2_000_000;
/// Fewest sends in a round.
const LEAST_SENDS: u64 = 8;
/// Largest size, bytes: the kernel pins at most this much for one send without splitting it further than a socket buffer does.
pub const MOST_BYTES: u64 = 16 << 20;
/// The sizes where none are named.
pub const SIZES: &[u64] = &[1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18];
/// What a round left in the socket may take so long to drain, ns.
const DRAIN_NS: u64 = 200_000_000;

/// One round of one way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BulkRound {
    /// CPU time of this thread for each send, ns.
    pub cpu_ns: f64,
    /// Time for each send, ns.
    pub send_ns: f64,
}

/// All rounds of one size: for each sender, in its order, its rounds, and the sends that completed in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BulkRounds {
    /// Bytes of one send.
    pub size: u64,
    /// Rounds of each sender; the n-th of all belong together.
    pub rounds: Vec<Vec<BulkRound>>,
    /// Of each sender.
    pub completions: Vec<Completions>,
}

/// Sizes as text: bytes after commas.
pub fn sizes(text: &str) -> Result<Vec<u64>, String> {
    let mut all = Vec::new();
    for word in text.split(',') {
        let size = word.trim().parse::<u64>().ok().filter(|size| (1..=MOST_BYTES).contains(size));
        all.push(size.ok_or_else(|| {
            format!("{word:?} is not a size; give bytes from 1 to {MOST_BYTES}, separated by commas, e.g. 4096,65536")
        })?);
    }
    all.sort_unstable();
    if all.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("{text:?} names a size twice; give each once"));
    }
    Ok(all)
}

/// Measures one size. The order of the senders is drawn anew for each round, so that nothing periodic keeps step with one.
/// Ends early, with the whole rounds up to then, when `stop` is set.
pub fn alternated(
    senders: &mut [Box<dyn BulkSender>],
    size: u64,
    round_ns: u64,
    random: &mut Random,
    stop: &AtomicBool,
) -> Result<BulkRounds, MeasureError> {
    let before: Vec<Completions> = senders.iter().map(|s| s.completions()).collect();
    let mut all = BulkRounds { size, rounds: vec![Vec::new(); senders.len()], completions: Vec::new() };
    // One round of each that is left out: pages are touched, the windows opened.
    for pair in 0..=PAIRS {
        let mut order: Vec<usize> = (0..senders.len()).collect();
        for n in (1..order.len()).rev() {
            order.swap(n, random.below(n + 1));
        }
        let mut of_pair = vec![BulkRound::default(); senders.len()];
        for at in order {
            let sender = senders[at].as_mut();
            let round = round(sender, size, round_ns, stop).map_err(|source| MeasureError::Io {
                what: format!("send {size} bytes by {}", sender.how()),
                source,
            })?;
            let Some(round) = round else { return Ok(completed(all, senders, &before)) };
            of_pair[at] = round;
        }
        if pair > 0 {
            all.rounds.iter_mut().zip(of_pair).for_each(|(rounds, round)| rounds.push(round));
        }
    }
    Ok(completed(all, senders, &before))
}

fn completed(rounds: BulkRounds, senders: &[Box<dyn BulkSender>], before: &[Completions]) -> BulkRounds {
    let since = |(now, before): (Completions, &Completions)| {
        let copied = now.copied.map(|c| c - before.copied.unwrap_or(0));
        Completions { completed: now.completed - before.completed, copied }
    };
    BulkRounds { completions: senders.iter().map(|s| s.completions()).zip(before).map(since).collect(), ..rounds }
}

/// `None` when `stop` was set meanwhile.
fn round(
    sender: &mut dyn BulkSender,
    size: u64,
    round_ns: u64,
    stop: &AtomicBool,
) -> std::io::Result<Option<BulkRound>> {
    let len = usize::try_from(size).unwrap_or(usize::MAX);
    let (cpu, begin) = (clock::thread_cpu(), clock::monotonic());
    let mut sends = 0u64;
    while sends < LEAST_SENDS || clock::monotonic() - begin < round_ns {
        while !sender.send(len)? {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        sends += 1;
    }
    // Its notifications are part of its price.
    while !sender.finish()? {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    let (cpu, time) = (clock::thread_cpu() - cpu, clock::monotonic() - begin);
    // What is still on its way would load the next round, which is another sender's.
    let end = clock::monotonic() + DRAIN_NS;
    while unacknowledged(sender.stream()) > 0 && clock::monotonic() < end {
        std::thread::yield_now();
    }
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    Ok(Some(BulkRound { cpu_ns: cpu as f64 / sends as f64, send_ns: time as f64 / sends as f64 }))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn sizes_are_read_sorted_and_bad_ones_are_one_line() {
        assert_eq!(sizes("4096, 1,65536").unwrap(), [1, 4096, 65536]);
        for bad in ["", "0", "-1", "x", "1,,2", "4k", "16777217", "1e3", "1,1"] {
            let why = sizes(bad).unwrap_err();
            assert!(why.contains("give") && !why.contains('\n'), "{bad}: {why}");
        }
    }

    /// A sender that sends nothing, and takes time for it.
    struct Fake {
        stream: TcpStream,
        sent: u64,
        stops: Option<&'static AtomicBool>,
    }

    impl BulkSender for Fake {
        fn how(&self) -> &'static str {
            "fake"
        }
        fn send(&mut self, _: usize) -> std::io::Result<bool> {
            self.sent += 1;
            if let Some(stop) = self.stops.filter(|_| self.sent > 60) {
                stop.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Ok(true)
        }
        fn finish(&mut self) -> std::io::Result<bool> {
            Ok(true)
        }
        fn completions(&self) -> Completions {
            Completions { completed: self.sent, copied: Some(self.sent / 2) }
        }
        fn stream(&self) -> &TcpStream {
            &self.stream
        }
    }

    fn fake(stops: Option<&'static AtomicBool>) -> Box<dyn BulkSender> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Box::new(Fake { stream, sent: 7, stops })
    }

    #[test]
    fn each_sender_has_as_many_rounds_and_its_own_completions() {
        let (stop, mut random) = (AtomicBool::new(false), Random::new(1));
        let mut senders = vec![fake(None), fake(None)];
        let all = alternated(&mut senders, 64, 0, &mut random, &stop).unwrap();
        assert_eq!((all.size, all.rounds[0].len(), all.rounds[1].len()), (64, PAIRS, PAIRS));
        // Eight sends in each round, of which one more than the pairs was run.
        let sends = LEAST_SENDS * (PAIRS as u64 + 1);
        assert!(all.completions.iter().all(|c| c.completed == sends), "{:?}", all.completions);
        assert!(all.rounds.iter().flatten().all(|r| r.send_ns >= 0.0));
    }

    #[test]
    fn a_signal_ends_it_with_whole_pairs() {
        static STOP: AtomicBool = AtomicBool::new(false);
        let mut senders = vec![fake(None), fake(Some(&STOP))];
        let all = alternated(&mut senders, 64, 0, &mut Random::new(1), &STOP).unwrap();
        assert_eq!(all.rounds[0].len(), all.rounds[1].len());
        assert!(all.rounds[0].len() < PAIRS);
    }
}
