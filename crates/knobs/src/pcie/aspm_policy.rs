use lowlat_settings::host_file;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Whether PCI Express links sleep between transfers (ASPM): `default` as the firmware set it, `performance` never,
    /// `powersave` and `powersupersave` whenever they can.
    /// ## Why it matters
    /// A sleeping link has to wake before the device can fetch a descriptor or write a packet: microseconds for L1,
    /// more for its substates. The boot parameter `pcie_aspm=off` does not switch ASPM off: it keeps whatever the
    /// firmware set.
    /// ## Cost
    /// Power. The policy applies to all links of the host. The kernel refuses it (EPERM) where the firmware keeps
    /// control of ASPM.
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
