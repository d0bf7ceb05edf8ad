crate::family! {
    /// ## Devices
    /// Intel Ethernet 700 Series: X710, XL710, XXV710, X722. Their virtual functions use the driver `iavf`, which has a
    /// page of its own.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.adaptive-tx off`, `nic.coalesce.rx-usecs 0` and
    ///   `nic.coalesce.tx-usecs 0`: what the driver's documentation suggests for lower latency.
    /// - `nic.feature.ntuple on` with a rule for the hot flow.
    /// - `irq.affinity`: to cores of the device's own node; the documentation asks for pinned interrupts.
    /// - `nic.pause`: flow control is on by default. Where the receiver keeps up, a pause frame only stops the sender.
    /// ## Leave
    /// - `nic.ring.rx`, unless drops grow.
    /// - `rx-usecs 125` or `250`, which the documentation also names: they are meant for forwarding and for low CPU
    ///   load.
    /// ## Know
    /// - The first TCP/IPv4 rule (a "sideband" filter) turns ATR off: *all other* TCP flows are then no longer steered
    ///   automatically to the CPU that sends them, until the last such rule is deleted.
    /// - The hardware counts delays (`rx-usecs`) in steps of 2 µs, and `rx-usecs-high` in steps of 4.
    /// - `rx-usecs-high` limits the interrupt rate independently of `rx-usecs` (0 means no limit, 235 µs is the
    ///   longest).
    "i40e";
    drivers ["i40e"];
    also ["x710", "xl710", "xxv710", "x722", "intel-700"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/i40e.rst in linux 6.12: Application Targeted Routing (ATR) Perfect Filters, Flow Control, Interrupt Rate Limiting, Performance Optimization",
        "drivers/net/ethernet/intel/i40e/i40e_txrx.h in linux 6.12: I40E_ITR_MASK, INTRL_REG_TO_USEC",
    ];
}
