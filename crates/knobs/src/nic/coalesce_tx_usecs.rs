use lowlat_settings::coalesce;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that the device waits before it reports sent packets.
    /// ## Why it matters
    /// The packet itself has already left. The wait delays the freeing of buffers and whatever waits for that (TCP
    /// small queues, byte queue limits, a full ring). It costs a bulk sender more than a single message. `igb`, `igc`
    /// and `ixgbe` refuse the setting, or any change of it, where receive and transmit share one vector; `rx-usecs`
    /// then sets both.
    /// ## Cost
    /// More interrupts per second.
    /// ## Example
    /// `50 -> 0` runs `ethtool -C IF tx-usecs 0`
    "nic.coalesce.tx-usecs";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place coalesce::Param("tx-usecs");
    value Value::Number(0, 1_000_000);
    also ["tx-usecs"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_SET",
        "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_coalesce",
        "drivers/net/ethernet/intel/igc/igc_ethtool.c in linux 6.1, 6.12: igc_ethtool_set_coalesce",
    ];
    needs ["nic.coalesce.adaptive-tx"];
}
