use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// The PTP daemon. `-H`, its default, uses the device's stamps, `-S` software ones.
    /// ## Why it matters
    /// One-way delays need clocks that agree. `-S`, as tuning lists have it, gives up the device's stamps and with them
    /// most of the accuracy.
    /// ## Cost
    /// Two daemons that set one clock fight (chrony, systemd-timesyncd).
    /// ## Example
    /// lowlat explains it and never writes it.
    "time.ptp4l";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a service of its own; lowlat reads its state";
    also ["ptp4l"];
    sources [
        "man 8 ptp4l (-H, -S; linuxptp 3.1.1)",
    ];
}
