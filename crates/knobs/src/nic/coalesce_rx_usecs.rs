use lowlat_settings::coalesce;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Microseconds that the device waits after a packet before it interrupts. A fixed value needs adaptive mode off;
    /// lowlat switches it off first.
    /// ## Why it matters
    /// The wait is added to each packet that would wake a sleeping reader. 0 alone does not switch coalescing off:
    /// where the driver has `rx-frames`, the kernel's interface asks for 0 and one frame together
    /// (nic.coalesce.rx-frames), or a lone packet waits for others. `tg3` refuses 0; its minimum is 1 with one frame.
    /// Some values are not times: 1, 3 and 4 on `e1000e`, 1 and 3 on `igb` and `igc`, and 1 on `ixgbe` are modes that
    /// adapt to the load. `e1000e`, `igb` and `igc` refuse 2 and the values between their modes and 10, so their
    /// smallest delay apart from 0 is 10 µs. Drivers clamp and round, so lowlat reads the value back.
    /// ## Cost
    /// An interrupt for each packet; at high rates that takes CPU time that the program may need. A program that spins
    /// on the device (busy polling) takes the packet before the interrupt, and may do better with a longer wait. Most
    /// drivers write a register. `ixgbe` treats 1 and the values from 10 up as one group and all others as a second,
    /// and resets the device when a change crosses from one group to the other.
    /// ## Example
    /// `50 -> 0` runs `ethtool -C IF rx-usecs 0`
    "nic.coalesce.rx-usecs";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place coalesce::Param("rx-usecs");
    value Value::Number(0, 1_000_000);
    also ["rx-usecs"];
    sources [
        "Documentation/networking/ethtool-netlink.rst in linux 6.12: COALESCE_SET",
        "drivers/net/ethernet/intel/igb/igb_ethtool.c in linux 6.12: igb_set_coalesce",
        "drivers/net/ethernet/intel/e1000e/ethtool.c in linux 6.12: e1000_set_coalesce",
        "drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c in linux 6.12: ixgbe_set_coalesce",
        "include/uapi/linux/ethtool.h in linux 6.12: struct ethtool_coalesce (usecs = 0 and max_frames = 1)",
        "drivers/net/ethernet/broadcom/tg3.c in linux 6.12: tg3_set_coalesce",
    ];
    needs ["nic.coalesce.adaptive-rx", "nic.coalesce.rx-frames"];
}
