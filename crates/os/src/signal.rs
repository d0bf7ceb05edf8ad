//! Signals: handlers, default actions and masks.
#![allow(unsafe_code)] // sigaction and sigprocmask have no safe form in std or rustix

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::c_int;

use crate::check_int;

/// What a signal that asks for the end does: it sets a flag that every loop looks at. While nothing is at stake it ends
/// the process itself, whatever call it waits in.
#[derive(Debug)]
pub struct Stop {
    asked: AtomicBool,
    at_stake: AtomicBool,
    words: &'static [u8],
    code: c_int,
}

/// The one that the handler acts on.
static STOP: OnceLock<&'static Stop> = OnceLock::new();

impl Stop {
    /// Nothing asked for, nothing at stake; a signal prints `words` to standard error and exits with `code`.
    pub const fn new(words: &'static [u8], code: c_int) -> Self {
        Self { asked: AtomicBool::new(false), at_stake: AtomicBool::new(false), words, code }
    }

    /// The flag that a signal sets.
    pub fn asked(&self) -> &AtomicBool {
        &self.asked
    }

    /// Whether a signal only sets the flag, and the process goes on.
    pub fn set_at_stake(&self, yes: bool) {
        self.at_stake.store(yes, Ordering::SeqCst);
    }

    /// Handles `signal` from now on, without `SA_RESTART`: a call that waits returns, so that its loop sees the flag.
    /// The first [`Stop`] of the process stays the one that is acted on.
    pub fn handle(&'static self, signal: c_int) -> io::Result<()> {
        STOP.get_or_init(|| self);
        set(signal, on_stop as *const () as libc::sighandler_t)
    }
}

extern "C" fn on_stop(_: c_int) {
    // Set before the handler was installed, so this is one atomic load.
    let Some(stop) = STOP.get() else { return };
    stop.asked.store(true, Ordering::SeqCst);
    if !stop.at_stake.load(Ordering::SeqCst) {
        // SAFETY: write(2) and _exit(2) are safe in a handler (signal-safety(7)); the bytes are static.
        unsafe {
            libc::write(2, stop.words.as_ptr().cast(), stop.words.len());
            libc::_exit(stop.code);
        }
    }
}

/// From now on `signal` ends the call that its thread sleeps in with `EINTR`, and does nothing else.
pub fn only_interrupts(signal: c_int) -> io::Result<()> {
    extern "C" fn nothing(_: c_int) {}
    set(signal, nothing as *const () as libc::sighandler_t)
}

/// Gives `signal` its default action (signal(7)).
pub fn by_default(signal: c_int) -> io::Result<()> {
    set(signal, libc::SIG_DFL)
}

/// Private, because `handler` must be one of the two above or `SIG_DFL`.
fn set(signal: c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: the structure is plain data, zeroed and then filled as sigaction(2) asks; the handlers of this module do
    // only what is safe in one.
    check_int(unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    })
    .map(drop)
}

/// Whether `signal` is ignored.
pub fn is_ignored(signal: c_int) -> bool {
    // SAFETY: plain data for which all zeroes is a value; the kernel only writes it. An error leaves it as it is.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action.sa_sigaction == libc::SIG_IGN
    }
}

/// Blocks every signal that can be (all but SIGKILL and SIGSTOP, signal(7)) in the calling thread and those it starts.
pub fn block_all() -> io::Result<()> {
    // SAFETY: the set is zeroed and then filled as sigfillset(3) asks, and outlives the call; no old set is asked for.
    let error = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut())
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn a_signal_is_caught_and_given_back() {
        let bit = 1 << (libc::SIGUSR2 - 1);
        assert_eq!(field("SigCgt:") & bit, 0);
        only_interrupts(libc::SIGUSR2).unwrap();
        assert_ne!(field("SigCgt:") & bit, 0);
        by_default(libc::SIGUSR2).unwrap();
        assert_eq!(field("SigCgt:") & bit, 0);
        // Rust's runtime ignores it.
        assert!(is_ignored(libc::SIGPIPE) && !is_ignored(libc::SIGUSR2));
        assert_eq!(only_interrupts(libc::SIGKILL).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn every_signal_is_blocked_that_can_be() {
        std::thread::spawn(|| {
            block_all().unwrap();
            let all = (1..=31).fold(0, |set, signal| set | 1u64 << (signal - 1));
            let never = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
            assert_eq!(field("SigBlk:") & all, all & !never);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_stop_is_a_flag_while_something_is_at_stake() {
        static STOP: Stop = Stop::new(b"", 2);
        STOP.set_at_stake(true);
        STOP.handle(libc::SIGUSR1).unwrap();
        assert!(!STOP.asked().load(Ordering::SeqCst));
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
        // Delivered before the call returns, or to another thread of the tests at once.
        while !STOP.asked().load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}
