//! What this process may do.

use lowlat_model::Capability;

/// The calling thread's effective capabilities, bit N for number N; none where the kernel does not say.
pub fn effective_capabilities() -> u64 {
    rustix::thread::capabilities(None).map_or(0, |sets| sets.effective.bits())
}

/// What to do where the kernel says that this process may not do what needs these.
pub fn next_where_denied(needed: &[Capability]) -> String {
    lowlat_model::capability::next_where_denied(needed, effective_capabilities())
}
