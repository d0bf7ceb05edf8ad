use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Bytes of its own data that one TCP connection may have below the socket, in the queue discipline and the device
    /// (TCP small queues).
    /// ## Why it matters
    /// All bulk connections together may fill the queue that a probe then waits in. A lower bound shortens that queue
    /// at its source, without a single drop, also where the kernel has no fair queue.
    /// ## Cost
    /// Throughput of bulk connections on fast links, which then wait for transmit completions.
    /// ## Example
    /// `4194304 -> 4096` writes `/proc/sys/net/ipv4/tcp_limit_output_bytes = 4096`
    "sysctl.net.ipv4.tcp_limit_output_bytes";
    kernels "3.6.."; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Sysctl("net.ipv4.tcp_limit_output_bytes");
    value Value::Number(0, 2_147_483_647);
    words "bytes of one connection below its socket: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/ip-sysctl.html (tcp_limit_output_bytes)", "net/ipv4/tcp_output.c (v6.12): tcp_small_queue_check"];
}
