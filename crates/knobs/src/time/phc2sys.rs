use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Sets the system clock from the device's clock. `-w` waits until ptp4l is synchronized, and takes the offset to
    /// UTC from it.
    /// ## Why it matters
    /// One-way delays are read from the system clock, which must follow the device's clock.
    /// ## Cost
    /// Two daemons that set the same clock conflict (chrony, systemd-timesyncd).
    /// ## Example
    /// lowlat explains it and never writes it.
    "time.phc2sys";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a service of its own; lowlat reads its state";
    also ["phc2sys"];
    sources [
        "man 8 phc2sys (-w; linuxptp 3.1.1)",
    ];
}
