crate::family! {
    /// ## Devices
    /// Intel Ethernet 700 Series: X710, XL710, XXV710, X722. Their virtual functions have the driver `iavf`
    /// and a page of their own.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.adaptive-tx off`, `nic.coalesce.rx-usecs 0` and
    ///   `nic.coalesce.tx-usecs 0`: what the driver's documentation names for lower latency.
    /// - `nic.feature.ntuple on` with a rule for the hot flow.
    /// - `irq.affinity`: to cores of the device's own node; the documentation asks for pinned interrupts.
    /// - `nic.pause`: flow control is on by default. Where the receiver keeps up, a pause frame only stops the sender.
    /// ## Leave
    /// - `nic.ring.rx`: unless drops grow.
    /// - `rx-usecs 125` or `250`, which the documentation also names: they are for forwarding and for idle processors.
    /// ## Know
    /// - The first TCP/IPv4 rule (a "sideband" filter) turns ATR off: the automatic steering of *all other* TCP flows to
    ///   the CPU that sends them ends with it, and comes back when the last such rule is deleted.
    /// - The hardware counts delays (`rx-usecs`) in steps of 2 µs, and `rx-usecs-high` in steps of 4.
    /// - `rx-usecs-high` bounds the interrupt rate apart from `rx-usecs` (0 is not a limit, 235 µs the longest).
    "i40e";
    drivers ["i40e"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/i40e.rst in linux 6.12: Application Targeted Routing (ATR) Perfect Filters, Flow Control, Interrupt Rate Limiting, Performance Optimization",
        "drivers/net/ethernet/intel/i40e/i40e_txrx.h in linux 6.12: I40E_ITR_MASK, INTRL_REG_TO_USEC",
    ];
}
