use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// The PTP daemon. `-H`, its default, uses the device's timestamps, `-S` uses software timestamps.
    /// ## Why it matters
    /// One-way delays need clocks that agree. `-S`, which tuning lists recommend, gives up the device's timestamps and
    /// with them most of the accuracy.
    /// ## Cost
    /// Two daemons that set the same clock conflict (chrony, systemd-timesyncd).
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
