//! Socket options, which only a program can set: explained only.

mod busy_poll;
mod epoll_busy_poll;
mod iopoll;
mod multicast;
mod nodelay;
mod nonblock;
mod prefer_busy_poll;
mod priority;
mod quickack;
mod recv_zc;
mod send_zc;
mod sqpoll;
mod tcp_timers;
mod timestamping;
mod uring_napi;
mod zerocopy;

use crate::Knob;

/// In the order of the reference.
pub(crate) const KNOBS: &[&Knob] = &[
    &busy_poll::KNOB,
    &prefer_busy_poll::KNOB,
    &timestamping::KNOB,
    &zerocopy::KNOB,
    &nodelay::KNOB,
    &quickack::KNOB,
    &nonblock::KNOB,
    &sqpoll::KNOB,
    &iopoll::KNOB,
    &uring_napi::KNOB,
    &send_zc::KNOB,
    &recv_zc::KNOB,
    &priority::KNOB,
    &epoll_busy_poll::KNOB,
    &multicast::KNOB,
    &tcp_timers::KNOB,
];
