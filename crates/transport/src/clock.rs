//! The one clock of the hot path.
//!
//! `CLOCK_MONOTONIC` through the vDSO costs 24–26 ns here and is the clock BPF and the kernel's own monotonic stamps
//! use; the TSC costs 13 ns and must be calibrated. The socket engines use the former.

use crate::Ns;

/// `CLOCK_MONOTONIC` now, ns.
#[inline]
#[allow(unsafe_code)] // the only way to the vDSO clock without a syscall wrapper crate
pub fn now() -> Ns {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid, writable timespec; CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut ts) };
    #[allow(clippy::cast_sign_loss)] // CLOCK_MONOTONIC is never negative
    (ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}
