use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IORING_SETUP_IOPOLL: polls for completions of storage devices.
    /// ## Why it matters
    /// Not for sockets: the kernel completes a send or receive on such a ring with EINVAL, and refuses NAPI polling on
    /// it.
    /// ## Cost
    /// No send or receive works.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.iopoll";
    kernels "5.1.."; phase 3; risk Low; resets_link false; standing Harmful;
    place Nowhere;
    value Value::None;
    refusal "not for sockets: a send on such a ring completes with EINVAL";
    also ["IOPOLL"];
    sources [
        "man 2 io_uring_setup (IORING_SETUP_IOPOLL)",
        "io_uring/io_uring.c in linux 6.12: io_init_req (EINVAL for opcodes without iopoll)",
        "io_uring/napi.c in linux 6.12: io_register_napi",
    ];
}
