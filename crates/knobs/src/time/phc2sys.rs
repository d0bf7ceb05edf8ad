use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Sets the system clock from the device's; `-w` waits for ptp4l.
    /// ## Why it matters
    /// As ptp4l.
    /// ## Cost
    /// As ptp4l.
    /// ## Example
    /// lowlat explains it and never writes it.
    "time.phc2sys";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a service of its own; lowlat reads its state";
    refusal "a service of its own; lowlat reads its state";
    sources ["https://linuxptp.nwtime.org/documentation/phc2sys/"];
}
