crate::family! {
    /// ## Devices
    /// Intel Ethernet 800 Series: E810, E822, E823, E825, E830.
    /// ## Set
    /// - `nic.coalesce.adaptive-rx off`, `nic.coalesce.adaptive-tx off`, `nic.coalesce.rx-usecs 0` and
    ///   `nic.coalesce.tx-usecs 0`: what the driver's documentation names for reduced latency.
    /// - `nic.feature.ntuple on` with `steer.rfs` (a flow table): accelerated RFS then steers a flow to the queue of
    ///   the CPU that reads it. An explicit `ethtool -N` rule does the same for one flow.
    /// - `irq.affinity`: to cores of the device's own node (`device/local_cpulist`).
    /// ## Leave
    /// - `nic.ring.rx` as it is, unless `rx_dropped` grows: a longer ring hides a slow reader and delays what waits in
    ///   it.
    /// - Flow control: off by default here. The driver wants it the same on port and link partner; with one side only
    ///   the port may appear to hang under heavy traffic.
    /// ## Know
    /// - The hardware counts delays (`rx-usecs`) in steps of 2 µs, and `rx-usecs-high` in steps of 4 (8 on devices of
    ///   25 Gbit/s in all): neighbouring values of that may give one rate.
    /// - `rx-usecs-high` bounds the interrupt rate apart from `rx-usecs`, which lets a small `rx-usecs` stand without an
    ///   interrupt storm.
    /// - Coalescing can be set per queue (`ethtool --per-queue`), so that one queue is kept fast and the others cheap.
    /// - aRFS and `ethtool -N` rules share one Flow Director; `ntuple off` clears both.
    "ice";
    drivers ["ice"];
    sources [
        "Documentation/networking/device_drivers/ethernet/intel/ice.rst in linux 6.12: Accelerated Receive Flow Steering, Flow Control, Interrupt Rate Limiting",
        "drivers/net/ethernet/intel/ice/ice_txrx.h in linux 6.12: ICE_ITR_GRAN_US",
        "drivers/net/ethernet/intel/ice/ice_common.c in linux 6.12: ice_get_itr_intrl_gran",
    ];
}
