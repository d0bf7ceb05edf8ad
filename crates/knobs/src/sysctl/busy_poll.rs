use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that poll, select and epoll spin on device queues before they sleep. poll and select spin only for
    /// sockets with SO_BUSY_POLL: set it on them, or `busy_read` for all. epoll spins when this sysctl or its own
    /// parameters (EPIOCSPARAMS, 6.9) are set.
    /// ## Why it matters
    /// It takes the interrupt and the wake-up out of the receive path, on devices with NAPI. The kernel's documentation
    /// recommends 50 for a few sockets and 100 for hundreds.
    /// ## Cost
    /// A busy core for each waiting thread, on the whole host: the sysctl belongs to no network namespace, and its file
    /// is visible only in the initial one. SO_BUSY_POLL or EPIOCSPARAMS do it for one program.
    /// ## Example
    /// `0 -> 50` writes `/proc/sys/net/core/busy_poll = 50`
    "sysctl.net.core.busy_poll";
    kernels "3.11.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.busy_poll");
    value Value::Number(0, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: busy_poll",
        "Documentation/networking/napi.rst in linux 6.12: Busy polling",
        "fs/eventpoll.c in linux 6.12: ep_busy_loop_on",
        "include/net/busy_poll.h in linux 6.12: busy_loop_timeout",
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation",
    ];
    needs ["nic.napi-defer-hard-irqs", "nic.gro-flush-timeout"];
}
