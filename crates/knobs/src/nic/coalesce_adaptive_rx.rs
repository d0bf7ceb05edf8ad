use lowlat_settings::coalesce;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets the driver choose the receive interrupt delay by the load.
    /// ## Why it matters
    /// The kernel's own algorithm (net_dim: mlx5, bnxt, ena, ice and others) ranks bandwidth before packet rate, and
    /// packet rate before few interrupts; latency is not among its aims. `i40e`, `iavf`, `ixgbe` and `igb` have
    /// algorithms of their own, which shorten the delay for small packets. With any of them the delay varies with the
    /// load, so the median and P99 vary with it, and runs differ.
    /// ## Cost
    /// With `off`, more interrupts under load; a fixed delay has to fit the path.
    /// ## Example
    /// `on -> off` runs `ethtool -C IF adaptive-rx off`
    "nic.coalesce.adaptive-rx";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place coalesce::Param("adaptive-rx");
    value Value::Switch;
    also ["adaptive-rx"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_SET",
        "Documentation/networking/net_dim.rst in linux 6.12: Net DIM Algorithm",
        "drivers/net/ethernet/intel/i40e/i40e_txrx.c in linux 6.12: i40e_update_itr",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_main.c in linux 6.12: ixgbe_update_itr",
        "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: mlx5e_ethtool_set_coalesce",
    ];
    needs ["nic.coalesce.rx-usecs"];
}
