use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Smallest retransmission timeout of TCP, in microseconds; 200000 by default. The `rto_min` of a route takes
    /// precedence, then the TCP_BPF_RTO_MIN of a BPF program, then this value. It acts on sockets created afterwards,
    /// and the kernel rounds it up to clock ticks.
    /// ## Why it matters
    /// Where round trips take microseconds, a lost last segment waits 200 ms for its retransmission. It matters only
    /// where segments are lost; fix the loss first.
    /// ## Cost
    /// Too small a timeout retransmits segments that were merely late: a peer may hold an acknowledgement back for 40
    /// ms (its delayed ACK), and the kernel limits its own delayed ACK by this value.
    /// ## Example
    /// `200000 -> 5000` writes `/proc/sys/net/ipv4/tcp_rto_min_us = 5000`
    "sysctl.net.ipv4.tcp_rto_min_us";
    kernels "6.11.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_rto_min_us");
    value Value::Number(1, 2_147_483_647);
    also ["tcp_rto_min_us"];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_rto_min_us",
        "net/ipv4/sysctl_net_ipv4.c in linux 6.12: tcp_rto_min_us (from 1)",
        "net/ipv4/sysctl_net_ipv4.c in linux 6.1: no tcp_rto_min_us",
        "include/net/tcp.h in linux 6.12: tcp_rto_min",
        "not confirmed: that 6.11 was the first release with it (read: absent in 6.1, present in 6.12)",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_delack_max",
        "net/ipv4/tcp.c in linux 6.12: tcp_init_sock (icsk_rto_min, usecs_to_jiffies)",
    ];
}
