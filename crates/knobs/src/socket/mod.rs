//! Socket options, which only a program can set: explained only.

pub(crate) mod busy_poll;
pub(crate) mod iopoll;
pub(crate) mod nonblock;
pub(crate) mod sqpoll;
pub(crate) mod timestamping;
pub(crate) mod zerocopy;
