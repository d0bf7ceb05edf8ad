use lowlat_settings::private_flag;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// mlx5: packs many received packets into one large buffer (a "multi-packet" work queue entry) instead of one
    /// buffer each.
    /// ## Why it matters
    /// It serves packet rate and PCIe bandwidth. No document says whether it costs or gains latency, so test it on the
    /// path. It cannot be switched off while LRO or hardware GRO is on.
    /// ## Cost
    /// The driver reopens its queues.
    /// ## Example
    /// `off -> on` runs `ethtool --set-priv-flags IF rx_striding_rq on`
    "nic.private-flag.rx_striding_rq";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place private_flag::Flag("rx_striding_rq");
    value Value::OnOff;
    also ["rx_striding_rq"];
    sources [
        "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: set_pflag_rx_striding_rq",
        "not confirmed: any effect on latency",
    ];
}
