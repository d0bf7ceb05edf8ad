use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// SO_PREFER_BUSY_POLL: the program promises to poll, and the kernel keeps the device's interrupt off as long as it
    /// does. SO_BUSY_POLL_BUDGET sets how many packets a poll may take.
    /// ## Why it matters
    /// Without it, softirq and the polling program compete for the same queue. It acts only with nic.gro-flush-timeout
    /// and nic.napi-defer-hard-irqs: the timeout is how long the kernel waits for the next poll.
    /// ## Cost
    /// It needs CAP_NET_ADMIN. If the program stops polling, the packets of that queue wait for the timeout, including
    /// those of other programs.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.prefer-busy-poll";
    kernels "5.11.."; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket; the busy-poll and af-xdp engines do";
    also ["SO_PREFER_BUSY_POLL"];
    sources [
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation",
        "net/core/sock.c in linux 6.1, 6.12: sk_setsockopt, SO_PREFER_BUSY_POLL",
        "not confirmed: 5.11 as its first release (read: present in 6.1)",
    ];
}
