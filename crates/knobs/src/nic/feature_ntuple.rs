use lowlat_settings::feature;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets flow rules (`ethtool -N`, steer.flow-rule) and accelerated RFS steer packets to a chosen queue. On its own
    /// it steers nothing.
    /// ## Why it matters
    /// A flow that arrives on its reader's core needs no hand-over. On i40e, the first TCP rule switches off automatic
    /// steering (ATR) for all other TCP flows.
    /// ## Cost
    /// A wrong rule sends a flow to the wrong queue; `off` deletes the rules on many drivers (ixgbe, ice). When the
    /// feature changes, `ixgbe`, `igb` and `igc` reinitialise the device, and `i40e` resets its PCI function.
    /// ## Example
    /// `off -> on` runs `ethtool -K IF ntuple on`
    "nic.feature.ntuple";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place feature::Features(&["rx-ntuple-filter"]);
    value Value::OnOff;
    also ["ntuple"];
    sources [
        "net/ethtool/common.c in linux 6.12: netdev_features_strings",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_set_features",
        "drivers/net/ethernet/intel/igb/igb_main.c in linux 6.12: igb_set_features",
        "drivers/net/ethernet/intel/igc/igc_main.c in linux 6.12: igc_set_features",
        "drivers/net/ethernet/intel/i40e/i40e_main.c in linux 6.12: i40e_set_features, i40e_set_ntuple",
        "Documentation/networking/scaling.rst in linux 6.12: Accelerated RFS Configuration",
        "Documentation/networking/device_drivers/ethernet/intel/i40e.rst in linux 6.12: Application Targeted Routing (ATR) Perfect Filters",
    ];
}
