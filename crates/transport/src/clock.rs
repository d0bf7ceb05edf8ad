//! The one clock of the hot path.
//!
//! `CLOCK_MONOTONIC` through the vDSO costs 24–26 ns here and is the clock BPF and the kernel's own monotonic stamps
//! use; the TSC costs 13 ns and must be calibrated. The socket engines use the former.

use crate::Ns;

/// `CLOCK_MONOTONIC` now, ns.
#[inline]
pub fn now() -> Ns {
    read(libc::CLOCK_MONOTONIC)
}

#[inline]
#[allow(unsafe_code)] // the only way to the vDSO clock without a syscall wrapper crate
fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid, writable timespec; both clocks asked for here exist on every Linux, so the call cannot
    // fail.
    unsafe { libc::clock_gettime(clock, &raw mut ts) };
    #[allow(clippy::cast_sign_loss)] // neither clock is before its epoch
    (ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}

/// Widest bracket around a reading of `CLOCK_REALTIME` that is believed, ns. Three vDSO reads take 75 ns; what is wider
/// was interrupted, and the two clocks' difference is off by up to half of it.
pub const BRACKET_NS: u64 = 1_000;

/// A kernel stamp (`CLOCK_REALTIME`) on `CLOCK_MONOTONIC`, by the difference of the two clocks now, right to half of
/// [`BRACKET_NS`]; `None` where three readings in a row were interrupted, or the clock takes too long to read.
pub fn to_monotonic(stamp: u64) -> Option<Ns> {
    for _ in 0..3 {
        let before = now();
        let wall = read(libc::CLOCK_REALTIME);
        let after = now();
        let width = after - before;
        if width <= BRACKET_NS {
            return (before + width / 2).checked_sub(wall.checked_sub(stamp)?);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_lands_where_it_was_taken() {
        // Tried a few times: a busy machine may interrupt one reading.
        let landed = (0..100).any(|_| {
            let before = now();
            let stamp = read(libc::CLOCK_REALTIME);
            let after = now();
            to_monotonic(stamp).is_some_and(|at| at + BRACKET_NS >= before && at <= after + BRACKET_NS)
        });
        assert!(landed);
        assert_eq!(to_monotonic(u64::MAX), None, "a stamp from the future");
    }
}
