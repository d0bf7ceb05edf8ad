use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// EPIOCSPARAMS: an epoll instance busy-polls with its own time and budget, and may ask for preferred busy polling,
    /// without `net.core.busy_poll` for the whole host.
    /// ## Why it matters
    /// A program that waits in epoll gets what SO_BUSY_POLL gives to a read. All its sockets have to receive through
    /// one NAPI instance (`SO_INCOMING_NAPI_ID`), so use one epoll instance for each queue.
    /// ## Cost
    /// A busy core while it waits. A budget above 64 needs CAP_NET_ADMIN.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.epoll-busy-poll";
    kernels "6.9.."; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own epoll instance";
    also ["EPIOCSPARAMS", "epoll_params", "SO_INCOMING_NAPI_ID"];
    sources [
        "Documentation/networking/napi.rst in linux 6.13: epoll-based busy polling",
        "fs/eventpoll.c in linux 6.12: ep_eventpoll_bp_ioctl",
        "not confirmed: 6.9 as its first release",
    ];
}
