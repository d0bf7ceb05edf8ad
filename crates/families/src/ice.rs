crate::family! {
    /// ## Devices
    /// Intel Ethernet 800 Series: E810, E822, E823, E825, E830.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.adaptive-tx off`, `nic.coalesce.rx-usecs 0` and
    ///   `nic.coalesce.tx-usecs 0`: what the driver's documentation suggests for reduced latency.
    /// - `nic.feature.ntuple on` with `steer.rfs` (a flow table): accelerated RFS then steers a flow to the queue of
    ///   the CPU that reads it. An explicit `ethtool -N` rule does the same for one flow.
    /// - `irq.affinity`: to cores of the device's own node (`device/local_cpulist`).
    /// ## Leave
    /// - `nic.ring.rx`, unless `rx_dropped` grows: a longer ring hides a slow reader and delays the packets in it.
    /// - Flow control: off by default on this driver, which requires the same setting on port and link partner; with
    ///   only one side on, the port may appear to hang under heavy traffic.
    /// ## Know
    /// - The hardware counts delays (`rx-usecs`) in steps of 2 µs, and `rx-usecs-high` in steps of 4 (8 on devices with
    ///   25 Gbit/s in total): neighbouring values of it may give the same rate.
    /// - `rx-usecs-high` limits the interrupt rate independently of `rx-usecs`, so that a small `rx-usecs` causes no
    ///   interrupt storm.
    /// - Coalescing can be set per queue (`ethtool --per-queue`), so that one queue can be fast while the others save
    ///   CPU time.
    /// - aRFS and `ethtool -N` rules share one Flow Director; `ntuple off` clears both.
    "ice";
    drivers ["ice"];
    also ["e810", "e823", "e830", "intel-800"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/ice.rst in linux 6.12: Accelerated Receive Flow Steering, Flow Control, Interrupt Rate Limiting",
        "drivers/net/ethernet/intel/ice/ice_txrx.h in linux 6.12: ICE_ITR_GRAN_US",
        "drivers/net/ethernet/intel/ice/ice_common.c in linux 6.12: ice_get_itr_intrl_gran",
    ];
}
