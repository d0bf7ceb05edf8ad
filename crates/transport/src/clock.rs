//! The one clock of the hot path.
//!
//! It is `CLOCK_MONOTONIC` through the vDSO, the clock that BPF and the kernel's own monotonic stamps use, 22–26 ns a
//! read here; or, where a run asks for it, the processor's time stamp counter (TSC), 10 ns, scaled to the same epoch.
//! Which one is chosen, calibrated and checked in the `measure` crate; here is only the reading.

use std::sync::OnceLock;

use lowlat_os::clock::realtime;
pub use lowlat_os::clock::{invariant, ticks, ticks_in_order};

use crate::Ns;

/// Set once, at most, for the whole process.
static SCALE: OnceLock<Scale> = OnceLock::new();

/// The time now, ns: `CLOCK_MONOTONIC`, or the TSC on its scale after [`use_tsc`].
#[inline]
pub fn now() -> Ns {
    match SCALE.get() {
        None => kernel(),
        Some(scale) => scale.at(ticks()),
    }
}

/// `CLOCK_MONOTONIC` now, ns, whatever [`now`] reads.
#[inline]
pub fn kernel() -> Ns {
    lowlat_os::clock::monotonic()
}

/// `CLOCK_MONOTONIC_RAW` now, ns: the hardware's own pace, which NTP does not distort.
#[inline]
pub fn raw() -> Ns {
    lowlat_os::clock::monotonic_raw()
}

/// Widest bracket around a reading of `CLOCK_REALTIME` that is believed, ns. Three vDSO reads take 75 ns; what is wider
/// was interrupted, and the two clocks' difference is off by up to half of it.
pub const BRACKET_NS: u64 = 1_000;

/// A kernel stamp (`CLOCK_REALTIME`) on the time of [`now`], by the difference of the two clocks now, right to half of
/// [`BRACKET_NS`]; `None` where three readings in a row were interrupted, or the clock takes too long to read.
pub fn to_monotonic(stamp: u64) -> Option<Ns> {
    for _ in 0..3 {
        let before = now();
        let wall = realtime();
        let after = now();
        let width = after - before;
        if width <= BRACKET_NS {
            return (before + width / 2).checked_sub(wall.checked_sub(stamp)?);
        }
    }
    None
}

/// TSC ticks turned into ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// TSC at [`Scale::base_ns`].
    pub base_ticks: u64,
    /// Time there, ns.
    pub base_ns: Ns,
    /// ns a tick, times 2³²: at 3 GHz exact to 1 part in 10⁹.
    pub multiplier: u64,
}

impl Scale {
    /// The time at `ticks`. Exact to 1 ns and the multiplier's rounding for 2³² s; ticks before the base count as it.
    #[inline]
    pub fn at(&self, ticks: u64) -> Ns {
        let since = u128::from(ticks.saturating_sub(self.base_ticks));
        #[allow(clippy::cast_possible_truncation)] // 2⁶⁴ ns are 584 years
        let ns = ((since * u128::from(self.multiplier)) >> 32) as u64;
        self.base_ns + ns
    }
}

/// From now on [`now`] reads the TSC, in the whole process. Answers false if that was settled before.
pub fn use_tsc(scale: Scale) -> bool {
    SCALE.set(scale).is_ok()
}

/// Whether [`now`] reads the TSC.
pub fn is_tsc() -> bool {
    SCALE.get().is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stamp_lands_where_it_was_taken() {
        // Tried a few times: a busy machine may interrupt one reading.
        let landed = (0..100).any(|_| {
            let before = now();
            let stamp = realtime();
            let after = now();
            to_monotonic(stamp).is_some_and(|at| at + BRACKET_NS >= before && at <= after + BRACKET_NS)
        });
        assert!(landed);
        assert_eq!(to_monotonic(u64::MAX), None, "a stamp from the future");
    }

    proptest! {
        /// Against the exact fraction: never above, at most a ns below, and never backwards.
        #[test]
        fn a_scale_is_exact_and_never_goes_back(
            base_ticks in 0u64..1 << 40, base_ns in 0u64..1 << 50, hz in 1_000_000u64..10_000_000_000,
            a in 0u64..1 << 50, step in 0u64..1_000_000,
        ) {
            let multiplier = u64::try_from((1_000_000_000u128 << 32) / u128::from(hz)).unwrap();
            let scale = Scale { base_ticks, base_ns, multiplier };
            let exact = base_ns + u64::try_from((u128::from(a) * u128::from(multiplier)) >> 32).unwrap();
            prop_assert_eq!(scale.at(base_ticks + a), exact);
            prop_assert!(scale.at(base_ticks + a + step) >= scale.at(base_ticks + a));
            // A tick more than a second's is a second more, to the multiplier's rounding.
            let second = scale.at(base_ticks + a + hz) - scale.at(base_ticks + a);
            prop_assert!(second.abs_diff(1_000_000_000) <= 2 + hz / (1 << 32) + 1, "{}", second);
            prop_assert_eq!(scale.at(base_ticks.saturating_sub(1)), base_ns);
        }
    }
}
