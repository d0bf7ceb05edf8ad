//! What this process may do to the host.

use lowlat_model::capability::{self, Capability};

use crate::Failure;

/// What a change of the host needs, by what it changes: interfaces and the network's settings, files of root. Which of
/// the two a plan or a journal needs, its writes say.
const OF_A_CHANGE: [Capability; 2] = [Capability::NetAdmin, Capability::DacOverride];

/// Refuses where this process lacks any of the capabilities that the command needs.
pub fn need(what: &str, needed: &[Capability], otherwise: &str) -> Result<(), Failure> {
    match capability::missing(needed, lowlat_sys::effective_capabilities()) {
        None => Ok(()),
        Some(lacks) => Err(Failure::new(format!(
            "{what}: it changes the host, and this process lacks {lacks}; run it with sudo, {otherwise}"
        ))),
    }
}

/// Refuses where this process can change nothing.
pub fn need_change(what: &str, otherwise: &str) -> Result<(), Failure> {
    if may_change() { Ok(()) } else { need(what, &OF_A_CHANGE, otherwise) }
}

/// Whether this process can change anything: by a capability, or as the owner of the kernel's files.
pub fn may_change() -> bool {
    let effective = lowlat_sys::effective_capabilities();
    lowlat_sys::is_user_zero() || OF_A_CHANGE.iter().any(|c| c.is_in(effective))
}
