//! How late a timed sleep wakes up.
#![allow(unsafe_code)] // clock_nanosleep and prctl

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::clock;

use crate::{Histogram, MeasureError};

/// Sleeps to absolute times `interval_ns` apart and records how late each wake-up is. A wake-up that misses its next
/// times counts once, with its whole lateness, and goes on with the first time still to come, as cyclictest does.
pub(super) fn watch(duration_ns: u64, interval_ns: u64, stop: &AtomicBool) -> Result<Histogram, MeasureError> {
    // A normal thread's timers may fire 50 µs late on purpose (prctl(2), PR_SET_TIMERSLACK): that is no noise of the
    // host's. This thread ends after the watch, and its slack with it.
    // SAFETY: PR_SET_TIMERSLACK takes a number.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
    let mut late = Histogram::default();
    let begin = clock::now();
    let end = begin.saturating_add(duration_ns);
    let mut next = begin.saturating_add(interval_ns);
    while next < end && !stop.load(Ordering::Relaxed) {
        let until = libc::timespec {
            tv_sec: libc::time_t::try_from(next / 1_000_000_000).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::try_from(next % 1_000_000_000).unwrap_or(0),
        };
        // SAFETY: `until` is valid; no remainder is asked for, as absolute sleeps have none.
        let error = unsafe {
            libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, std::ptr::null_mut())
        };
        if error == libc::EINTR {
            continue;
        }
        if error != 0 {
            let source = std::io::Error::from_raw_os_error(error);
            return Err(MeasureError::Io { what: "noise: sleep to a time".to_owned(), source });
        }
        let now = clock::now();
        late.record(now.saturating_sub(next));
        next += interval_ns * (now.saturating_sub(next) / interval_ns + 1);
    }
    Ok(late)
}
