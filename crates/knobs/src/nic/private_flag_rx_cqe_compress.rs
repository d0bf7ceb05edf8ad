use lowlat_settings::private_flag;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// mlx5: packs several receive completions into one entry, to save PCIe bandwidth.
    /// ## Why it matters
    /// Tuning lists switch it on for latency. According to its own commit, it adds software overhead and is meant for
    /// slots slower than the link, where the driver turns it on automatically. So `off` is the value to try for
    /// latency, and a test on the path decides. It switches receive hashing off, and cannot be on together with
    /// hardware GRO. In the ordinary profile, it can be on together with hardware receive timestamps: PTP packets then
    /// get a receive queue of their own.
    /// ## Cost
    /// The driver reopens its queues.
    /// ## Example
    /// `off -> on` runs `ethtool --set-priv-flags IF rx_cqe_compress on`
    "nic.private-flag.rx_cqe_compress";
    kernels "any"; phase 2; risk High; resets_link true; standing Acts;
    place private_flag::Flag("rx_cqe_compress");
    value Value::OnOff;
    also ["rx_cqe_compress"];
    sources [
        "linux commit b797a684b0ddeb6f78193c9b1bfae6bd824ec01a: net/mlx5e: Enable CQE compression when PCI is slower than link",
        "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: set_pflag_rx_cqe_compress, mlx5e_modify_rx_cqe_compression_locked",
        "drivers/net/ethernet/mellanox/mlx5/core/en/params.c in linux 6.12: slow_pci_heuristic",
    ];
}
