use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IORING_REGISTER_NAPI: a waiting ring spins on the device queues of its sockets, for at most 10 ms.
    /// ## Why it matters
    /// Busy polling for io_uring: it takes the interrupt and the wake-up out of the path.
    /// ## Cost
    /// A busy core while it waits. Refused (EINVAL) on a ring with IOPOLL.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.io-uring-napi";
    kernels "6.9.."; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program registers it for its own ring; the io-uring engine shows what it gains";
    also ["REGISTER_NAPI"];
    sources [
        "io_uring/napi.c in linux 6.12: io_register_napi",
        "include/uapi/linux/io_uring.h in linux 6.12: IORING_REGISTER_NAPI (not in 6.1)",
        "not confirmed: 6.9 as its first release",
    ];
}
