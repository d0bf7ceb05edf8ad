//! A thread in a network namespace of its own.

/// Runs `f` in a thread with a fresh network namespace, loopback down, which ends with it. Under
/// `LOWLAT_REQUIRE_ROOT=1` a missing privilege fails the test; otherwise it says on stderr that it did not run.
pub(crate) fn in_netns(f: impl FnOnce() + Send) {
    std::thread::scope(|s| {
        let outcome = s
            .spawn(|| {
                if let Err(e) = lowlat_os::namespace::own_network() {
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
