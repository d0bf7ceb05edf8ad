//! The `io-uring` engine: sends and receives on a connected socket through a submission and a completion ring.
//!
//! ## What it does
//! Sleeping, or with a multishot receive, it keeps one receive armed at all times and submits its successor together with the
//! next send, so a round trip costs one system call to send and one to wait. Spinning, each try to receive is a system call. The
//! socket is connected, as in the other socket engines.
//!
//! ## What it needs from the kernel, and what it does without it
//! | what | since | otherwise |
//! |---|---|---|
//! | `IORING_OP_SEND`, `IORING_OP_RECV` (probed by `IORING_REGISTER_PROBE`) | 5.6 | unavailable |
//! | `IORING_SETUP_SINGLE_ISSUER` with `DEFER_TASKRUN` | 6.1 | `COOP_TASKRUN` (5.19), else plain |
//! | waiting with a timeout in one call (`IORING_FEAT_EXT_ARG`) | 5.11 | poll(2) on the ring |
//! | a registered file | 5.1 | the plain descriptor |
//! | a registered ring (`IORING_REGISTER_RING_FDS`) | 5.18 | the plain descriptor |
//! | multishot receive with provided buffers | 6.0 | one receive for each message |
//! | NAPI busy polling, its instances found by the kernel / named by this program | 6.9 / 6.13 | none |
//! | zero-copy send | 6.0 | a copy |
//!
//! Deferred task work matters: without it, spinning on the completion ring measured a P50 of 36 µs on veth, against 7.4 µs
//! with it. With neither flag the completion also interrupts the thread, by an IPI where it runs on another CPU.
//!
//! ## Options
//! `io-uring` alone spins: each turn submits a receive that does not wait, so that no task work comes between, and none is
//! submitted with a send, which it would hold up. What is left above the engine `spin` is the kernel's own work for a request,
//! as the bare loop of `bench/engines` shows. Others are
//! asked for behind a colon, joined by `+`, also several in one list (`--engine io-uring,io-uring:sleep,io-uring:multishot+napi`);
//! `bench/engines` compares them:
//!
//! | word | what |
//! |---|---|
//! | `spin`, `sleep` | spin, or sleep in the kernel |
//! | `multishot` | one receive request for all messages; the kernel takes a buffer for each from a ring; spinning then looks at the completion ring |
//! | `sqpoll` | a kernel thread takes the submissions: no system call to send, and a second core burnt. Where that thread finds no CPU of its own (0.5 ms without taking anything), this end sleeps instead of spinning, and says so |
//! | `napi`, `napi-static` | busy polling of the NIC's queue while the ring waits, for `--busy-poll` (50 µs); it sleeps unless `spin` follows |
//! | `send-zc` | zero-copy send |
//!
//! Each is tried on the ring, and what was granted, refused and not asked for is in the result, with the reason. Zero-copy
//! receive (`IORING_OP_RECV_ZC`, 6.15) is looked for and not used: it takes TCP alone, from a queue that is given to the
//! ring. ICMP is left to the socket engines. Kernel timestamps need `recvmsg` and are not taken here.
//!
//! io_uring is not a bypass: the packets go through the same stack.
//!
//! ## What it gives up
//! Bypass: none.
//! - system call filters: seccomp and strace see `io_uring_enter`, not the sends and receives in the ring
//!
//! Sources: io_uring_setup(2), io_uring_enter(2), io_uring_register(2), io_uring_prep_recv(3) of liburing ("Available
//! since"); Documentation/networking/iou-zcrx.rst in linux 6.18: Introduction; linux commit 6bf90bd8c58a: io_uring/napi: add
//! static napi tracking strategy (November 2024, so 6.13).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod buffer;
mod engine;
mod messages;
mod ring;
mod stream;
mod zerocopy;

pub use engine::{open, open_with};
pub use messages::{Arrived, MessageParts, MessageRing};
pub use ring::{RingOptions, Tracking, UNREGISTER_FILES};
pub use zerocopy::SendZcSender;

/// Name in `--engine` and in results.
pub const NAME: &str = "io-uring";
/// What it costs its user.
pub const COSTS: &str = "no bypass: every packet takes the whole stack; kernel.io_uring_disabled or a container's seccomp \
                         filter may forbid it";
