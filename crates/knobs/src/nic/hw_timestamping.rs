use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Lets the device stamp packets with its own clock, sent ones and all received ones.
    /// ## Why it matters
    /// Shows how much of a delay is the host's. The setting that `ethtool -K rx-timestamping` is said to make does not
    /// exist.
    /// ## Cost
    /// Some devices slow down or give up other features (mlx5: CQE compression). A PTP daemon owns this setting.
    /// ## Example
    /// `off -> on` runs `hwstamp_ctl -i IF -t 1 -r 1`
    "nic.hw-timestamping";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::HwTimestamp;
    value Value::Stamps;
    words "hardware stamps go {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/timestamping.html"];
}
