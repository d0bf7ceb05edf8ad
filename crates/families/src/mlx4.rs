crate::family! {
    /// ## Devices
    /// NVIDIA (Mellanox) ConnectX-3 and ConnectX-3 Pro.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.rx-usecs 0` and `nic.coalesce.rx-frames 1`: the default is
    ///   adaptive, with 16 µs or 44 frames.
    /// - `nic.pause`: it is on by default.
    /// - `nic.hw-timestamping` where timestamps are wanted: the device timestamps all packets.
    /// ## Leave
    /// - `nic.ring.rx`, unless drops grow: a change closes and reopens the port.
    /// - `bypass.vfio`: the poll-mode driver is bifurcated and works alongside the kernel's driver, which keeps the
    ///   interface.
    /// ## Know
    /// - With `rx-usecs 0` and many frames to wait for, a lone packet waits for others that may never follow: set both.
    /// - Private flags are `blueflame` (a small packet goes to the device together with its descriptor; on by default)
    ///   and `phv-bit`.
    /// - XDP runs in the driver; there is no zero-copy.
    /// - Received pause frames are counted as `rx_pause`, those of one priority as `rx_pause_prio_N`.
    "mlx4";
    drivers ["mlx4_en"];
    also ["connectx-3", "connectx3", "mlx4", "cx3"];
    sources [
        "drivers/net/ethernet/mellanox/mlx4/en_ethtool.c in linux 6.12: mlx4_en_set_coalesce, main_strings (rx_pause), mlx4_en_priv_flags, mlx4_en_get_ts_info",
        "drivers/net/ethernet/mellanox/mlx4/mlx4_en.h in linux 6.12: MLX4_EN_RX_COAL_TARGET, MLX4_EN_RX_COAL_TIME",
        "https://doc.dpdk.org/guides-24.11/linux_gsg/linux_drivers.html (Bifurcated Driver)",
    ];
}
