//! Socket options, which only a program can set: explained only.

pub(crate) mod busy_poll;
pub(crate) mod iopoll;
pub(crate) mod nodelay;
pub(crate) mod nonblock;
pub(crate) mod prefer_busy_poll;
pub(crate) mod quickack;
pub(crate) mod recv_zc;
pub(crate) mod send_zc;
pub(crate) mod sqpoll;
pub(crate) mod timestamping;
pub(crate) mod uring_napi;
pub(crate) mod zerocopy;
