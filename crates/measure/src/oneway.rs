//! One-way delays, and how far they may be from the truth.
//!
//! Two clocks that nobody compared still bound each other: a probe cannot come before it left. Of each exchange, with
//! near stamps `t1`, `t4` and far stamps `t2`, `t3`, the far clock less the near one lies between `t3 − t4` and
//! `t2 − t1` (RFC 5905 §8 takes the middle of the two and half their distance as the error). Over many exchanges the
//! highest of the former and the lowest of the latter hold, within a window so short that the clocks' rates hardly
//! matter; windows next to each other tighten each other by the rate that was seen.
//!
//! A host's `CLOCK_MONOTONIC` starts with its boot. Two hosts' readings agree within microseconds, all through a run,
//! by no other way than being one clock: so namespaces of one host are recognized by measuring, not by assuming.

use lowlat_model::Quantiles;
use lowlat_model::stamps::{Delay, OneWay};

/// One exchange: near send, far receive, far send, near receive, ns on their own clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampedExchange {
    /// Near send.
    pub t1: i64,
    /// Far receive.
    pub t2: i64,
    /// Far send.
    pub t3: i64,
    /// Near receive.
    pub t4: i64,
}

/// Windows tried; the one that gives the narrowest bound is taken.
const WINDOWS_NS: &[i64] = &[500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 50_000_000, 200_000_000];
/// The fastest that a clock under ntpd, chronyd or ptp4l is made to run away: the kernel's own limit on the frequency
/// (MAXFREQ in include/linux/timex.h, 500 ppm). The crystal's error, some 50 ppm, is what is being corrected.
const RATE_MAX: f64 = 500e-6;
/// Two readings of one clock: each takes 25 ns through the vDSO, and up to twice that on an old kernel.
const READING_NS: u64 = 100;
/// Above this, "the two clocks agree" says nothing.
const AGREEMENT_NS: i64 = 1_000_000;
/// Fewer windows do not show that two clocks stay together.
const AGREEMENT_WINDOWS: usize = 4;

/// Lowest and highest possible offset of each window.
type Bounds = Vec<(i64, i64)>;

/// What the exchanges leave possible.
#[derive(Debug, Clone)]
pub struct Offset {
    begin: i64,
    window: i64,
    bounds: Bounds,
    /// Least and most drift, as a ratio.
    drift: Option<(f64, f64)>,
    /// Both ends read one clock.
    pub same_clock: bool,
    /// Error of the stamps themselves, ns.
    error: i64,
}

