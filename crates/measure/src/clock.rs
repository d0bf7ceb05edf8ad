//! The clocks: what a read costs, what it resolves, and whether the TSC may stand in for the kernel's.

use std::time::Duration;

use lowlat_transport::{Ns, clock};

/// What reading `CLOCK_MONOTONIC` is like here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// One read, ns (the smallest mean of a few hundred batches: what it costs when nothing disturbs).
    pub read_ns: u64,
    /// Smallest step seen, ns.
    pub resolution_ns: u64,
}

/// Measures the clock's cost and resolution; takes about 3 ms.
pub fn cost() -> Cost {
    const BATCH: u64 = 256;
    let mut best = u64::MAX;
    let mut step = u64::MAX;
    for _ in 0..300 {
        let begin = clock::now();
        let mut last = begin;
        for _ in 0..BATCH {
            let now = clock::now();
            if now > last {
                step = step.min(now - last);
            }
            last = now;
        }
        best = best.min(last - begin);
    }
    Cost { read_ns: best / BATCH, resolution_ns: step }
}

/// `CLOCK_MONOTONIC_RAW`: the hardware's own pace, which NTP does not bend. Calibration is against this.
#[allow(unsafe_code)] // the only way to this clock
fn raw() -> Ns {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid, writable timespec; CLOCK_MONOTONIC_RAW exists since Linux 2.6.28.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut ts) };
    #[allow(clippy::cast_sign_loss)] // never negative
    (ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}

/// Why the TSC cannot be used; the kernel's clock is then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoTsc {
    /// Another kind of processor.
    #[error("this is no x86-64 processor; CLOCK_MONOTONIC is used")]
    NotX86,
    /// CPUID 8000_0007h EDX bit 8 is clear: it may change its pace or stop.
    #[error("the TSC is not invariant (CPUID 80000007h EDX bit 8); CLOCK_MONOTONIC is used")]
    NotInvariant,
    /// Two calibrations disagree.
    #[error(
        "the TSC drifted by {ppm:.2} ppm against CLOCK_MONOTONIC_RAW, more than the {bound:.2} ppm that reading them can explain; CLOCK_MONOTONIC is used"
    )]
    Drifted {
        /// How much.
        ppm: f64,
        /// What the width of the reads allows.
        bound: f64,
    },
}

/// Both clocks read together: the TSC value, the raw clock, and how far apart in TSC ticks the two bracketing reads lay.
#[derive(Debug, Clone, Copy)]
struct Pair {
    tsc: u64,
    raw: Ns,
    width: u64,
}

/// A calibrated TSC.
#[derive(Debug, Clone, Copy)]
pub struct Tsc {
    begin: Pair,
    /// ns a tick.
    ns_per_tick: f64,
    /// How wrong that may be, parts in a million.
    bound_ppm: f64,
}

impl Tsc {
    /// Calibrates over `span` (20 ms gives about 5 ppm, 1 s about 0.1) between two bracketed reads.
    pub fn calibrate(span: Duration) -> Result<Self, NoTsc> {
        if !tsc::is_x86() {
            return Err(NoTsc::NotX86);
        }
        if !tsc::invariant() {
            return Err(NoTsc::NotInvariant);
        }
        let begin = bracketed();
        std::thread::sleep(span);
        let end = bracketed();
        let (ns_per_tick, bound_ppm) = pace(begin, end);
        Ok(Self { begin, ns_per_tick, bound_ppm })
    }

    /// ns since calibration began.
    #[inline]
    pub fn since_ns(&self) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; exact to the ns for 104 days
        let ns = (tsc::read().wrapping_sub(self.begin.tsc) as f64 * self.ns_per_tick) as u64;
        ns
    }

    /// ns a tick, and how wrong that may be in parts per million.
    pub fn pace(&self) -> (f64, f64) {
        (self.ns_per_tick, self.bound_ppm)
    }

    /// Reads both clocks again, at the end of a run: the drift against the first calibration in ppm, or why the TSC must
    /// not be trusted after all.
    pub fn recheck(&self) -> Result<f64, NoTsc> {
        let (now, bound) = pace(self.begin, bracketed());
        let ppm = (now / self.ns_per_tick - 1.0) * 1e6;
        let bound = bound + self.bound_ppm;
        if ppm.abs() > bound { Err(NoTsc::Drifted { ppm, bound }) } else { Ok(ppm) }
    }
}

