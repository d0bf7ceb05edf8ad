//! The TSC, calibrated against `CLOCK_MONOTONIC_RAW`: pairs of both clocks, read together, give its pace and how wrong
//! that may be. Arithmetic apart from reading, so that tests bring clocks of their own.

use std::time::Duration;

use lowlat_transport::Ns;
use lowlat_transport::clock::{self, Scale};

/// How long one half of a calibration takes. Reading both clocks together takes some 50 ns, so 25 ms give 2 ppm.
const HALF: Duration = Duration::from_millis(25);
/// Tries for one pair: an interruption between the reads makes a pair wide, and a wide pair is worth little.
const TRIES: u32 = 64;
/// Beyond what the width of the reads explains, this much is allowed between two paces, ppm: the raw clock's own
/// multiplier is rounded, and its nanoseconds too.
const SLACK_PPM: f64 = 0.5;

/// Why the TSC cannot be used; the kernel's clock is then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoTsc {
    /// Another kind of processor.
    #[error("the TSC is not used: this is not an x86-64 processor")]
    NotX86,
    /// CPUID 8000_0007h EDX bit 8 is clear: it may change its pace or stop.
    #[error("the TSC is not used: it is not invariant (CPUID 80000007h EDX bit 8)")]
    NotInvariant,
    /// The kernel found it out of step, between CPUs or against another clock.
    #[error("the TSC is not used: the kernel does not trust it (its clock sources are {0:?})")]
    Distrusted(String),
    /// It went back, or stood still, or the kernel's clock did.
    #[error("the TSC is not used: it did not move forward during calibration")]
    Stuck,
    /// The two halves of the calibration disagree.
    #[error(
        "the TSC is not used: the halves of its calibration differ by {ppm:.2} ppm, more than the {bound:.2} ppm that reading the clocks can explain"
    )]
    Unsteady {
        /// How much.
        ppm: f64,
        /// What the width of the reads allows.
        bound: f64,
    },
    /// The end of the run disagrees with the calibration.
    #[error(
        "the TSC drifted by {ppm:.2} ppm against CLOCK_MONOTONIC_RAW during the run, more than the {bound:.2} ppm that reading the clocks can explain: latencies are off by as much; measure again with the kernel's clock"
    )]
    Drifted {
        /// How much.
        ppm: f64,
        /// What the width of the reads allows.
        bound: f64,
    },
    /// The process reads another scale already.
    #[error("the TSC's scale was settled before in this process")]
    Settled,
}

/// The clocks of a machine.
pub trait Hardware {
    /// See [`clock::invariant`].
    fn invariant(&self) -> Option<bool>;
    /// The TSC, in order.
    fn ticks(&mut self) -> u64;
    /// `CLOCK_MONOTONIC_RAW`, ns.
    fn raw(&mut self) -> Ns;
    /// `CLOCK_MONOTONIC`, ns.
    fn monotonic(&mut self) -> Ns;
    /// Lets time pass.
    fn wait(&mut self, time: Duration);
}

/// This one.
#[derive(Debug, Clone, Copy)]
pub struct TscHost;

impl Hardware for TscHost {
    fn invariant(&self) -> Option<bool> {
        clock::invariant()
    }
    fn ticks(&mut self) -> u64 {
        clock::ticks_in_order()
    }
    fn raw(&mut self) -> Ns {
        clock::raw()
    }
    fn monotonic(&mut self) -> Ns {
        clock::kernel()
    }
    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Both clocks read together: the TSC value, the kernel's clock, and how far apart in TSC ticks the two bracketing
/// reads lay.
#[derive(Debug, Clone, Copy)]
struct Pair {
    tsc: u64,
    ns: Ns,
    width: u64,
}

/// A pace in ns a tick, and how wrong it may be in ppm.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    ns_per_tick: f64,
    bound_ppm: f64,
}

impl Pace {
    /// From two pairs, with the error that the widths of the reads allow.
    fn of(begin: Pair, end: Pair) -> Result<Self, NoTsc> {
        let ticks = end.tsc.checked_sub(begin.tsc).filter(|t| *t > 0).ok_or(NoTsc::Stuck)? as f64;
        let ns = end.ns.checked_sub(begin.ns).filter(|n| *n > 0).ok_or(NoTsc::Stuck)? as f64;
        // Each pair is off by at most half its width, and each kernel time by its ns.
        let bound_ppm = ((begin.width + end.width) as f64 / 2.0 / ticks + 1.0 / ns) * 1e6;
        Ok(Self { ns_per_tick: ns / ticks, bound_ppm })
    }