impl Offset {
    /// From exchanges in the order of their sends. `error_ns` bounds the error of each stamp (clocks joined by reading
    /// both); `could_be_same` says that both are `CLOCK_MONOTONIC`, which one host alone can share. `Err` says why
    /// there is no bound.
    pub fn of(exchanges: &[StampedExchange], error_ns: u64, could_be_same: bool) -> Result<Self, &'static str> {
        let (Some(first), Some(last)) = (exchanges.first(), exchanges.last()) else {
            return Err("the far end gives no stamps of its own");
        };
        let error = i64::try_from(error_ns).unwrap_or(i64::MAX / 4);
        let begin = first.t1;
        let span = (last.t1 - begin).max(1);
        let drift = drift(exchanges, begin, span, error);
        let rate = drift.map_or(RATE_MAX, |(low, high)| low.abs().max(high.abs()).min(RATE_MAX));
        let mut best: Option<(i64, i64, Bounds)> = None;
        for &window in WINDOWS_NS.iter().filter(|w| **w <= span.max(WINDOWS_NS[0])) {
            let bounds = bounds(exchanges, begin, span, window, rate, error);
            let Some(widest) = bounds.iter().map(|(l, u)| u - l).max() else { continue };
            if best.as_ref().is_none_or(|b| widest < b.0) {
                best = Some((widest, window, bounds));
            }
        }
        let Some((_, window, bounds)) = best else { return Err("the run is too short") };
        if bounds.iter().any(|(l, u)| l > u) {
            return Err("the far stamps contradict a clock that runs evenly: it was stepped, or they are not its own");
        }
        let width = bounds.iter().map(|(l, u)| u - l).max().unwrap_or(i64::MAX);
        let same_clock = could_be_same
            && width <= AGREEMENT_NS
            && bounds.len() >= AGREEMENT_WINDOWS
            && bounds.iter().all(|(l, u)| *l <= 0 && 0 <= *u);
        Ok(Self { begin, window, bounds, drift, same_clock, error })
    }

    /// Far clock less near clock when the near one read `t1`.
    pub fn at(&self, t1: i64) -> i64 {
        if self.same_clock {
            return 0;
        }
        let at = usize::try_from((t1 - self.begin) / self.window).unwrap_or(0).min(self.bounds.len() - 1);
        let (low, high) = self.bounds[at];
        low + (high - low) / 2
    }

    /// No offset is further from the truth than this. Within a window the offset moves on; its widening holds that.
    pub fn bound_ns(&self) -> u64 {
        if self.same_clock {
            return READING_NS;
        }
        self.bounds.iter().map(|(l, u)| (u - l + 1) / 2).max().unwrap_or(i64::MAX).unsigned_abs()
    }

    /// The same of a delay, whose own stamps may be joined ones.
    fn bound_of(&self, joined: bool) -> u64 {
        self.bound_ns().saturating_add(if joined { self.error.unsigned_abs() } else { 0 })
    }

    /// The document's part; `pairs` are the directions to show: their ends, whether
    /// these are kernel stamps (which were joined to the program's clock), and the delays.
    pub fn document(&self, pairs: Vec<(&str, &str, bool, Vec<u64>)>) -> OneWay {
        let middle = self.begin + self.window * i64::try_from(self.bounds.len() / 2).unwrap_or(0);
        let method = if self.same_clock {
            format!(
                "both ends read one clock: in all {} windows the far CLOCK_MONOTONIC was within what the stamps leave possible of the near one",
                self.bounds.len()
            )
        } else {
            "each exchange bounds the clocks' difference from both sides; how the path's delay splits between the two ways is not known beyond the bound".to_owned()
        };
        OneWay {
            offset_ns: self.at(middle),
            bound_ns: self.bound_ns(),
            same_clock: self.same_clock,
            method,
            windows: self.bounds.len() as u64,
            window_ns: self.window.unsigned_abs(),
            drift_low_ppm: self.drift.map(|d| d.0 * 1e6),
            drift_high_ppm: self.drift.map(|d| d.1 * 1e6),
            delays: pairs
                .into_iter()
                .map(|(from, to, joined, mut ns)| Delay {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    bound_ns: self.bound_of(joined),
                    time: Quantiles::of(&mut ns),
                })
                .collect(),
        }
    }
}

/// Least and most drift that the two ends of the run leave possible; `None` where it is too short to say more than
/// [`RATE_MAX`].
fn drift(exchanges: &[StampedExchange], begin: i64, span: i64, error: i64) -> Option<(f64, f64)> {
    let end = (span / 10).min(10_000_000);
    let apart = span - end;
    if apart <= end {
        return None;
    }
    let slack = rounded_up(RATE_MAX * end as f64) + error;
    let of = |from: i64| {
        let inside = exchanges.iter().filter(|e| (from..=from + end).contains(&e.t1));
        inside.fold((i64::MIN, i64::MAX), |(l, u), e| (l.max(e.t3 - e.t4), u.min(e.t2 - e.t1)))
    };
    let (first, last) = (of(begin), of(begin + apart));
    if first.0 == i64::MIN || last.0 == i64::MIN {
        return None;
    }
    let low = (last.0 - first.1 - 2 * slack) as f64 / apart as f64;
    let high = (last.1 - first.0 + 2 * slack) as f64 / apart as f64;
    (low <= high && low.abs().max(high.abs()) < RATE_MAX).then_some((low, high))
}

