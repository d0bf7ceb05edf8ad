//! `udp-closed`: the far host's kernel answers a datagram to a UDP port where nobody listens with an ICMP error, port
//! unreachable; nothing needs to run there.
//!
//! It passes the IP and UDP layers of both ends, and no program. Nobody at the far end was asked, so probes are paced: one each
//! 10 ms unless `--rate` asks for more. The port is 33434 unless the target names one, the first of traceroute's.
//!
//! ## The far end's limit
//! Hosts limit such errors. Linux sends six at once to one destination and then one in `net.ipv4.icmp_ratelimit` (1,000 ms;
//! `net.ipv6.icmp.ratelimit` likewise), and `icmp_msgs_per_sec` to all (icmp(7); `inet_peer_xrlim_allow`, net/ipv4/inetpeer.c). What
//! it keeps back is no loss of the path. So the first session of a run begins with a burst at the asked pace, and the later ones keep
//! to what it found. Where answers stop coming, they are timed, and the pace becomes one that is answered: at the default limit one
//! probe a second. Errors of a second are few, so a short run then has no percentiles. The far end's administrator can exempt a host
//! (`net.ipv4.icmp_ratelimit=0` while it is measured). A probe without an answer at the slower pace may be lost, or kept back for
//! what another program of this host caused.
//!
//! Which probes are answered separates loss from a limit. A limit answers the first of a burst and then one at regular intervals;
//! loss leaves gaps of any length. What chance brings about less than once in five thousand times is a limit. A path that loses many
//! probes keeps its pace, and its losses are counted.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::{Engine, EngineError, Ns, Proto};

use crate::echoed::{ECHOED_SHORTEST, Echoed, POLITE_NS};
use crate::{Decoded, FoundPace, Peer, PeerEntry, PeerOptions};

/// The list entry.
pub const ENTRY: PeerEntry = PeerEntry {
    name: "udp-closed",
    protos: PROTOS,
    default_port: 33_434,
    where_refused: "leave the port out (33434), or name one where nobody listens",
    make: |o| Box::new(UdpClosed::new(o)),
};

const PROTOS: &[Proto] = &[Proto::UdpClosed];
/// A payload of one packet on Ethernet, over IPv6 too.
const LONGEST: usize = 1_440;
/// The burst: at least twice as many probes as Linux answers at once (`XRLIM_BURST_FACTOR` in `inet_peer_xrlim_allow`), ...
const BURST_PROBES: usize = 12;
/// ... and for so long, ns: at a high pace that is beyond `icmp_msgs_burst` (50).
const BURST_NS: Ns = 100_000_000;
/// How long answers are timed after it, ns, before probes without an answer are looked into ...
const TIMED_NS: Ns = 250_000_000;
/// ... and until a cause is found, at most: three times Linux's limit.
const TIMED_MOST_NS: Ns = 3_500_000_000;
/// What finding a limit may take, ns: the burst, the timing and the rest after it.
const OPENS_NS: Ns = 8_000_000_000;
/// Waits are no longer than this, ns, so that a stop is seen at once.
const SHORT_NS: Ns = 20_000_000;
/// What is less likely by chance is a limit.
const BY_CHANCE: f64 = 2e-4;
/// Fewer gaps between answers than this say nothing of their evenness.
const FEW_GAPS: usize = 5;
/// The part of a limit's gaps that are no even ones, where the path loses some probes too.
const OUTSIDE: f64 = 0.05;
/// Linux counts its global limit anew each fiftieth of a second (`icmp_global_allow`, net/ipv4/icmp.c).
const REFILL_NS: Ns = 60_000_000;

/// Probes to a closed port.
#[derive(Debug)]
pub struct UdpClosed {
    echoed: Echoed,
    asked_ns: Ns,
    len: usize,
    found: Option<FoundPace>,
}

impl UdpClosed {
    /// With a new cookie.
    pub fn new(options: &PeerOptions) -> Self {
        Self {
            echoed: Echoed::new(),
            asked_ns: options.interval_ns,
            len: options.message_len.clamp(ECHOED_SHORTEST, LONGEST),
            // That there is none was found for the pace it was tried with.
            found: options.found.filter(|f| f.limit_ns.is_some() || tried(options.interval_ns) >= f.tried_ns),
        }
    }

    fn limit_ns(&self) -> Option<Ns> {
        self.found.and_then(|f| f.limit_ns)
    }

