//! Ctrl-C and SIGTERM: one flag that every loop looks at. What was applied is rolled back by the command that applied
//! it; the handler itself only sets the flag, because nothing else is safe in a signal handler.
#![allow(unsafe_code)] // sigaction has no safe form in libc

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    STOP.store(true, Ordering::SeqCst);
}

/// The flag that SIGINT, SIGTERM and SIGHUP set, after [`install`].
pub fn stop() -> &'static AtomicBool {
    &STOP
}

/// Installs the handlers, without `SA_RESTART`: a blocking receive must return so that its loop sees the flag. A
/// SIGHUP that is ignored from the start stays so (`nohup`). SIGINT does not, though a shell's background jobs begin with it
/// ignored: whoever sends it by hand wants the settings back.
///
/// SIGPIPE stays ignored, as Rust's runtime leaves it: a reader of our output that goes away (`| head`) must not end a
/// process that has settings to put back.
pub fn install() {
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