/// Pace from two pairs, with the error that the widths of the reads allow.
fn pace(begin: Pair, end: Pair) -> (f64, f64) {
    let ticks = end.tsc.wrapping_sub(begin.tsc).max(1) as f64;
    let ns = end.raw.saturating_sub(begin.raw).max(1) as f64;
    // Each pair is off by at most half its width.
    (ns / ticks, (begin.width + end.width) as f64 / 2.0 / ticks * 1e6)
}

/// The narrowest of 64 tries: an interruption between the reads makes a pair wide, and a wide pair is worth little.
fn bracketed() -> Pair {
    let mut best = Pair { tsc: 0, raw: 0, width: u64::MAX };
    for _ in 0..64 {
        let before = tsc::read();
        let raw = raw();
        let after = tsc::read();
        let width = after.wrapping_sub(before);
        if width < best.width {
            best = Pair { tsc: before.wrapping_add(width / 2), raw, width };
        }
    }
    best
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // rdtsc and lfence are intrinsics
mod tsc {
    use std::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};

    pub(super) fn is_x86() -> bool {
        true
    }

    /// "The TSC rate is ensured to be invariant across all P-States, C-States, and stop grant transitions" (AMD APM
    /// vol. 3, Fn8000_0007 EDX[8]; Intel SDM vol. 3, 18.17.1 says the same of the same bit).
    pub(super) fn invariant() -> bool {
        #[allow(unused_unsafe)] // safe in newer toolchains
        // SAFETY: every x86-64 processor has CPUID; leaf 8000_0000h tells whether the next one exists.
        let (top, power) = unsafe { (__cpuid(0x8000_0000).eax, __cpuid(0x8000_0007).edx) };
        top >= 0x8000_0007 && power & (1 << 8) != 0
    }

    #[inline]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has both. The fences keep the read from moving over its neighbours (Intel SDM
        // vol. 2, RDTSC).
        unsafe {
            _mm_lfence();
            let ticks = _rdtsc();
            _mm_lfence();
            ticks
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod tsc {
    pub(super) fn is_x86() -> bool {
        false
    }
    pub(super) fn invariant() -> bool {
        false
    }
    pub(super) fn read() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_and_its_bound_follow_from_the_pairs() {
        let pair = |tsc, raw, width| Pair { tsc, raw, width };
        let (ns, ppm) = pace(pair(100, 50, 40), pair(2_000_100, 1_000_050, 60));
        assert!((ns - 0.5).abs() < 1e-12 && (ppm - 25.0).abs() < 1e-9, "{ns} {ppm}");
        // A TSC that ran 100 ppm fast since calibration is told.
        let tsc = Tsc { begin: pair(0, 0, 2), ns_per_tick: 0.5 * 1.0001, bound_ppm: 1.0 };
        let (now, bound) = pace(tsc.begin, pair(2_000_000, 1_000_000, 2));
        assert!(((now / tsc.ns_per_tick - 1.0) * 1e6).abs() > bound + tsc.bound_ppm);
    }

    #[test]
    fn the_clock_moves_and_its_cost_is_seen() {
        let cost = cost();
        assert!(cost.read_ns > 0 && cost.resolution_ns > 0, "{cost:?}");
        match Tsc::calibrate(Duration::from_millis(5)) {
            Ok(tsc) => {
                let first = tsc.since_ns();
                assert!(tsc.since_ns() >= first && tsc.pace().0 > 0.0);
            }
            Err(e) => assert!(!e.to_string().contains('\n')),
        }
    }
}
