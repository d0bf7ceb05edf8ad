//! How late a timed sleep wakes up.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_transport::clock;
use lowlat_transport::thread::ExactSleeps;
use rustix::io::Errno;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

use crate::progress::Tally;
use lowlat_measure::{Histogram, MeasureError};

/// Sleeps to absolute times `interval_ns` apart and records how late each wake-up is. A wake-up that misses its next
/// times counts once, with its whole lateness, and goes on with the first time still to come, as cyclictest does.
pub(crate) fn watch(
    duration_ns: u64,
    interval_ns: u64,
    stop: &AtomicBool,
    tally: &Tally,
) -> Result<Histogram, MeasureError> {
    // A normal thread's timers may fire 50 µs late on purpose (prctl(2), PR_SET_TIMERSLACK): that is not noise of the
    // host's.
    let _exact = ExactSleeps::take();
    let mut late = Histogram::default();
    let begin = clock::now();
    let end = begin.saturating_add(duration_ns);
    let mut next = begin.saturating_add(interval_ns);
    while next < end && !stop.load(Ordering::Relaxed) {
        let until = Timespec {
            tv_sec: i64::try_from(next / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(next % 1_000_000_000).unwrap_or(0),
        };
        match clock_nanosleep_absolute(ClockId::Monotonic, &until) {
            Ok(()) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(MeasureError::Io { what: "noise: sleep to a time".to_owned(), source: e.into() }),
        }
        let now = clock::now();
        late.record(now.saturating_sub(next));
        tally.saw(now.saturating_sub(next));
        next += interval_ns * (now.saturating_sub(next) / interval_ns + 1);
    }
    Ok(late)
}
