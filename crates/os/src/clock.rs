//! The kernel's clocks, and the processor's time stamp counter.
#![allow(unsafe_code)] // the counter and adjtimex have no safe form, and the clocks none that survives confinement

use std::io;

/// `CLOCK_MONOTONIC`, ns; from the vDSO, so mostly without a system call.
#[inline]
pub fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// `CLOCK_MONOTONIC_RAW`, ns: the hardware's own pace, which NTP does not distort.
#[inline]
pub fn monotonic_raw() -> u64 {
    read(libc::CLOCK_MONOTONIC_RAW)
}

/// `CLOCK_REALTIME`, ns since the epoch.
#[inline]
pub fn realtime() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// CPU time of the calling thread, ns (`CLOCK_THREAD_CPUTIME_ID`); a system call.
#[inline]
pub fn thread_cpu() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// By the C library, which finds the vDSO when it is loaded. rustix looks for it at the first read, by a prctl or in
/// `/proc/self/auxv`; a thread that may do neither then makes a system call of each read, 5 % of a spinning round trip
/// of 5.8 µs with a confined far end (Linux 6.18, veth).
#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid, writable timespec; the clocks asked for here exist on every Linux since 2.6.28, so
    // the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut ts) };
    #[allow(clippy::cast_sign_loss)] // none of them is ever negative
    (ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}

/// The kernel's view of its clock (adjtimex(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDiscipline {
    /// Nobody keeps it (`STA_UNSYNC`).
    pub unsynchronized: bool,
    /// Estimated error, µs.
    pub estimated_error_us: u64,
}

/// Asks for it; sets nothing.
pub fn discipline() -> io::Result<ClockDiscipline> {
    // SAFETY: plain data for which all zeroes is a value: modes 0 asks and sets nothing; it outlives the call.
    let (time, state) = unsafe {
        let mut time: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut time);
        (time, state)
    };
    crate::check_int(state)?;
    Ok(ClockDiscipline {
        unsynchronized: time.status & libc::STA_UNSYNC != 0,
        estimated_error_us: u64::try_from(time.esterror).unwrap_or(0),
    })
}

#[cfg(target_arch = "x86_64")]
mod tsc {
    use std::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};

    /// Whether the TSC runs at one pace, whatever the processor does: "The TSC rate is ensured to be invariant across
    /// all P-States, C-States, and stop grant transitions" (AMD APM vol. 3, Fn8000_0007 EDX bit 8; Intel SDM vol. 3,
    /// 18.17.1 says the same of the same bit). `None` on another kind of processor.
    pub fn invariant() -> Option<bool> {
        #[allow(unused_unsafe)] // safe in newer toolchains
        // SAFETY: every x86-64 processor has CPUID; leaf 8000_0000h says whether the next one exists.
        let (top, power) = unsafe { (__cpuid(0x8000_0000).eax, __cpuid(0x8000_0007).edx) };
        Some(top >= 0x8000_0007 && power & (1 << 8) != 0)
    }

    /// The TSC, without a fence: the processor may read it some ns early, as it may in any program that uses it so
    /// (fences would cost as much as the kernel's clock).
    #[inline]
    pub fn ticks() -> u64 {
        // SAFETY: every x86-64 processor has it, and Linux lets user space read it (CR4.TSD is clear unless a process
        // asks for it by prctl(PR_SET_TSC)).
        unsafe { _rdtsc() }
    }

    /// The TSC, neither before nor after its neighbours (Intel SDM vol. 2, RDTSC).
    #[inline]
    pub fn ticks_in_order() -> u64 {
        // SAFETY: as above; every x86-64 processor has LFENCE.
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
    /// Another kind of processor.
    pub fn invariant() -> Option<bool> {
        None
    }

    /// There is none.
    #[inline]
    pub fn ticks() -> u64 {
        0
    }

    /// There is none.
    #[inline]
    pub fn ticks_in_order() -> u64 {
        0
    }
}

pub use tsc::{invariant, ticks, ticks_in_order};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_go_forward_and_are_three() {
        let unix = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let (before, wall, after) = (unix(), u128::from(realtime()), unix());
        assert!(before <= wall && wall <= after, "{before} {wall} {after}");
        // The other two begin with the host, so neither is the wall clock.
        for clock in [monotonic, monotonic_raw] {
            let (a, b) = (clock(), clock());
            assert!(0 < a && a <= b && u128::from(b) < wall, "{a} {b} {wall}");
        }
        assert!(discipline().is_ok(), "anybody may ask for it");
    }
}
