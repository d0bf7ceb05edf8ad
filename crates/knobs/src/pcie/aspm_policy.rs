use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Whether PCI Express links sleep between transfers (ASPM): `default` as the firmware set it, `performance` never,
    /// `powersave` and `powersupersave` whenever they can.
    /// ## Why it matters
    /// A link that sleeps has to wake before the device can fetch a descriptor or write a packet: microseconds for L1,
    /// more for its substates. The boot parameter `pcie_aspm=off` does not switch it off: it leaves whatever the
    /// firmware had set.
    /// ## Cost
    /// Power. All links of the host; refused (EPERM) where the firmware keeps ASPM to itself.
    /// ## Example
    /// `default -> performance` writes `/sys/module/pcie_aspm/parameters/policy = performance`
    "pcie.aspm-policy";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place host_file::HostFile("/sys/module/pcie_aspm/parameters/policy");
    value Value::Word(&["default", "performance", "powersave", "powersupersave"]);
    also ["ASPM", "pcie_aspm"];
    sources [
        "drivers/pci/pcie/aspm.c in linux 6.12: policy_str, pcie_aspm_set_policy",
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: pcie_aspm=",
        "not confirmed: wake-up times of a link, which only the device's own registers tell",
    ];
}
