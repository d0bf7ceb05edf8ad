crate::family! {
    /// ## Devices
    /// NVIDIA (Mellanox) ConnectX-4 and later, BlueField (`mlx5_core`); ConnectX-3 (`mlx4_en`).
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off` and `nic.coalesce.rx-usecs 0` for readers that sleep; a program that spins on
    ///   the device may do better with a longer fixed delay.
    /// - `nic.feature.lro off`.
    /// - `nic.private-flag.rx_cqe_compress off`: compressed completions save PCIe bandwidth and add software overhead. The
    ///   driver turns them on by itself only where the slot is slower than the link.
    /// - `nic.hw-timestamping` where stamps are wanted; a receive filter can switch CQE compression off by itself.
    /// ## Leave
    /// - Firmware settings (`mlxconfig`, `ADVANCED_PCI_SETTINGS`): they need a reset of the device; lowlat explains them
    ///   and writes none.
    /// - `bypass.vfio`: do not unbind it from its driver for DPDK. The poll-mode driver is bifurcated: it works beside
    ///   the kernel's, which keeps the interface.
    /// ## Know
    /// - `nic.private-flag.rx_striding_rq` packs many packets into one large buffer: it serves packet rate; whether it
    ///   costs latency here is for the A/B test.
    /// - Counters to watch: `rx_out_of_buffer` (the host is too slow), `rx_discards_phy` (the port's buffer),
    ///   `ch*_aff_change` (an interrupt moved while it polled), `rx_cqe_compress_pkts`.
    "connectx";
    drivers ["mlx5_core", "mlx4_en"];
    sources [
        "https://git.kernel.org/torvalds/c/b797a684b0ddeb6f78193c9b1bfae6bd824ec01a",
        "https://docs.kernel.org/networking/device_drivers/ethernet/mellanox/mlx5/counters.html",
        "https://doc.dpdk.org/guides/linux_gsg/linux_drivers.html (bifurcated driver)",
    ];
}
