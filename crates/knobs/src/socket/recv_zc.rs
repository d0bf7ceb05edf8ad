use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// IORING_OP_RECV_ZC: the device writes payload directly into the program's memory.
    /// ## Why it matters
    /// It saves the copy of large receives. It needs header split, and a queue of its own with flows steered to it; few
    /// devices have both. A small message gains nothing.
    /// ## Cost
    /// A receive queue that serves only this program.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.recv-zc";
    kernels "6.15.."; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "it needs header split, a queue of its own and flow steering; few devices have them, and small messages gain nothing";
    also ["RECV_ZC", "zcrx"];
    sources [
        "https://docs.kernel.org/networking/iou-zcrx.html (Setup NIC)",
        "include/uapi/linux/io_uring.h in linux 6.12: no IORING_OP_RECV_ZC",
        "not confirmed: 6.15 as its first release (absent in 6.12, present in 6.18)",
    ];
}
