crate::family! {
    /// ## Devices
    /// NVIDIA (Mellanox) ConnectX-4 and later, BlueField (`mlx5_core`). ConnectX-3 has another driver (mlx4).
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0` and `nic.coalesce.rx-frames 1` for readers that
    ///   sleep; a program that spins on the device may do better with a longer fixed delay.
    /// - `nic.feature.lro off`.
    /// - `nic.private-flag.rx_cqe_compress off` (`mlx5_core`): compressed completions save PCIe bandwidth and add
    ///   software overhead. The driver turns them on automatically only where the slot is slower than the link.
    /// - `nic.hw-timestamping` where timestamps are wanted. An ordinary interface keeps CQE compression with it and
    ///   receives PTP packets through a queue of their own; a profile without that queue (a representor, IPoIB)
    ///   switches compression off.
    /// ## Leave
    /// - Firmware settings (`nic.firmware.advanced-pci-settings`, `mlxconfig`): they take effect after a reset of the
    ///   device; lowlat explains them and writes none.
    /// - `bypass.vfio`: do not unbind the device from its driver for DPDK. The poll-mode driver is bifurcated: it works
    ///   alongside the kernel's driver, which keeps the interface.
    /// ## Know
    /// - `nic.private-flag.rx_striding_rq` packs many packets into one large buffer, which helps the packet rate. Let
    ///   the A/B test show whether it costs latency here.
    /// - In a request that switches `adaptive-rx` off the driver ignores every other value: set the delay in a second
    ///   request.
    /// - XDP runs in the driver, and AF_XDP without copies; attaching a program opens new channels.
    /// - Counters to watch: `rx_out_of_buffer` (the host is too slow), `rx_discards_phy` (the port's buffer),
    ///   `ch*_aff_change` (an interrupt moved while it polled), `rx_cqe_compress_pkts`.
    "connectx";
    drivers ["mlx5_core"];
    also ["mellanox", "nvidia", "mlx5", "connectx-4", "connectx-5", "connectx-6", "connectx-7", "bluefield", "cx4", "cx5", "cx6", "cx7"];
    sources [
        "linux commit b797a684b0ddeb6f78193c9b1bfae6bd824ec01a: net/mlx5e: Enable CQE compression when PCI is slower than link",
        "drivers/net/ethernet/mellanox/mlx5/core/en_main.c in linux 6.12: mlx5e_build_nic_params (slow_pci_heuristic), mlx5e_hwstamp_set (mlx5e_profile_feature_cap, PTP_RX), mlx5e_hwstamp_config_no_ptp_rx",
        "drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c in linux 6.12: mlx5e_priv_flags",
        "Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst in linux 6.12: rx_out_of_buffer, rx_discards_phy, ch[i]_aff_change",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/linux_drivers.html (Bifurcated Driver)",
    ];
}
