use lowlat_settings::coalesce;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Number of packets after which the device interrupts, even before `rx-usecs` has passed. With `rx-usecs 0` it is
    /// the only condition: the interrupt then waits for that many packets.
    /// ## Why it matters
    /// A lone packet never reaches a threshold of several. A delay of 0 alone can therefore make the wait longer: `tg3`
    /// with `rx-frames 5` would hold a packet back until four more arrive. With `rx-usecs 0`, 1 means an interrupt for
    /// each packet, and 0 is not allowed: no interrupt would ever come.
    /// ## Cost
    /// An interrupt for each packet; at high rates that takes CPU time that the program may need.
    /// ## Example
    /// `5 -> 1` runs `ethtool -C IF rx-frames 1`
    "nic.coalesce.rx-frames";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place coalesce::Param("rx-frames");
    value Value::Number(0, 1_000_000);
    also ["rx-frames"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_SET",
        "include/uapi/linux/ethtool.h in linux 6.12: struct ethtool_coalesce",
        "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_coalesce",
    ];
    needs ["nic.coalesce.rx-usecs"];
}
