//! What this process may do.

use lowlat_model::Capability;

pub use lowlat_os::identity::effective_capabilities;

/// What to do where the kernel says that this process may not do what needs these.
pub fn next_where_denied(needed: &[Capability]) -> String {
    lowlat_model::capability::next_where_denied(needed, effective_capabilities())
}

/// Whether this process is user 0, who owns the files of the kernel and needs no capability for them as such.
pub fn is_user_zero() -> bool {
    rustix::process::geteuid().is_root()
}
