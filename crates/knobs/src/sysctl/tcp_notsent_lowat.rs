use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Bytes written and not yet sent from which on a TCP socket counts as not writable and sendmsg adds no new buffer.
    /// The default is not a bound (4294967295); TCP_NOTSENT_LOWAT sets it for one socket. A change acts at once, on
    /// sockets that exist too.
    /// ## Why it matters
    /// Keeps data in the program, where a newer message can still overtake, instead of in the kernel.
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
