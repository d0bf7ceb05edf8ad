use lowlat_settings::feature;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Cuts large sends into segments just before the device.
    /// ## Why it matters
    /// A small message may wait behind a large burst. Switching it off does not help on every path, so test that change
    /// alone.
    /// ## Cost
    /// More CPU per byte for bulk traffic.
    /// ## Example
    /// `on -> off` runs `ethtool -K IF gso off`
    "nic.feature.gso";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place feature::Features(&["tx-generic-segmentation"]);
    value Value::OnOff;
    also ["gso"];
    sources [
        "net/ethtool/common.c in linux 6.12: netdev_features_strings",
        "Documentation/networking/segmentation-offloads.rst in linux 6.12: Generic Segmentation Offload",
    ];
}
