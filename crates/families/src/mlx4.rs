crate::family! {
    /// ## Devices
    /// NVIDIA (Mellanox) ConnectX-3 and ConnectX-3 Pro.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0` and `nic.coalesce.rx-frames 1`: it starts adaptive, with 16 µs
    ///   or 44 frames.
    /// - `nic.pause`: it is on by default.
    /// - `nic.hw-timestamping` where stamps are wanted: the device stamps all packets.
    /// ## Leave
    /// - `nic.ring.rx`, unless drops grow: it closes and opens the port.
    /// - `bypass.vfio`: the poll-mode driver is bifurcated and works next to the kernel's, which keeps the interface.
    /// ## Know
    /// - With `rx-usecs 0` and many frames to wait for, a lone packet waits for those that may never follow: both have to be set.
    /// - Private flags are `blueflame` (a small packet goes to the device with its descriptor, on by default) and `phv-bit`.
    /// - XDP runs in the driver; there is no zero-copy.
    /// - Pause frames that came are `rx_pause`; those of a priority `rx_pause_prio_N`.
    "mlx4";
    drivers ["mlx4_en"];
    also ["connectx-3", "connectx3", "mlx4"];
    sources [
        "drivers/net/ethernet/mellanox/mlx4/en_ethtool.c in linux 6.12: mlx4_en_set_coalesce, main_strings (rx_pause), mlx4_en_priv_flags, mlx4_en_get_ts_info",
        "drivers/net/ethernet/mellanox/mlx4/mlx4_en.h in linux 6.12: MLX4_EN_RX_COAL_TARGET, MLX4_EN_RX_COAL_TIME",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/linux_drivers.html (Bifurcated Driver)",
    ];
}
