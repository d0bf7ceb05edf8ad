use lowlat_settings::moderation;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Sets the delay, packet threshold and adaptive mode of receive coalescing in one message, for drivers that accept
    /// them only together. Parameters that are not named keep their value. A fixed delay needs `adaptive-rx=0` in the
    /// same message where the driver has it.
    /// ## Why it matters
    /// Drivers check the parameters against each other: `i40e` refuses another delay in adaptive mode, and a delay of 0
    /// needs a packet threshold of its own. If they are set one by one, the driver may refuse either order. lowlat's
    /// findings ask for the single settings; lowlat also sends these together, and tries them one by one where the
    /// driver refuses that. `mlx5` sets its own delay in the message that switches its adaptive mode, so there a second
    /// message sets the delay.
    /// ## Cost
    /// An interrupt for each packet; at high rates that takes CPU time that the program may need.
    /// ## Example
    /// `rx-usecs=50 rx-frames=32 -> rx-usecs=0 rx-frames=1` runs `ethtool -C IF rx-usecs 0 rx-frames 1`
    "nic.coalesce.rx";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place moderation::Direction("rx");
    value Value::Own(|value| moderation::encode("rx", value));
    also ["ethtool -C"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_SET",
        "include/uapi/linux/ethtool.h in linux 6.12: struct ethtool_coalesce",
        "drivers/net/ethernet/intel/i40e/i40e_ethtool.c in linux 6.12: __i40e_set_coalesce",
        "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: mlx5e_ethtool_set_coalesce",
    ];
}
