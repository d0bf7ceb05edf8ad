//! Ctrl-C and SIGTERM: one flag that every loop looks at. What was applied is rolled back by the command that applied
//! it; the handler only sets the flag.
//!
//! As long as nothing is at stake ([`at_stake`]), there is nothing to wind down, and the handler ends the program itself,
//! whatever call it waits in: a name server, a connection, a window of rates. write(2) and _exit(2) are safe in a handler
//! (signal-safety(7)).
#![allow(unsafe_code)] // sigaction has no safe form in libc

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

static STOP: AtomicBool = AtomicBool::new(false);

/// Something would be left half-done or untold.
static AT_STAKE: AtomicBool = AtomicBool::new(false);
const ENDED: &[u8] = b"lowlat: interrupted by a signal: nothing was changed; run it again\n";

extern "C" fn on_signal(_: libc::c_int) {
    STOP.store(true, Ordering::SeqCst);
    if !AT_STAKE.load(Ordering::SeqCst) {
        // SAFETY: both calls are safe in a signal handler; the bytes are static.
        unsafe {
            libc::write(2, ENDED.as_ptr().cast(), ENDED.len());
            libc::_exit(2);
        }
    }
}

/// From now on a signal only sets the flag, and the loops that look at it put back, remove or tell what they have to.
pub fn at_stake() {
    AT_STAKE.store(true, Ordering::SeqCst);
}

/// The flag that SIGINT, SIGTERM and SIGHUP set, after [`install`].
pub fn stop() -> &'static AtomicBool {
    &STOP
}

/// From now on a signal ends the program; one that has come already is the failure.
pub fn at_ease() -> Result<(), Failure> {
    AT_STAKE.store(false, Ordering::SeqCst);
    if stopped() { Err(Failure::new("interrupted by a signal: nothing was changed; run it again")) } else { Ok(()) }
}

/// Installs the handlers, without `SA_RESTART`: a blocking receive must return so that its loop sees the flag. A
/// SIGHUP that is ignored from the start stays so (`nohup`). SIGINT does not, though a shell's background jobs begin with it
/// ignored: whoever sends it by hand wants the settings back.
///
/// SIGPIPE stays ignored, as Rust's runtime leaves it: a reader of our output that goes away (`| head`) must not end a
/// process that has settings to put back.
pub fn install() {
    lowlat_sys::end_waits_on(&STOP);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the struct is zeroed and then filled as sigaction(2) asks; the handler only stores to an atomic.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut action);
            if signal == libc::SIGHUP && action.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            action = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Lets Ctrl-C end the program at once, as while it asks: nothing was done yet.
pub fn end_at_once() {
    // SAFETY: SIGINT's default disposition is set; no handler is involved.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
}

/// Lets a reader that goes away end the program, like any other filter: for what writes on and on and changes nothing.
pub fn end_with_the_reader() {
    // SAFETY: SIGPIPE's default disposition is set; no handler is involved.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Whether a stop was asked for.
pub fn stopped() -> bool {
    STOP.load(Ordering::SeqCst)
}
