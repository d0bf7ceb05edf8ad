use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `mlxconfig … set ADVANCED_PCI_SETTINGS=1`: a switch in ConnectX firmware that makes further PCI parameters
    /// visible (among them MAX_ACC_OUT_READ, the number of outstanding reads). On its own it tunes nothing.
    /// ## Why it matters
    /// Tuning lists name it as a latency setting. The parameters that it uncovers serve bandwidth, and NVIDIA's own
    /// operator sets MAX_ACC_OUT_READ to 0, the device's own choice, on most devices.
    /// ## Cost
    /// The setting is stored in the card and survives a reinstalled host; it takes effect after a firmware reset or a
    /// reboot. A wrong PCI parameter may keep the card from starting.
    /// ## Example
    /// lowlat explains it and never writes it.
    "nic.firmware.advanced-pci-settings";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a setting of the card's firmware: `mlxconfig -d DEVICE query` shows it, and lowlat writes no firmware";
    also ["ADVANCED_PCI_SETTINGS", "mlxconfig"];
    sources [
        "https://docs.nvidia.com/networking/display/kubernetes2570/nic-conf-operator/configuration-details.html (pciPerformanceOptimized)",
        "https://github.com/Mellanox/nic-configuration-operator/blob/f4c64b3b03e8e3f69ad5692c7e00c6e61a04e65c/pkg/configuration/configvalidation.go (MAX_ACC_OUT_READ parameter is hidden if ADVANCED_PCI_SETTINGS is disabled)",
        "not confirmed: any effect of it on latency; NVIDIA's manual of the parameter was not found",
    ];
}
