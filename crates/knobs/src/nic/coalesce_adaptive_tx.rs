use lowlat_settings::coalesce;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the driver choose the transmit interrupt delay by the load.
    /// ## Why it matters
    /// The delay of transmit completions then varies with the load, and with it everything that waits for them.
    /// ## Cost
    /// With `off`, more interrupts under load; a fixed delay has to fit the path.
    /// ## Example
    /// `on -> off` runs `ethtool -C IF adaptive-tx off`
    "nic.coalesce.adaptive-tx";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place coalesce::Param("adaptive-tx");
    value Value::Switch;
    also ["adaptive-tx"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_SET",
        "Documentation/networking/net_dim.rst in linux 6.12: Net DIM Algorithm",
        "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: mlx5e_ethtool_set_coalesce",
    ];
    needs ["nic.coalesce.tx-usecs"];
}
