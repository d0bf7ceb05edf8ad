use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Microseconds a blocking socket read spins on its device queue before it sleeps: the default of SO_BUSY_POLL
    /// for sockets made afterwards. Those that exist keep theirs.
    /// ## Why it matters
    /// Takes the interrupt and the wake-up out of the receive path, on devices with NAPI.
    /// ## Cost
    /// A busy core per waiting thread, on the whole host; SO_BUSY_POLL does it for one socket.
    /// ## Example
    /// `0 -> 50` writes `/proc/sys/net/core/busy_read = 50`
    "sysctl.net.core.busy_read";
    kernels "3.11.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::Sysctl("net.core.busy_read");
    value Value::Number(0, 2_147_483_647);
    words "microseconds spun before sleeping: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/admin-guide/sysctl/net.html", "https://docs.kernel.org/networking/napi.html", "net/core/sock.c (v6.1): sock_init_data"];
}
