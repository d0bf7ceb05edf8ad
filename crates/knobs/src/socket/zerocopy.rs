use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// SO_ZEROCOPY, then MSG_ZEROCOPY at each send: sends from the program's own pages.
    /// ## Why it matters
    /// It pays off from some 10 kB on, never for small messages: pinning pages costs more than copying them. `lowlat
    /// measure TARGET --zerocopy` finds the size on a path.
    /// ## Cost
    /// A notification for each send; the program may not touch the buffer until it arrives. The kernel may copy anyway
    /// (loopback, taps, devices without scatter-gather) and reports this with SO_EE_CODE_ZEROCOPY_COPIED; `ss` does not
    /// show it.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.zerocopy";
    kernels "4.14.."; phase 3; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket";
    also ["SO_ZEROCOPY", "MSG_ZEROCOPY"];
    sources [
        "Documentation/networking/msg_zerocopy.rst in linux 6.12: Opportunity and Caveats, Deferred copies, Loopback",
    ];
}
