//! The few questions that are C calls.
#![allow(unsafe_code)] // clock_gettime, adjtimex, uname: std has none of them

use std::ffi::CStr;
use std::mem;

use crate::query::{ClockState, Uname};

/// `CLOCK_MONOTONIC`, ns.
pub(super) fn monotonic_ns() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a live, writable timespec. CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut t) };
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}

/// The kernel's view of its clock.
pub(super) fn clock() -> std::io::Result<ClockState> {
    // SAFETY: all-zero is a valid timex: modes 0 asks and sets nothing.
    let mut t: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: `t` is a live, writable timex.
    if unsafe { libc::adjtimex(&raw mut t) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let us = u64::try_from(t.esterror).unwrap_or(0);
    // esterror is in microseconds whatever STA_NANO says (kernel/time/ntp.c, ntp_update_esterror).
    Ok(ClockState { synchronized: t.status & libc::STA_UNSYNC == 0, estimated_error_ns: us.saturating_mul(1000) })
}

/// Kernel identity.
pub(super) fn uname() -> std::io::Result<Uname> {
    // SAFETY: all-zero is a valid utsname.
    let mut u: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: `u` is a live, writable utsname.
    if unsafe { libc::uname(&raw mut u) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let text = |field: &[libc::c_char]| {
        // SAFETY: the kernel ends every field with a zero byte inside the array.
        unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned()
    };
    Ok(Uname { release: text(&u.release), version: text(&u.version), machine: text(&u.machine) })
}
