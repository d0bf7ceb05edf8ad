use lowlat_settings::feature;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Merges received TCP segments in the device or driver; unlike with GRO, the result cannot always be split again.
    /// ## Why it matters
    /// Packets wait to be merged. Routing and bridging need LRO off in any case.
    /// ## Cost
    /// More CPU per byte for bulk traffic. `ixgbe` resets the device when LRO changes, and mlx5 may reopen its queues.
    /// ## Example
    /// `on -> off` runs `ethtool -K IF lro off`
    "nic.feature.lro";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place feature::Features(&["rx-lro"]);
    value Value::OnOff;
    also ["lro"];
    sources [
        "net/ethtool/common.c in linux 6.12: netdev_features_strings",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_set_features",
        "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: set_feature_lro",
        "Documentation/networking/segmentation-offloads.rst in linux 6.12: Generic Receive Offload",
    ];
}
