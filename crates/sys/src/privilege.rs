//! What this process may do.

use lowlat_model::Capability;

pub use lowlat_os::identity::effective_capabilities;

/// What to do where the kernel says that this process may not do what needs these.
pub fn next_where_denied(needed: &[Capability]) -> String {
    lowlat_model::capability::next_where_denied(needed, effective_capabilities())
}
