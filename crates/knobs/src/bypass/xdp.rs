use lowlat_settings::{ByEngine, Part};

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Attaches to an interface a program that takes packets before the network stack processes them.
    /// ## Why it matters
    /// An AF_XDP socket gets its packets from such a program. `ip link … xdp` falls back to generic mode, which runs
    /// after the driver and gains nothing; `xdpdrv` fails instead. A socket without XDP_ZEROCOPY falls back to copying
    /// in the same way.
    /// ## Cost
    /// The packets that it takes bypass firewall, routing and taps. Attaching resets the queues on some drivers.
    /// ## Example
    /// lowlat explains it and never writes it.
    "bypass.xdp";
    kernels "any"; phase 3; risk Low; resets_link false; standing Elsewhere;
    place ByEngine(Part::Xdp);
    value Value::None;
    refusal "the af-xdp engine attaches its own program and takes it off again";
    also ["XDP", "AF_XDP"];
    sources [
        "Documentation/networking/af_xdp.rst in linux 6.12: Overview; XDP_COPY and XDP_ZEROCOPY bind flags",
        "man 8 ip-link (xdp, xdpgeneric, xdpdrv)",
    ];
}
