//! Ctrl-C and SIGTERM: one flag that every loop looks at. What was applied is rolled back by the command that applied
//! it; the handler only sets the flag.
//!
//! As long as nothing is at stake ([`at_stake`]), there is nothing to wind down, and the handler ends the program
//! itself, whatever call it waits in: a name server, a connection, a window of rates.

use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_os::signal::{self, Stop};

use crate::Failure;

static STOP: Stop = Stop::new(b"lowlat: interrupted by a signal: nothing was changed; run it again\n", 2);

/// From now on a signal only sets the flag, and the loops that look at it put back, remove or tell what they have to.
pub fn at_stake() {
    STOP.set_at_stake(true);
}

/// The flag that SIGINT, SIGTERM and SIGHUP set, after [`install`].
pub fn stop() -> &'static AtomicBool {
    STOP.asked()
}

/// From now on a signal ends the program; one that has come already is the failure.
pub fn at_ease() -> Result<(), Failure> {
    STOP.set_at_stake(false);
    if stopped() { Err(Failure::new("interrupted by a signal: nothing was changed; run it again")) } else { Ok(()) }
}

/// Installs the handlers, without `SA_RESTART`: a blocking receive must return so that its loop sees the flag. A
/// SIGHUP that is ignored from the start stays so (`nohup`). SIGINT does not, though a shell's background jobs begin
/// with it ignored: whoever sends it by hand wants the settings back.
///
/// SIGPIPE stays ignored, as Rust's runtime leaves it: a reader of our output that goes away (`| head`) must not end a
/// process that has settings to put back.
pub fn install() {
    lowlat_sys::end_waits_on(stop());
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        if signal != libc::SIGHUP || !signal::is_ignored(signal) {
            // Cannot fail for signals that can be caught.
            let _ = STOP.handle(signal);
        }
    }
}

/// Lets Ctrl-C end the program at once, as while it asks: nothing was done yet.
pub fn end_at_once() {
    let _ = signal::by_default(libc::SIGINT);
}

/// Lets a reader that goes away end the program, like any other filter: for what writes on and on and changes nothing.
pub fn end_with_the_reader() {
    let _ = signal::by_default(libc::SIGPIPE);
}

/// Whether standard input, a pipe that nobody writes to, has lost its other end. Does not wait.
pub fn input_ended() -> bool {
    lowlat_transport::os::wait_readable(&mut [lowlat_transport::os::Waiting::on(&std::io::stdin())], 0).unwrap_or(false)
}

/// Whether a stop was asked for.
pub fn stopped() -> bool {
    stop().load(Ordering::SeqCst)
}