/// The bounds of each window, tightened by their neighbours.
fn bounds(exchanges: &[StampedExchange], begin: i64, span: i64, window: i64, rate: f64, error: i64) -> Bounds {
    let count = usize::try_from(span / window).unwrap_or(0) + 1;
    // Nothing known yet: half of the range, so that widening cannot overflow.
    let mut bounds = vec![(i64::MIN / 2, i64::MAX / 2); count];
    for e in exchanges {
        let at = usize::try_from((e.t1 - begin) / window).unwrap_or(0).min(count - 1);
        let (low, high) = bounds[at];
        bounds[at] = (low.max(e.t3 - e.t4), high.min(e.t2 - e.t1));
    }
    let step = rounded_up(rate * window as f64);
    for (low, high) in &mut bounds {
        *low -= step + error;
        *high += step + error;
    }
    for i in 1..count {
        let (low, high) = bounds[i - 1];
        bounds[i] = (bounds[i].0.max(low - step), bounds[i].1.min(high + step));
    }
    for i in (1..count).rev() {
        let (low, high) = bounds[i];
        bounds[i - 1] = (bounds[i - 1].0.max(low - step), bounds[i - 1].1.min(high + step));
    }
    bounds
}

#[allow(clippy::cast_possible_truncation)] // nanoseconds of a window
fn rounded_up(ns: f64) -> i64 {
    ns.ceil() as i64
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)] // a simulated path's times are small
mod tests {
    use super::*;
    use lowlat_model::random::Random;

    /// A path of uneven ways between clocks that differ and drift; with each exchange, the true delay of its way there.
    fn path(offset: i64, drift: f64, back_ns: i64, seed: u64) -> (Vec<StampedExchange>, Vec<i64>) {
        let mut random = Random::new(seed);
        let mut near = 5_000_000_000i64;
        let far = |near: i64| near + offset + (drift * (near - 5_000_000_000) as f64) as i64;
        let (mut all, mut there) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let out = 4_000 + (random.exponential() * 800.0) as i64;
            let back = back_ns + (random.exponential() * 800.0) as i64;
            let (arrives, leaves) = (near + out, near + out + 500);
            all.push(StampedExchange { t1: near, t2: far(arrives), t3: far(leaves), t4: leaves + back });
            there.push(out);
            near = leaves + back + 1_000;
        }
        (all, there)
    }

    #[test]
    fn the_truth_lies_within_the_bound_whatever_offset_drift_and_asymmetry() {
        for (offset, drift, back) in [
            (0, 0.0, 4_000),
            (-3_600_000_000_000, 0.0, 4_000),
            (7_777_777, 40e-6, 4_000),
            (-5_000, -40e-6, 30_000),
            (1, 200e-6, 1_000),
        ] {
            let (exchanges, there) = path(offset, drift, back, 7);
            let found = Offset::of(&exchanges, 0, false).unwrap();
            let bound = i64::try_from(found.bound_ns()).unwrap();
            for (e, truth) in exchanges.iter().zip(&there) {
                let reported = e.t2 - e.t1 - found.at(e.t1);
                assert!(
                    reported.abs_diff(*truth) <= found.bound_ns(),
                    "{reported} for {truth} ± {bound} at {offset} {drift} {back}"
                );
            }
            // Half of what the two ways have for sure, and what the rates add: no bound that says nothing.
            assert!(bound <= i64::midpoint(4_000, back) + 2_000, "{bound} at {drift} {back}");
            if let Some((low, high)) = found.drift {
                assert!(low <= drift && drift <= high, "{low} {drift} {high}");
            }
        }
    }

    #[test]
    fn one_clock_is_recognized_and_another_is_not() {
        let (same, _) = path(0, 0.0, 4_000, 3);
        assert!(Offset::of(&same, 0, true).unwrap().same_clock);
        assert!(!Offset::of(&same, 0, false).unwrap().same_clock, "clocks that may be set alike prove nothing");
        for (offset, drift) in [(20_000, 0.0), (-1_000_000_000, 0.0), (0, 100e-6)] {
            let (other, _) = path(offset, drift, 4_000, 3);
            assert!(!Offset::of(&other, 0, true).unwrap().same_clock, "{offset} {drift}");
        }
    }

    #[test]
    fn without_far_stamps_or_with_a_stepped_clock_there_is_no_bound() {
        assert!(Offset::of(&[], 0, true).is_err());
        let (mut stepped, _) = path(0, 0.0, 4_000, 5);
        for e in stepped.iter_mut().skip(10_000) {
            e.t2 += 1_000_000;
            e.t3 += 1_000_000;
        }
        assert!(Offset::of(&stepped, 0, true).is_err());
    }
}
