use lowlat_settings::feature;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Merges received segments of one flow before the stack sees them.
    /// ## Why it matters
    /// Packets that may be merged wait until the poll ends (with gro_flush_timeout, longer). A single small message
    /// gains nothing from GRO; bulk streams lose much without it. Switching it off does not help on every path, so test
    /// that change alone.
    /// ## Cost
    /// More CPU per byte for bulk traffic.
    /// ## Example
    /// `on -> off` runs `ethtool -K IF gro off`
    "nic.feature.gro";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place feature::Features(&["rx-gro"]);
    value Value::OnOff;
    also ["gro"];
    sources [
        "net/ethtool/common.c in linux 6.12: netdev_features_strings",
        "net/core/dev.c in linux 6.12: napi_complete_done (napi_gro_flush)",
    ];
}