    /// How much faster this one is, ppm, and how much of it the reads may explain.
    fn against(&self, other: &Self) -> (f64, f64) {
        let ppm = (self.ns_per_tick / other.ns_per_tick - 1.0) * 1e6;
        (ppm, self.bound_ppm + other.bound_ppm + SLACK_PPM)
    }
}

/// A calibrated TSC.
#[derive(Debug, Clone, Copy)]
pub struct Tsc {
    begin: Pair,
    pace: Pace,
    scale: Scale,
}

impl Tsc {
    /// Calibrates in two halves that must agree; takes 50 ms. `clocksources` are those the kernel trusts, if they could
    /// be read: it leaves the TSC out when its watchdog found it unstable (`tsc_cs_mark_unstable`,
    /// arch/x86/kernel/tsc.c).
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn calibrate(hardware: &mut dyn Hardware, clocksources: Option<&str>) -> Result<Self, NoTsc> {
        match hardware.invariant() {
            None => return Err(NoTsc::NotX86),
            Some(false) => return Err(NoTsc::NotInvariant),
            Some(true) => {}
        }
        if let Some(list) = clocksources.filter(|list| !list.split_whitespace().any(|c| c == "tsc")) {
            return Err(NoTsc::Distrusted(list.trim().to_owned()));
        }
        let begin = raw_pair(hardware);
        hardware.wait(HALF);
        let middle = raw_pair(hardware);
        hardware.wait(HALF);
        let end = raw_pair(hardware);
        let (first, second) = (Pace::of(begin, middle)?, Pace::of(middle, end)?);
        let (ppm, bound) = second.against(&first);
        if ppm.abs() > bound {
            return Err(NoTsc::Unsteady { ppm, bound });
        }
        let pace = Pace::of(begin, end)?;
        // The epoch is CLOCK_MONOTONIC's, so that both clocks tell one time to within the run's NTP slew.
        let anchor = pair(hardware, |h| h.monotonic());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive, and below 2³² × 1000
        let multiplier = (pace.ns_per_tick * (1u64 << 32) as f64).round() as u64;
        Ok(Self { begin, pace, scale: Scale { base_ticks: anchor.tsc, base_ns: anchor.ns, multiplier } })
    }

    /// For [`clock::use_tsc`].
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// ns a tick, and how wrong that may be in parts per million.
    pub fn pace(&self) -> (f64, f64) {
        (self.pace.ns_per_tick, self.pace.bound_ppm)
    }

    /// Reads both clocks again, at the end of a run: the drift since calibration began in ppm, or why the figures must
    /// not be trusted after all.
    ///
    /// # Errors
    /// The drift is more than reading the clocks can explain.
    pub fn recheck(&self, hardware: &mut dyn Hardware) -> Result<f64, NoTsc> {
        let whole = Pace::of(self.begin, raw_pair(hardware))?;
        let (ppm, bound) = whole.against(&self.pace);
        if ppm.abs() > bound { Err(NoTsc::Drifted { ppm, bound }) } else { Ok(ppm) }
    }
}

fn raw_pair(hardware: &mut dyn Hardware) -> Pair {
    pair(hardware, |h| h.raw())
}