    /// Sends probes each `gap` ns until it is known what becomes of them, the time is up, or somebody stops it.
    fn tried(&self, engine: &mut dyn Engine, gap: Ns, until: Ns, stop: &AtomicBool) -> Result<Tally, EngineError> {
        let mut message = vec![0; self.len];
        let mut buffer = vec![0; engine.caps().max_message.max(self.len) + 1];
        let (mut tally, mut looked) = (Tally::default(), 0);
        loop {
            // Numbers from the far end of the range: no probe of the run has them.
            self.echoed.encode(u64::MAX - tally.probes.len() as u64, &mut message);
            let sent = engine.send(&message)?;
            tally.probes.push(Tried { sent, answered: None });
            let first = tally.probes[0].sent;
            let next = first.saturating_add(gap.saturating_mul(tally.probes.len() as u64)).max(sent);
            while let Some(got) = engine.recv(&mut buffer, next)? {
                let seq = match self.echoed.decode(buffer.get(..got.len).unwrap_or_default(), "") {
                    Decoded::Reply { seq, .. } => usize::try_from(u64::MAX - seq).ok(),
                    Decoded::Foreign(_) => None,
                };
                if let Some(probe) = seq.and_then(|n| tally.probes.get_mut(n)) {
                    probe.answered.get_or_insert(got.at);
                }
            }
            tally.now = next;
            if tally.front == 0 && tally.probes.len() >= BURST_PROBES && next - first >= BURST_NS {
                tally.front = tally.probes.len();
            }
            if next >= until || stop.load(Ordering::Relaxed) {
                return Ok(tally);
            }
            // Not after each probe of a high pace: it looks at all of them.
            if next.saturating_sub(looked) >= POLITE_NS {
                looked = next;
                if tally.ends() {
                    return Ok(tally);
                }
            }
        }
    }

    /// Until the greeting and the first probe have an answer to get: two periods, or to `until`.
    fn rest(&self, engine: &mut dyn Engine, period: Ns, until: Ns, stop: &AtomicBool) -> Result<(), EngineError> {
        let mut message = vec![0; self.len];
        let mut buffer = vec![0; engine.caps().max_message.max(self.len) + 1];
        self.echoed.encode(u64::MAX, &mut message);
        let mut now = engine.send(&message)?;
        let rests = now.saturating_add(period.saturating_mul(2).max(REFILL_NS)).min(until);
        while now < rests && !stop.load(Ordering::Relaxed) {
            now = rests.min(now.saturating_add(SHORT_NS));
            while engine.recv(&mut buffer, now)?.is_some() {}
        }
        Ok(())
    }
}

/// The time between the probes of the burst, ns. A slow pace is tried by a fast burst: twelve probes at one a second would be the
/// whole run.
fn tried(asked_ns: Ns) -> Ns {
    if asked_ns == 0 { POLITE_NS } else { asked_ns.min(POLITE_NS) }
}

/// A probe of the burst or of the timing after it.
#[derive(Debug, Clone, Copy)]
struct Tried {
    sent: Ns,
    answered: Option<Ns>,
}

/// What became of the probes.
#[derive(Debug, Default)]
struct Tally {
    probes: Vec<Tried>,
    /// Probes of the burst, once it is over.
    front: usize,
    now: Ns,
}

/// What keeps answers back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Nothing, or here and there a loss.
    Little,
    /// A limit of the far end.
    Limit,
    /// The path loses them.
    Loss,
    /// Not known yet.
    Unknown,
}

impl Tally {
    /// Whether each probe that has had its time was answered. One that left less than two of the longest round trips ago may
    /// still be.
    fn judged(&self) -> Vec<bool> {
        let rtt = |p: &Tried| p.answered.map(|at| at.saturating_sub(p.sent));
        let longest = self.probes.iter().filter_map(rtt).max().unwrap_or(0);
        let open = |p: &&Tried| p.answered.is_none() && p.sent.saturating_add(longest.saturating_mul(2)) > self.now;
        let young = self.probes.iter().rev().take_while(open).count();
        let judged = self.probes.get(..self.probes.len() - young).unwrap_or_default();
        judged.iter().map(|p| p.answered.is_some()).collect()
    }

