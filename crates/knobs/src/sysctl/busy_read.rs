use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that a blocking socket read spins on its device queue before it sleeps: the default of SO_BUSY_POLL
    /// for sockets created afterwards. Existing sockets keep theirs.
    /// ## Why it matters
    /// It takes the interrupt and the wake-up out of the receive path, on devices with NAPI. The kernel's documentation
    /// recommends 50 for the whole host, but prefers the socket option.
    /// ## Cost
    /// A busy core for each waiting thread, on the whole host: the sysctl belongs to no network namespace, and its file
    /// is visible only in the initial one. SO_BUSY_POLL does it for one socket. Without CONFIG_NET_RX_BUSY_POLL the
    /// file does not exist.
    /// ## Example
    /// `0 -> 50` writes `/proc/sys/net/core/busy_read = 50`
    "sysctl.net.core.busy_read";
    kernels "3.11.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.core.busy_read");
    value Value::Number(0, 2_147_483_647);
    also [];
    sources [
        "Documentation/admin-guide/sysctl/net.rst in linux 6.12: busy_read",
        "Documentation/networking/napi.rst in linux 6.12: Busy polling",
        "net/core/sock.c in linux 6.1, 6.12: sock_init_data_uid (sk_ll_usec)",
        "Documentation/networking/napi.rst in linux 6.12: IRQ mitigation",
    ];
    needs ["nic.napi-defer-hard-irqs", "nic.gro-flush-timeout"];
}
