use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Bytes of its own data that one TCP connection may have below the socket, in the queue discipline and the device
    /// (TCP small queues). 1048576 by default up to 6.15, 4194304 from 6.16. Up to 6.15 it limits connections without
    /// pacing, from 6.16 on also those with it. The kernel takes the smaller of this value and what the pacing rate
    /// sends in about a millisecond; whatever the value, a connection with at most one unacknowledged packet may send
    /// one more, and a packet may be an offloaded one of up to 64 KiB. It acts on every connection of the network
    /// namespace.
    /// ## Why it matters
    /// All bulk connections together may fill the queue in which a probe then waits. A lower limit shortens that queue
    /// at its source, without a single drop, even where the kernel has no fair queue.
    /// ## Cost
    /// Throughput of every bulk connection of the namespace on a fast link: each then waits for a transmit completion
    /// after two packets.
    /// ## Example
    /// `4194304 -> 4096` writes `/proc/sys/net/ipv4/tcp_limit_output_bytes = 4096`
    "sysctl.net.ipv4.tcp_limit_output_bytes";
    kernels "3.6.."; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("net.ipv4.tcp_limit_output_bytes");
    value Value::Number(0, 2_147_483_647);
    also [];
    sources [
        "Documentation/networking/ip-sysctl.rst in linux 6.12: tcp_limit_output_bytes",
        "net/ipv4/tcp_output.c in linux 6.12: tcp_small_queue_check",
        "linux commit c4221a8cc3a719a3926a330c4fe15e2b15abe662: tcp: always use tcp_limit_output_bytes limitation (6.16)",
        "linux commit 9ea3bfa61b09e5ae4802661fa9a54438c615c096: tcp: increase tcp_limit_output_bytes default value to 4MB (6.16)",
        "measured: linux 6.18, default 4194304",
    ];
}