/// The narrowest of some tries.
fn pair(hardware: &mut dyn Hardware, kernel: impl Fn(&mut dyn Hardware) -> Ns) -> Pair {
    let mut best = Pair { tsc: 0, ns: 0, width: u64::MAX };
    for _ in 0..TRIES {
        let before = hardware.ticks();
        let ns = kernel(hardware);
        let after = hardware.ticks();
        // A TSC that went back is as wide as can be; where all are, the pace says that it is stuck.
        let width = after.checked_sub(before).unwrap_or(u64::MAX - 1);
        if width < best.width {
            best = Pair { tsc: before.wrapping_add(width / 2), ns, width };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A machine whose TSC may misbehave.
    struct Fake {
        invariant: Option<bool>,
        /// True time, ns.
        time: f64,
        /// Ticks a ns, from a time on.
        paces: Vec<(f64, f64)>,
        /// Every so many reads one is interrupted for 5 µs.
        interrupted: u32,
        reads: u32,
    }

    impl Fake {
        fn new(hz: f64) -> Self {
            Self { invariant: Some(true), time: 1e12, paces: vec![(0.0, hz / 1e9)], interrupted: 3, reads: 0 }
        }

        fn pass(&mut self, ns: f64) {
            self.time += ns;
        }
    }

    impl Hardware for Fake {
        fn invariant(&self) -> Option<bool> {
            self.invariant
        }
        fn ticks(&mut self) -> u64 {
            self.reads += 1;
            self.pass(if self.reads.is_multiple_of(self.interrupted) { 5_000.0 } else { 10.0 });
            let mut ticks = 0.0;
            for (i, (from, pace)) in self.paces.iter().enumerate() {
                let to = self.paces.get(i + 1).map_or(self.time, |p| p.0.min(self.time));
                ticks += (to - from).max(0.0) * pace;
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
            let ticks = ticks as u64;
            ticks
        }
        fn raw(&mut self) -> Ns {
            self.pass(25.0);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive
            let ns = self.time as u64;
            ns
        }
        fn monotonic(&mut self) -> Ns {
            self.raw() + 7_000
        }
        fn wait(&mut self, time: Duration) {
            self.pass(time.as_nanos() as f64);
        }
    }

    proptest! {
        /// Whatever its pace and however often a read is interrupted, a steady TSC is found out to within its bound,
        /// its scale gives_CLOCK_MONOTONIC, and the end agrees.
        #[test]
        fn a_steady_tsc_is_calibrated_within_its_bound(hz in 5e8f64..6e9, interrupted in 2u32..50, run_s in 0.1f64..100.0) {
            let mut fake = Fake { interrupted, ..Fake::new(hz) };
            let tsc = Tsc::calibrate(&mut fake, Some("tsc kvm-clock\n")).unwrap();
            let (ns, bound) = tsc.pace();
            prop_assert!((ns * hz / 1e9 - 1.0).abs() * 1e6 <= bound, "{} ns at {} Hz within {} ppm", ns, hz, bound);
            fake.pass(run_s * 1e9);
            let (reported, is) = (tsc.scale().at(fake.ticks()), fake.monotonic());
            let allowed = 100.0 + run_s * 1e3 * (bound + 1.0);
            prop_assert!((reported as f64 - is as f64).abs() <= allowed, "{} against {}", reported, is);
            prop_assert!(tsc.recheck(&mut fake).is_ok());
        }

        /// One that changes its pace later by more than the bound is reported at the end.
        #[test]
        fn a_drift_is_reported_at_the_end(hz in 5e8f64..6e9, by_ppm in 20.0f64..1e5) {
            let mut fake = Fake::new(hz);
            let tsc = Tsc::calibrate(&mut fake, None).unwrap();
            fake.paces.push((fake.time, hz / 1e9 * (1.0 + by_ppm / 1e6)));
            fake.pass(10e9);
            prop_assert!(matches!(tsc.recheck(&mut fake), Err(NoTsc::Drifted { .. })), "{:?}", tsc.recheck(&mut fake));
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_refused_with_its_reason() {
        let refused = |change: &dyn Fn(&mut Fake), sources: Option<&str>| {
            let mut fake = Fake::new(3e9);
            change(&mut fake);
            Tsc::calibrate(&mut fake, sources).unwrap_err()
        };
        assert_eq!(refused(&|f| f.invariant = None, None), NoTsc::NotX86);
        assert_eq!(refused(&|f| f.invariant = Some(false), None), NoTsc::NotInvariant);
        assert_eq!(refused(&|_| {}, Some("hpet acpi_pm \n")), NoTsc::Distrusted("hpet acpi_pm".to_owned()));
        assert_eq!(refused(&|f| f.paces = vec![(0.0, 0.0)], None), NoTsc::Stuck, "stands still");
        let slower = |f: &mut Fake| f.paces.push((f.time + 25e6, 2.9));
        assert!(matches!(refused(&slower, None), NoTsc::Unsteady { ppm, .. } if ppm > 30_000.0));
        for why in [NoTsc::NotX86, NoTsc::NotInvariant, NoTsc::Stuck, NoTsc::Settled] {
            assert!(!why.to_string().contains('\n'));
        }
    }

    #[test]
    fn this_machines_tsc_agrees_with_its_kernel_or_is_refused() {
        match Tsc::calibrate(&mut TscHost, None) {
            Ok(tsc) => {
                // Between two readings of the kernel's clock, to what the calibration may be off by.
                let before = clock::kernel();
                let reported = tsc.scale().at(clock::ticks_in_order());
                let after = clock::kernel();
                let off = 10_000_000;
                assert!(before <= reported + off && reported <= after + off, "{before} {reported} {after}");
            }
            Err(e) => assert!(!e.to_string().contains('\n')),
        }
    }
}
