use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Intel: limits how many idle states the intel_idle driver offers. `0` disables that driver, and the ACPI idle
    /// driver takes its place.
    /// ## Why it matters
    /// `0`, which tuning lists recommend, switches no idle state off: acpi_idle offers those that the firmware lists,
    /// and only `processor.max_cstate` limits them. `1` restricts intel_idle to its first state. cpu.dma-latency does
    /// this without a reboot, and the kernel's documentation points to it.
    /// ## Cost
    /// Power, heat, and turbo headroom of the other cores, until the next boot.
    /// ## Example
    /// `none -> 1` writes `/etc/default/grub.d/90-lowlat-intel_idle.max_cstate.cfg`, which takes effect after
    /// `update-grub` and a reboot
    "boot.intel_idle.max_cstate";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("intel_idle.max_cstate");
    value Value::Own(|value| boot::encode("intel_idle.max_cstate", value));
    also ["intel_idle.max_cstate"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: intel_idle.max_cstate=",
        "Documentation/admin-guide/pm/intel_idle.rst in linux 6.12: Kernel Command Line Options and Module Parameters",
    ];
}
