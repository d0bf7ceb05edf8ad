use lowlat_settings::moderation;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Delay, packets and adaptive mode of received packets in one message, for a driver that takes them only together.
    /// Parameters that are not named keep their value; a fixed delay needs `adaptive-rx=0` with it where the driver has it.
    /// ## Why it matters
    /// Drivers check them against each other: `i40e` refuses another delay while its moderation is adaptive, and a
    /// delay of 0 needs a packet threshold of its own. Set one by one, each order of the two can be the one that is
    /// refused. lowlat's findings ask for the single settings, which also go out together and are tried one by one
    /// where that is refused. `mlx5` puts its own delay in place in the message that switches its adaptive mode; there
    /// the delay is named in a second one.
    /// ## Cost
    /// An interrupt for each packet; at high rates that is processor time the program may need.
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
