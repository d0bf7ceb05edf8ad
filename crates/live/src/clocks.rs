//! The clock that this process measures with: settled once, before the first probe.

use std::sync::OnceLock;

use lowlat_measure::clock::{Chosen, Wish, tsc_words};
use lowlat_sys::Sys;

static CLOCK: OnceLock<Chosen> = OnceLock::new();

/// Settles it; the first wish counts. A TSC takes 50 ms to calibrate.
pub fn settle(wish: Wish, sys: &dyn Sys) -> &'static Chosen {
    CLOCK.get_or_init(|| Chosen::settle(wish, trusted(sys).as_deref()))
}

/// What the TSC would be like here.
pub fn of_tsc(sys: &dyn Sys) -> String {
    tsc_words(trusted(sys).as_deref())
}

/// The clock sources that the kernel trusts.
fn trusted(sys: &dyn Sys) -> Option<String> {
    sys.read("/sys/devices/system/clocksource/clocksource0/available_clocksource").into_value()
}
