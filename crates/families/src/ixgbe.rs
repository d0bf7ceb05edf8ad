crate::family! {
    /// ## Devices
    /// Intel 10 Gigabit: 82598, 82599, X520, X540, X550, X552, X553, and their virtual functions.
    /// ## Set
    /// - `nic.coalesce.rx-usecs 0`: no throttling. A change from the default 1, or from 10 µs and more, makes the
    ///   driver reset the device, and so does the rollback.
    /// - `nic.feature.lro off` where it is on: it holds packets to merge them. The driver resets the device for this
    ///   change.
    /// - `nic.feature.ntuple on` with a rule for the hot flow.
    /// - `nic.pause`: flow control is on by default.
    /// ## Leave
    /// - `nic.feature.ntuple off` on a host that has flow rules: it flushes every rule from driver and hardware.
    /// ## Know
    /// - `rx-usecs 1` is not a microsecond: it makes the driver adapt the delay to the load, also on the virtual
    ///   function's driver (`ixgbevf`). 0 turns throttling off.
    /// - Flow Director's masks are the inverse of subnet masks: a set bit is *ignored*.
    /// - On 82598 backplane cards at 1 Gbit/s flow control is off, because it can hang transmission.
    "ixgbe";
    drivers ["ixgbe", "ixgbevf"];
    also ["82599", "x520", "x540", "x550", "niantic"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/ixgbe.rst in linux 6.12: Flow Control, Intel(R) Ethernet Flow Director",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_coalesce",
        "drivers/net/ethernet/intel/ixgbevf/ethtool.c in linux 6.12: ixgbevf_set_coalesce",
        "https://github.com/scylladb/scylladb/issues/1974 (rx-usecs 1 of ixgbevf)",
    ];
}
