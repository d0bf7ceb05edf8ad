//! `udp-closed`: the far host's kernel answers a datagram to a UDP port where nobody listens with an ICMP error, port
//! unreachable; nothing needs to run there.
//!
//! It passes the IP and UDP layers of both ends, and no program. Nobody at the far end was asked, so probes are paced: one each
//! 10 ms unless `--rate` asks for more. The port is 33434 unless the target names one, the first of traceroute's.
//!
//! ## The far end's limit
//! Hosts limit such errors. Linux sends six at once to one destination and then one in `net.ipv4.icmp_ratelimit` (1,000 ms;
//! `net.ipv6.icmp.ratelimit` likewise), and `icmp_msgs_per_sec` to all (icmp(7); `inet_peer_xrlim_allow`, net/ipv4/inetpeer.c). What
//! it keeps back is no loss of the path. So a session begins with a burst at the asked pace. Where answers stop coming, they are
//! timed, and the pace becomes one that is answered: at the default limit one probe a second. Errors of a second are few, so a short run
//! then has no percentiles. The far end's administrator can exempt a host (`net.ipv4.icmp_ratelimit=0` while it is measured).
//! A probe without an answer at the slower pace may be lost, or kept back for what another program of this host caused.

use lowlat_transport::{Engine, EngineError, Ns, Proto};

use crate::echoed::{ECHOED_SHORTEST, Echoed, POLITE_NS};
use crate::{Decoded, Peer, PeerEntry, PeerOptions};

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
const BURST_PROBES: u64 = 12;
/// ... and for so long, ns: at a high pace that is beyond `icmp_msgs_burst` (50).
const BURST_NS: Ns = 100_000_000;
/// How long answers are timed, ns; until there are two, but no longer than [`TIMED_MOST_NS`].
const TIMED_NS: Ns = 250_000_000;
/// See [`TIMED_NS`]: three times Linux's limit.
const TIMED_MOST_NS: Ns = 3_500_000_000;
/// Linux counts its global limit anew each fiftieth of a second (`icmp_global_allow`, net/ipv4/icmp.c).
const REFILL_NS: Ns = 60_000_000;

/// Probes to a closed port.
#[derive(Debug)]
pub struct UdpClosed {
    echoed: Echoed,
    asked_ns: Ns,
    len: usize,
    limit_ns: Option<Ns>,
}

impl UdpClosed {
    /// With a new cookie.
    pub fn new(options: &PeerOptions) -> Self {
        Self {
            echoed: Echoed::new(),
            asked_ns: options.interval_ns,
            len: options.message_len.clamp(ECHOED_SHORTEST, LONGEST),
            limit_ns: None,
        }
    }

    /// Sends probes each `gap` ns until `ends` says so, of what came so far and of the time since the first.
    fn paced(&self, engine: &mut dyn Engine, gap: Ns, ends: &dyn Fn(&Tally, Ns) -> bool) -> Result<Tally, EngineError> {
        let mut message = vec![0; self.len];
        let mut buffer = vec![0; engine.caps().max_message.max(self.len) + 1];
        let (mut tally, mut start) = (Tally::default(), None);
        loop {
            // Numbers from the far end of the range: no probe of the run has them.
            self.echoed.encode(u64::MAX - tally.sent, &mut message);
            let sent = engine.send(&message)?;
            let first = *start.get_or_insert(sent);
            tally.sent += 1;
            let until = first.saturating_add(gap.saturating_mul(tally.sent)).max(sent);
            while let Some(got) = engine.recv(&mut buffer, until)? {
                tally.answers.push(got.at);
            }
            if ends(&tally, until - first) {
                return Ok(tally);
            }
        }
    }
}

/// Probes sent, and when answers came.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    answers: Vec<Ns>,
}

impl Tally {
    /// Whether at least three in four were answered.
    fn most(&self) -> bool {
        self.answers.len() as u64 * 4 >= self.sent * 3
    }

    /// The time between two answers on the mean, and an eighth more, in whole milliseconds where it is long; `None` of fewer than two.
    fn period(&self) -> Option<Ns> {
        let (first, last) = (self.answers.first()?, self.answers.last()?);
        let gaps = self.answers.len().checked_sub(1).filter(|n| *n > 0)? as u64;
        let mean = last.saturating_sub(*first) / gaps;
        let slower = mean + mean / 8;
        Some(if slower < POLITE_NS { slower } else { slower.next_multiple_of(1_000_000) })
    }
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

