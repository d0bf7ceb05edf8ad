use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IORING_OP_SEND_ZC: MSG_ZEROCOPY as an operation of io_uring; the notification comes as a second completion.
    /// ## Why it matters
    /// Like MSG_ZEROCOPY, it pays off for sends of some 10 kB and more; `lowlat measure TARGET --zerocopy` finds the size
    /// on a path.
    /// ## Cost
    /// Two completions for each send; the program may not touch the buffer before the second.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.send-zc";
    kernels "6.0.."; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program chooses it for its own sends; the io-uring engine shows what it gains";
    also ["SEND_ZC"];
    sources [
        "man 2 io_uring_enter (IORING_OP_SEND_ZC)",
        "include/uapi/linux/io_uring.h in linux 6.1, 6.12: IORING_OP_SEND_ZC",
    ];
}
