use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Written but unsent bytes at which a TCP socket stops being writable and sendmsg adds no new buffer. The default
    /// (4294967295) is no limit; TCP_NOTSENT_LOWAT sets it for one socket. A change acts at once, also on existing
    /// sockets.
    /// ## Why it matters
    /// It keeps data in the program, where a newer message can still overtake it, instead of in the kernel.
    /// ## Cost
    /// More wake-ups of the writer.
    /// ## Example
    /// `4294967295 -> 16384` writes `/proc/sys/net/ipv4/tcp_notsent_lowat = 16384`
    "sysctl.net.ipv4.tcp_notsent_lowat";
    kernels "3.12.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_notsent_lowat");
    value Value::Number(0, 4_294_967_295);
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_notsent_lowat",
        "net/ipv4/tcp_ipv4.c in linux 6.12: tcp_sk_init (UINT_MAX)",
    ];
}
