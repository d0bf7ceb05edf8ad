//! What is waited for: a round trip or a gap that is too long, a drop.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lowlat_model::units::parse_duration_ns;

/// A trigger. Any of its parts that is crossed counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trigger {
    /// A round trip of a TCP connection at least so long, ns.
    pub rtt_ns: Option<u64>,
    /// Two datagrams of one port at least so far apart, ns.
    pub gap_ns: Option<u64>,
    /// A packet that the kernel drops for a watched port.
    pub drop: bool,
}

impl FromStr for Trigger {
    type Err = String;

    /// `p=2ms` (a round trip or a gap), `rtt=2ms`, `gap=5ms`, `drop`; several with commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for part in text.split(',').map(str::trim) {
            let of = part.split_once('=').map(|(key, time)| (key.trim(), parse_duration_ns(time)));
            match of {
                Some(("p", ns)) => (all.rtt_ns, all.gap_ns) = (Some(ns.clone()?), Some(ns?)),
                Some(("rtt", ns)) => all.rtt_ns = Some(ns?),
                Some(("gap", ns)) => all.gap_ns = Some(ns?),
                None if part == "drop" => all.drop = true,
                _ => {
                    return Err(format!(
                        "{part:?} is no trigger; write p=2ms (a round trip or a gap), rtt=2ms, gap=2ms or drop"
                    ));
                }
            }
        }
        Ok(all)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Exactly, so that it is read again as the same.
        let exact = |ns: u64| if ns.is_multiple_of(1_000) { format!("{}us", ns / 1_000) } else { format!("{ns}ns") };
        let time = |name: &str, ns: Option<u64>| ns.map(|ns| format!("{name}={}", exact(ns)));
        let parts = [time("rtt", self.rtt_ns), time("gap", self.gap_ns), self.drop.then(|| "drop".to_owned())];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

/// What crossed a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrossingKind {
    /// A TCP round trip.
    RoundTrip,
    /// A gap between two datagrams.
    Gap,
    /// A drop.
    Drop,
}

impl CrossingKind {
    /// `round trip`, `gap`, `drop`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "round trip",
            Self::Gap => "gap",
            Self::Drop => "drop",
        }
    }
}

/// One crossing, ns on the trace's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// When it began.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// What.
    pub kind: CrossingKind,
    /// Local port.
    pub port: Option<u16>,
}

/// Crossings in the order of time, with those that overlap as one: one stall holds up several ports. The longest stands for
/// them.
pub fn stalls(mut crossings: Vec<Crossing>) -> Vec<Crossing> {
    crossings.sort_by_key(|c| (c.from, c.to));
    let mut all: Vec<Crossing> = Vec::new();
    for c in crossings {
        match all.last_mut() {
            Some(last) if c.from <= last.to => {
                let to = last.to.max(c.to);
                if c.to - c.from > last.to - last.from {
                    *last = Crossing { from: c.from, ..c };
                }
                last.to = to;
            }
            _ => all.push(c),
        }
    }
    all
}

/// Round trips from the smoothed ones.
///
/// The kernel shows no single round trip, only the smoothed one, before each packet that comes (`tcp_probe`). It is made as
/// RFC 6298 says (section 2.3, with alpha 1/8), so one that grew gives the one behind it: eight times the growth more than
/// before. Rounded to a microsecond by the kernel, that is right within 8 µs; two measured between two packets give their
/// sum's.
#[derive(Debug, Default)]
pub struct RttFold(BTreeMap<u64, u64>);

/// Connections that are followed at once.
const MOST: usize = 100_000;

impl RttFold {
    /// Takes the smoothed round trip of a connection, µs; gives the new round trip, ns, where it grew.
    pub fn take(&mut self, connection: u64, smoothed_us: u64) -> Option<u64> {
        if self.0.len() >= MOST && !self.0.contains_key(&connection) {
            return None;
        }
        let before = self.0.insert(connection, smoothed_us).filter(|b| *b > 0)?;
        let grown = smoothed_us.checked_sub(before).filter(|g| *g > 0)?;
        Some(before.saturating_add(grown.saturating_mul(8)).saturating_mul(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn triggers_are_read_printed_and_read_again() {
        let both: Trigger = "p=2ms".parse().unwrap();
        assert_eq!((both.rtt_ns, both.gap_ns, both.drop), (Some(2_000_000), Some(2_000_000), false));
        let all: Trigger = "gap=5ms, drop,rtt=300us".parse().unwrap();
        assert_eq!((all.rtt_ns, all.gap_ns, all.drop), (Some(300_000), Some(5_000_000), true));
        assert_eq!(all.to_string().parse(), Ok(all));
        for exact in ["gap=1ns", "rtt=1234567ns", "rtt=2000us,gap=2000us"] {
            assert_eq!(exact.parse::<Trigger>().unwrap().to_string(), exact);
        }
        for bad in ["", "p", "p=", "p=2", "latency=2ms", "drop=1ms", "drop,,gap=1ms", "gap=0ms"] {
            assert!(bad.parse::<Trigger>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_stall_of_several_ports_is_one() {
        let c = |from, to, port| Crossing { from, to, kind: CrossingKind::Gap, port: Some(port) };
        let all = stalls(vec![c(500, 900, 3), c(0, 100, 1), c(10, 220, 2), c(90, 130, 1)]);
        assert_eq!(all, [c(10, 220, 2), c(500, 900, 3)]);
        assert_eq!(stalls(vec![]), []);
    }

    #[test]
    fn a_long_round_trip_shows_in_the_smoothed_one() {
        let mut fold = RttFold::default();
        assert_eq!([fold.take(1, 0), fold.take(1, 200), fold.take(1, 200)], [None, None, None]);
        // 7/8 of 200 µs and 1/8 of 5 ms.
        assert_eq!(fold.take(1, 800), Some(5_000_000));
        assert_eq!((fold.take(1, 700), fold.take(2, 900)), (None, None));
    }

    proptest! {
        #[test]
        fn any_crossings_are_apart(raw in proptest::collection::vec((0u64..1_000, 0u64..100), 0..40)) {
            let all = stalls(raw.into_iter().map(|(from, length)| Crossing {
                from, to: from + length, kind: CrossingKind::Gap, port: None,
            }).collect());
            prop_assert!(all.windows(2).all(|w| w[0].to < w[1].from));
        }

        #[test]
        fn any_text_is_a_trigger_or_not(text in "\\PC{0,20}") {
            let _ = text.parse::<Trigger>();
        }
    }
}
