use lowlat_settings::channels;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Number of queue pairs, each with its own interrupt.
    /// ## Why it matters
    /// It does not switch RSS on: RSS is already on where there are several queues. For low latency, the kernel's
    /// documentation names as many queues as there are CPUs, or the device's maximum if that is less. Fewer queues
    /// concentrate more flows on chosen cores.
    /// ## Cost
    /// The driver frees and allocates its queues: affinities, RPS, XPS, flow rules and XDP sockets are lost or reset,
    /// and packets are lost meanwhile (ENA: less than a millisecond).
    /// ## Example
    /// `8 -> 4` runs `ethtool -L IF combined 4`
    "nic.channels.combined";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place channels::Channels("combined");
    value Value::Number(1, 4096);
    also ["channels", "combined", "RSS"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: CHANNELS_SET",
        "Documentation/networking/scaling.rst in linux 6.12: RSS: Receive Side Scaling, Suggested Configuration",
        "https://github.com/amzn/amzn-drivers/blob/365c58ba5cf538aba14f1661e471b5cfc07c9548/kernel/linux/ena/ENA_Linux_Best_Practices.rst (I want fewer ENA queues)",
    ];
}
