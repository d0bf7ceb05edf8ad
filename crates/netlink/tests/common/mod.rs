//! A thread in a network namespace of its own.
#![allow(unsafe_code)] // unshare: std has no namespaces

use std::io;

/// Runs `f` in a thread with a fresh network namespace, loopback down, which ends with it. Under `LOWLAT_REQUIRE_ROOT=1`
/// a missing privilege fails the test; otherwise it says on stderr that it did not run.
pub(crate) fn in_netns(f: impl FnOnce() + Send) {
    std::thread::scope(|s| {
        let outcome = s
            .spawn(|| {
                // SAFETY: no pointers; it moves only this thread.
                if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
                    let e = io::Error::last_os_error();
                    assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: {e}");
                    eprintln!("NOT RUN: no network namespace: {e}");
                    return;
                }
                f();
            })
            .join();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}
