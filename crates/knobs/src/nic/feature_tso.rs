use lowlat_settings::feature;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the device cut large sends into segments.
    /// ## Why it matters
    /// A small message may wait behind a large burst on the wire. Switching it off does not help on every path, so test
    /// that change alone.
    /// ## Cost
    /// More CPU per byte for bulk traffic.
    /// ## Example
    /// `on -> off` runs `ethtool -K IF tso off`
    "nic.feature.tso";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place feature::Features(&["tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp-accecn-segmentation"]);
    value Value::OnOff;
    also ["tso"];
    sources [
        "net/ethtool/common.c in linux 6.12: netdev_features_strings",
        "Documentation/networking/segmentation-offloads.rst in linux 6.12: TCP Segmentation Offload",
        "measured: ethtool -k of a veth on Linux 6.18, where tx-tcp-accecn-segmentation goes with tso",
    ];
}
