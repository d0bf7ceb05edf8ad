use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds poll, select and epoll spin on device queues, of sockets with SO_BUSY_POLL alone: set it on them, or
    /// `busy_read` for all.
    /// ## Why it matters
    /// Takes the interrupt and the wake-up out of the receive path, on devices with NAPI.
    /// ## Cost
    /// A busy core per waiting thread, on the whole host; SO_BUSY_POLL does it for one socket.
    /// ## Example
    /// `0 -> 50` writes `/proc/sys/net/core/busy_poll = 50`
    "sysctl.net.core.busy_poll";
    kernels "3.11.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.core.busy_poll");
    value Value::Number(0, 2_147_483_647);
    words "microseconds spun before sleeping: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/net.html", "https://docs.kernel.org/networking/napi.html", "fs/eventpoll.c (v6.9): ep_busy_loop_on"];
}
