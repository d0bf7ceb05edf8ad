use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// The PTP daemon. `-H` uses hardware stamps, `-S` software ones.
    /// ## Why it matters
    /// One-way delays need clocks that agree.
    /// ## Cost
    /// Two daemons that set one clock fight (chrony, systemd-timesyncd).
    /// ## Example
    /// lowlat explains it and never writes it.
    "time.ptp4l";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Place::Nowhere;
    value Value::None;
    words "a service of its own; lowlat reads its state";
    refusal "a service of its own; lowlat reads its state";
    sources ["https://linuxptp.nwtime.org/documentation/ptp4l/"];
}