    /// What keeps answers back, as far as is known.
    fn cause(&self) -> Cause {
        let judged = self.judged();
        let (first, rest) = judged.split_at(judged.len().min(BURST_PROBES));
        if self.front == 0 || judged.len() < BURST_PROBES {
            return Cause::Unknown;
        }
        if judged.iter().all(|answered| *answered) {
            return Cause::Little;
        }
        let tail = judged.get(self.front..).unwrap_or_default();
        if !self.lasted(TIMED_NS) || tail.is_empty() {
            return Cause::Unknown;
        }
        if answered(tail) * 4 >= tail.len() * 3 {
            return Cause::Little;
        }
        // With two answers at least, which loss in bursts does not keep apart.
        let apart = self.period().is_some() && tail.windows(2).filter(|w| w[0] && w[1]).count() * 8 <= answered(tail);
        // One more than were seen: a share of none would say that none can be.
        let later = (answered(rest) + 1) as f64 / (rest.len() + 1) as f64;
        if apart && later < 0.25 && at_least(answered(first), first.len(), later) < BY_CHANCE {
            return Cause::Limit;
        }
        evenness(tail)
    }

    fn lasted(&self, ns: Ns) -> bool {
        let after = self.probes.get(self.front).map(|p| p.sent);
        self.front > 0 && after.is_some_and(|begin| self.now.saturating_sub(begin) >= ns)
    }

    /// Whether enough is known.
    fn ends(&self) -> bool {
        // A target that has answered nothing is named by the engine, in its own time.
        let silent = self.probes.iter().all(|p| p.answered.is_none());
        let over = self.lasted(TIMED_MOST_NS) && !silent;
        over || !matches!(self.cause(), Cause::Unknown)
    }

    /// Whether the far end keeps answers back. Where answers are few and too little is known, the slower pace: it spares the far
    /// end, and at the faster one nearly all would be lost.
    fn is_limited(&self) -> bool {
        match self.cause() {
            Cause::Limit => true,
            Cause::Little | Cause::Loss => false,
            Cause::Unknown => {
                let judged = self.judged();
                let tail = judged.get(self.front..).unwrap_or_default();
                self.front > 0 && answered(&judged) > 0 && answered(tail) * 8 < tail.len()
            }
        }
    }

    /// The time between two answers after the burst on the mean, and an eighth more, in whole milliseconds where it is long; `None`
    /// of fewer than two.
    fn period(&self) -> Option<Ns> {
        let came: Vec<Ns> = self.probes.get(self.front..)?.iter().filter_map(|p| p.answered).collect();
        let (first, last) = (came.first()?, came.last()?);
        let gaps = came.len().checked_sub(1).filter(|n| *n > 0)? as u64;
        let mean = last.saturating_sub(*first) / gaps;
        let slower = mean + mean / 8;
        Some(if slower < POLITE_NS { slower } else { slower.next_multiple_of(1_000_000) })
    }
}

fn answered(probes: &[bool]) -> usize {
    probes.iter().filter(|answered| **answered).count()
}

