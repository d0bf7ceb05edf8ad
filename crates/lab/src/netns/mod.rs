//! Two private network namespaces joined by a veth link: the demo's and the tests' hosts.
//!
//! The near node is the calling process itself, after [`enter_private`]; the far node is a child process in a namespace
//! of its own. Neither namespace has a name or a mount: both vanish with their processes, also after `kill -9`, and the
//! far child dies with its parent (`PR_SET_PDEATHSIG`). Nothing is left for a next run to clean up.

mod enter;
mod far;
mod half;
mod link;

pub use enter::{LabError, enter_private};
pub use far::{Far, FarNode};
pub use half::FAR_ADDRESS;
pub use link::{FAR_LINK, NEAR_ADDRESS, NEAR_LINK, join, join_nics};
