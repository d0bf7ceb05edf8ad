use lowlat_settings::net_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Whether the PCI Express link of this interface's device may sleep in L1 (ASPM). Other links are not affected.
    /// ## Why it matters
    /// A sleeping link has to wake before the device can fetch a descriptor or write a packet: microseconds for L1,
    /// more for its substates.
    /// ## Cost
    /// Power of one link. Switching L1 off switches its substates off too, and switching it on does not bring them back:
    /// lowlat records them and restores them one by one. The file is there only where the link can sleep and the firmware
    /// gave the kernel control.
    /// ## Example
    /// `on -> off` writes `/sys/class/net/IF/device/link/l1_aspm = 0`
    "pcie.aspm-l1";
    kernels "5.5.."; phase 2; risk Low; resets_link false; standing Acts;
    place net_file::LinkPower;
    value Value::Switch;
    also ["l1_aspm", "ASPM L1"];
    sources [
        "Documentation/ABI/testing/sysfs-bus-pci in linux 6.12: /sys/bus/pci/devices/.../link/l1_aspm",
        "drivers/pci/pcie/aspm.c in linux 6.12: aspm_attr_store_common",
        "not confirmed: 5.5 as its first release; no device of the lab has it",
    ];
}
