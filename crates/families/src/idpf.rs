crate::family! {
    /// ## Devices
    /// Intel Infrastructure Data Path Function: E2100 and IPU devices, and instances of Google Cloud that have it.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.adaptive-tx off`, then `nic.coalesce.rx-usecs 0` and
    ///   `nic.coalesce.tx-usecs 0`: a delay is refused while its adaptive mode is on.
    /// - `irq.affinity`: to cores of the device's own node.
    /// ## Leave
    /// - `nic.ring.rx` and `nic.channels.combined`, unless drops grow: each change causes a soft reset of the function.
    /// ## Know
    /// - Coalescing can be set per queue (`ethtool --per-queue`).
    /// - The driver in 6.12 has no XDP, so AF_XDP runs in generic mode.
    /// - The driver in 6.12 has no hardware timestamps.
    "idpf";
    drivers ["idpf"];
    also ["intel-ipu"];
    sources [
        "drivers/net/ethernet/intel/idpf/idpf_ethtool.c in linux 6.12: __idpf_set_q_coalesce, idpf_set_ringparam, idpf_set_channels, idpf_ethtool_ops",
        "Documentation/networking/device_drivers/ethernet/intel/idpf.rst in linux 6.12: Performance Optimization",
        "not confirmed: which cloud instances have it",
    ];
}