    /// Finds out whether the far end limits its errors. It takes 0.12 s where it does not, and some 5 s at Linux's limit,
    /// longer than a handshake may: the deadline is for protocols whose far end answers at once.
    fn open(&mut self, engine: &mut dyn Engine, _: Ns) -> Result<(), EngineError> {
        // A slow pace is tried by a fast burst: twelve probes at one a second would be the whole run.
        let gap = if self.asked_ns == 0 { POLITE_NS } else { self.asked_ns.min(POLITE_NS) };
        let spent = |tally: &Tally, ns: Ns| tally.sent >= BURST_PROBES && ns >= BURST_NS;
        let burst = self.paced(engine, gap, &spent)?;
        if burst.answers.len() as u64 == burst.sent {
            return Ok(());
        }
        let timed = |tally: &Tally, ns: Ns| {
            ns >= TIMED_MOST_NS || (ns >= TIMED_NS && (tally.answers.len() >= 2 || tally.most()))
        };
        let tail = self.paced(engine, gap, &timed)?;
        // Losses here and there: of the path, and the run counts them.
        if tail.most() {
            return Ok(());
        }
        let period = tail.period().unwrap_or(TIMED_MOST_NS).max(gap);
        self.limit_ns = Some(period);
        // Until the greeting and the first probe have an answer to get.
        let mut message = vec![0; self.len];
        let mut buffer = vec![0; engine.caps().max_message.max(self.len) + 1];
        self.echoed.encode(u64::MAX, &mut message);
        let rests = engine.send(&message)?.saturating_add(period.saturating_mul(2).max(REFILL_NS));
        while engine.recv(&mut buffer, rests)?.is_some() {}
        Ok(())
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
        self.limit_ns.or_else(|| (self.asked_ns == 0).then_some(POLITE_NS))
    }

    fn limits_answers(&self) -> bool {
        self.limit_ns.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_transport::{Caps, Got};

    /// A far end with a bucket of tokens, on a clock of its own; each `loses`-th probe is lost.
    struct Limited {
        caps: Caps,
        now: Ns,
        tokens: Ns,
        period: Ns,
        burst: u64,
        loses: u64,
        sent: u64,
        ready: Vec<(Vec<u8>, Ns)>,
    }

    impl Limited {
        fn new(period: Ns, burst: u64, loses: u64) -> Self {
            let caps = Caps { max_message: 1_472, spins: false, words: String::new(), costs: String::new() };
            Self { caps, now: 1, tokens: period * burst, period, burst, loses, sent: 0, ready: Vec::new() }
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
            let lost = self.loses > 0 && self.sent.is_multiple_of(self.loses);
            if !lost && self.tokens >= self.period {
                self.tokens -= self.period;
                self.ready.push((message.to_vec(), self.now + 20_000));
            }
            Ok(self.now)
        }

        fn recv(&mut self, buf: &mut [u8], until: Ns) -> Result<Option<Got>, EngineError> {
            let Some((message, at)) = self.ready.pop() else {
                self.to(until);
                return Ok(None);
            };
            self.to(at);
            buf[..message.len()].copy_from_slice(&message);
            Ok(Some(Got { len: message.len(), at, kernel_rx: None, hardware_rx: None }))
        }
    }

    fn opened(engine: &mut Limited, interval_ns: Ns) -> UdpClosed {
        let mut peer = UdpClosed::new(&PeerOptions { message_len: 64, interval_ns, ..PeerOptions::default() });
        peer.open(engine, 0).unwrap();
        peer
    }

    const MS: Ns = 1_000_000;

    #[test]
    fn a_limit_sets_the_pace_and_every_probe_at_it_is_answered() {
        // Linux's by destination, an IPv6 route's share of it, and the one for all.
        for (period, burst, asked) in
            [(1_000 * MS, 6, 0), (250 * MS, 6, 0), (1_000 * MS, 6, 100 * MS), (MS, 50, MS / 5)]
        {
            let mut engine = Limited::new(period, burst, 0);
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
            let mut engine = Limited::new(0, 1, loses);
            let peer = opened(&mut engine, 0);
            assert_eq!((peer.min_interval(), peer.limits_answers()), (Some(POLITE_NS), false), "{loses}");
            assert_eq!(opened(&mut Limited::new(0, 1, loses), MS).min_interval(), None, "{loses}");
        }
    }
}
