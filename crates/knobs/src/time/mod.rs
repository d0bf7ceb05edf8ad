//! Clock daemons, explained only.

pub(crate) mod phc2sys;
pub(crate) mod ptp4l;