/// Whether answers come at more even intervals than chance has them. The probes from one answer to the next are counted: those of a
/// limit differ by one or, where they are many, by little; those of losses have a geometric distribution.
fn evenness(probes: &[bool]) -> Cause {
    let at: Vec<usize> = probes.iter().enumerate().filter(|(_, a)| **a).map(|(n, _)| n).collect();
    let mut gaps: Vec<usize> = at.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_unstable();
    let Some(median) = gaps.get(gaps.len() / 2).copied().filter(|_| gaps.len() >= FEW_GAPS) else {
        return Cause::Unknown;
    };
    let about = median / 8;
    let within = |(low, high): (usize, usize)| gaps.iter().filter(|g| (low..=high).contains(*g)).count();
    let below = ((median - about).max(2) - 1, median + about);
    let above = (median - about, median + about + 1);
    let (low, high) = if within(below) > within(above) { below } else { above };
    let lost = 1.0 - at.len() as f64 / probes.len() as f64;
    let to = |n: usize| lost.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let share = to(low - 1) - to(high);
    // Two windows were tried.
    let by_chance = 2.0 * at_least(within((low, high)), gaps.len(), share);
    let mean = gaps.iter().sum::<usize>() as f64 / gaps.len() as f64;
    let variance = gaps.iter().map(|g| (*g as f64 - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    // Losses in bursts leave many short gaps too, and some very long ones.
    if by_chance < BY_CHANCE && variance < 0.75 * mean * (mean - 1.0) {
        return Cause::Limit;
    }
    // Too many for a limit on a path that loses some.
    let outside = gaps.len() - within((low, high));
    if at_least(outside, gaps.len(), OUTSIDE) < BY_CHANCE { Cause::Loss } else { Cause::Unknown }
}

/// The chance that of `n` independent events of chance `p` at least `k` happen.
fn at_least(k: usize, n: usize, p: f64) -> f64 {
    if k == 0 || p >= 1.0 {
        return 1.0;
    }
    if p <= 0.0 {
        return 0.0;
    }
    // The logarithm of the chance of exactly `i`, from that of `i - 1`.
    let mut log = n as f64 * (1.0 - p).ln();
    let (mut sum, odds) = (0.0, (p / (1.0 - p)).ln());
    for i in 1..=n {
        log += ((n - i + 1) as f64 / i as f64).ln() + odds;
        if i >= k {
            sum += log.exp();
        }
    }
    sum.min(1.0)
}

impl Peer for UdpClosed {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn protos(&self) -> &'static [Proto] {
        PROTOS
    }

    fn default_port(&self) -> u16 {
        ENTRY.default_port
    }

    fn message_sizes(&self) -> (usize, usize) {
        (ECHOED_SHORTEST, LONGEST)
    }

    /// Finds out whether the far end limits its errors. It takes 0.12 s where it does not and nothing is lost, some 5 s at Linux's
    /// limit, and up to 3.6 s where the path loses many.
    fn open(&mut self, engine: &mut dyn Engine, until: Ns, stop: &AtomicBool) -> Result<(), EngineError> {
        if let Some(FoundPace { limit_ns, .. }) = self.found {
            // The session before may have used up what there was.
            return limit_ns.map_or(Ok(()), |period| self.rest(engine, period, until, stop));
        }
        let tried_ns = tried(self.asked_ns);
        let tally = self.tried(engine, tried_ns, until, stop)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let limit_ns = tally.is_limited().then(|| tally.period().unwrap_or(TIMED_MOST_NS).max(tried_ns));
        self.found = Some(FoundPace { tried_ns, limit_ns });
        limit_ns.map_or(Ok(()), |period| self.rest(engine, period, until, stop))
    }

    fn opens_within(&self) -> Ns {
        OPENS_NS
    }

    fn found(&self) -> Option<FoundPace> {
        self.found
    }

    fn encode(&mut self, seq: u64, _: Ns, message: &mut [u8]) {
        self.echoed.encode(seq, message);
    }

    fn decode(&mut self, message: &[u8]) -> Decoded {
        self.echoed.decode(message, "an answer to another run")
    }

    fn framing(&self) -> fn(&[u8]) -> Option<usize> {
        |bytes| Some(bytes.len())
    }

    fn min_interval(&self) -> Option<Ns> {
        self.limit_ns().or_else(|| (self.asked_ns == 0).then_some(POLITE_NS))
    }

    fn limits_answers(&self) -> bool {
        self.limit_ns().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_transport::{Caps, Got};

    /// A far end with a bucket of tokens, on a clock of its own, behind a path that loses probes.
    struct Limited {
        caps: Caps,
        now: Ns,
        tokens: Ns,
        period: Ns,
        burst: u64,
        rtt: Ns,
        loses: Loses,
        sent: u64,
        ready: std::collections::VecDeque<(Vec<u8>, Ns)>,
        /// Sets the flag with this probe.
        stops: Option<(u64, &'static AtomicBool)>,
    }

    enum Loses {
        /// Each probe of this number.
        Each(u64),
        /// This part of them in a thousand, by chance, each on its own; with the generator's state.
        Chance(u64, u64),
        /// As many after one another, in a thousandth part of cases; and how many are still to come.
        Bursts(u64, u64, u64, u64),
    }

    fn below_1000(state: &mut u64) -> u64 {
        // xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % 1_000
    }

    impl Limited {
        fn new(period: Ns, burst: u64, loses: Loses) -> Self {
            let caps = Caps { max_message: 1_472, spins: false, words: String::new(), costs: String::new() };
            Self {
                caps,
                now: 1,
                tokens: period * burst,
                period,
                burst,
                rtt: 20_000,
                loses,
                sent: 0,
                ready: std::collections::VecDeque::new(),
                stops: None,
            }
        }

        fn to(&mut self, at: Ns) {
            self.tokens = (self.tokens + at.saturating_sub(self.now)).min(self.period * self.burst);
            self.now = self.now.max(at);
        }
    }

    impl Engine for Limited {
        fn caps(&self) -> &Caps {
            &self.caps
        }

        fn send(&mut self, message: &[u8]) -> Result<Ns, EngineError> {
            self.sent += 1;
            if let Some((_, flag)) = self.stops.filter(|(n, _)| *n == self.sent) {
                flag.store(true, Ordering::Relaxed);
            }
            let lost = match &mut self.loses {
                Loses::Each(n) => *n > 0 && self.sent.is_multiple_of(*n),
                Loses::Chance(part, state) => below_1000(state) < *part,
                Loses::Bursts(length, part, state, left) => {
                    if *left == 0 && below_1000(state) < *part {
                        *left = *length;
                    }
                    let lost = *left > 0;
                    *left = left.saturating_sub(1);
                    lost
                }
            };
            if !lost && self.tokens >= self.period {
                self.tokens -= self.period;
                self.ready.push_back((message.to_vec(), self.now + self.rtt));
            }
            Ok(self.now)
        }

        fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
            if self.ready.front().is_none_or(|(_, at)| *at > until) {
                self.to(until);
                return Ok(None);
            }
            let (message, at) = self.ready.pop_front().unwrap();
            self.to(at);
            buf[..message.len()].copy_from_slice(&message);
            Ok(Some(Got { len: message.len(), at, kernel_rx: None, hardware_rx: None }))
        }
    }

    static STAYS: AtomicBool = AtomicBool::new(false);

    fn opened(engine: &mut Limited, interval_ns: Ns) -> UdpClosed {
        let mut peer = UdpClosed::new(&PeerOptions { message_len: 64, interval_ns, ..PeerOptions::default() });
        peer.open(engine, Ns::MAX, &STAYS).unwrap();
        peer
    }

    const MS: Ns = 1_000_000;

    #[test]
    fn a_limit_sets_the_pace_and_every_probe_at_it_is_answered() {
        // Linux's by destination, an IPv6 route's share of it, and the one for all.
        for (period, burst, asked) in
            [(1_000 * MS, 6, 0), (250 * MS, 6, 0), (1_000 * MS, 6, 100 * MS), (MS, 50, MS / 5)]
        {
            let mut engine = Limited::new(period, burst, Loses::Each(0));
            let mut peer = opened(&mut engine, asked);
            let pace = peer.min_interval().unwrap();
            assert!(peer.limits_answers() && (period..=period * 5 / 4).contains(&pace), "{period}: {pace}");
            let mut message = [0; 64];
            for seq in 0..20 {
                peer.encode(seq, 0, &mut message);
                let sent = engine.send(&message).unwrap();
                assert!(engine.recv(&mut [0; 64], sent + pace).unwrap().is_some(), "{period}: probe {seq}");
                engine.to(sent + pace);
            }
        }
    }

    #[test]
    fn without_a_limit_the_pace_stays_and_losses_are_none() {
        for loses in [0, 5, 10] {
            let mut engine = Limited::new(0, 1, Loses::Each(loses));
            let peer = opened(&mut engine, 0);
            assert_eq!((peer.min_interval(), peer.limits_answers()), (Some(POLITE_NS), false), "{loses}");
            assert_eq!(opened(&mut Limited::new(0, 1, Loses::Each(loses)), MS).min_interval(), None, "{loses}");
        }
    }

    #[test]
    fn losses_are_no_limit_however_many_and_however_they_come() {
        for part in [200, 300, 400, 600, 800] {
            for seed in 1..=100 {
                let mut engine = Limited::new(0, 1, Loses::Chance(part, seed * 7_919));
                let peer = opened(&mut engine, 0);
                assert_eq!((peer.min_interval(), peer.limits_answers()), (Some(POLITE_NS), false), "{part} {seed}");
                assert!(engine.now < 3_700 * MS, "{part} {seed}: {}", engine.now);
            }
        }
        // Ten, or three, in a row: some 40 % of all.
        for (length, part) in [(10, 63), (3, 182)] {
            for seed in 1..=100 {
                let mut engine = Limited::new(0, 1, Loses::Bursts(length, part, seed * 7_919, 0));
                assert!(!opened(&mut engine, 0).limits_answers(), "{length} {seed}");
            }
        }
    }

    #[test]
    fn a_limit_behind_losses_is_found() {
        for (period, burst) in [(1_000 * MS, 6), (250 * MS, 6), (100 * MS, 6), (50 * MS, 1), (25 * MS, 1), (18 * MS, 1)]
        {
            for (part, seed) in (0..=5u64).flat_map(|part| (1..=20).map(move |seed| (part * 10, seed))) {
                let mut engine = Limited::new(period, burst, Loses::Chance(part, seed * 7_919));
                let peer = opened(&mut engine, 0);
                let pace = peer.min_interval().unwrap();
                assert!(peer.limits_answers() && pace >= period, "{period} {part} {seed}: {pace}");
            }
        }
        // One in half a second, and none more at first: as routers have it.
        let mut engine = Limited::new(500 * MS, 1, Loses::Each(0));
        assert_eq!(opened(&mut engine, 0).min_interval(), Some(563 * MS));
        // Longer than it is looked for.
        let peer = opened(&mut Limited::new(5_000 * MS, 6, Loses::Each(0)), 0);
        assert_eq!(peer.min_interval(), Some(TIMED_MOST_NS));
    }

    #[test]
    fn a_long_round_trip_is_neither() {
        for rtt in [15 * MS, 150 * MS, 400 * MS] {
            let mut engine = Limited { rtt, ..Limited::new(0, 1, Loses::Each(0)) };
            assert!(!opened(&mut engine, 0).limits_answers(), "{rtt}");
            assert!(engine.now < 1_500 * MS, "{rtt}: {}", engine.now);
            let mut engine = Limited { rtt, ..Limited::new(1_000 * MS, 6, Loses::Each(0)) };
            assert!(opened(&mut engine, 0).limits_answers(), "{rtt}");
        }
    }

    #[test]
    fn a_stop_ends_it_at_once_and_the_deadline_holds() {
        // In the burst, while answers are timed, and in the rest after it.
        let mut engine = Limited::new(1_000 * MS, 6, Loses::Each(0));
        opened(&mut engine, 0);
        for n in [3, 60, engine.sent] {
            let flag: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
            let mut engine = Limited { stops: Some((n, flag)), ..Limited::new(1_000 * MS, 6, Loses::Each(0)) };
            let mut peer = UdpClosed::new(&PeerOptions { message_len: 64, ..PeerOptions::default() });
            peer.open(&mut engine, Ns::MAX, flag).unwrap();
            assert!(flag.load(Ordering::Relaxed), "probe {n} never left");
            assert_eq!(engine.sent, n);
            assert!(engine.now <= n * POLITE_NS + SHORT_NS, "{n}: {}", engine.now);
        }
        for until in [50 * MS, 1_500 * MS, 2_500 * MS] {
            let mut engine = Limited::new(1_000 * MS, 6, Loses::Each(0));
            let mut peer = UdpClosed::new(&PeerOptions { message_len: 64, ..PeerOptions::default() });
            peer.open(&mut engine, until, &STAYS).unwrap();
            assert!(engine.now <= until + POLITE_NS, "{until}: {}", engine.now);
        }
        let mut engine = Limited::new(1_000 * MS, 6, Loses::Each(0));
        let peer = opened(&mut engine, 0);
        assert!(engine.now < peer.opens_within(), "{}", engine.now);
    }

    #[test]
    fn what_was_found_is_not_looked_for_again() {
        for (period, limit) in [(0, None), (50 * MS, Some(57 * MS))] {
            let mut engine = Limited::new(period, 6, Loses::Each(0));
            let found = opened(&mut engine, 0).found();
            assert_eq!(found.map(|f| (f.tried_ns, f.limit_ns)), Some((POLITE_NS, limit)));
            let (sent, began) = (engine.sent, engine.now);
            let mut next = UdpClosed::new(&PeerOptions { message_len: 64, found, ..PeerOptions::default() });
            next.open(&mut engine, Ns::MAX, &STAYS).unwrap();
            assert!(engine.sent <= sent + 1 && engine.now - began <= 2 * 57 * MS, "{}", engine.sent - sent);
            assert_eq!((next.found(), next.limits_answers()), (found, limit.is_some()));
            // What answers each of a slow pace may limit a fast one.
            let fast = PeerOptions { message_len: 64, interval_ns: MS, found, ..PeerOptions::default() };
            assert_eq!(UdpClosed::new(&fast).found().is_some(), limit.is_some());
        }
    }
}
