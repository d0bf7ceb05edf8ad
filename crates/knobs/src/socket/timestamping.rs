use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// SO_TIMESTAMPING: asks for timestamps of this socket's packets: when they were scheduled, handed to the device,
    /// sent by it, and received.
    /// ## Why it matters
    /// It splits a round trip into its stages; lowlat's measurement uses it. Hardware timestamps also need
    /// nic.hw-timestamping on the interface.
    /// ## Cost
    /// A message on the error queue for each timestamp of a sent packet. The program has to read it, and it counts
    /// against the receive buffer.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.timestamping";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket; measure does";
    also ["SO_TIMESTAMPING"];
    sources [
        "Documentation/networking/timestamping.rst in linux 6.12: 1.3 SO_TIMESTAMPING; 2.1.1 Transmit timestamps with MSG_ERRQUEUE",
    ];
}
