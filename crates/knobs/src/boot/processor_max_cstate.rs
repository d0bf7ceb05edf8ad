use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Deepest idle state that the ACPI idle driver uses. It has no effect where intel_idle drives the CPU.
    /// ## Why it matters
    /// With `intel_idle.max_cstate=0`, this is the parameter that limits the idle states. cpu.dma-latency does the same
    /// for every driver, without a reboot.
    /// ## Cost
    /// Power, heat, and turbo headroom of the other cores, until the next boot.
    /// ## Example
    /// `none -> 1` writes `/etc/default/grub.d/90-lowlat-processor.max_cstate.cfg`, which takes effect after
    /// `update-grub` and a reboot
    "boot.processor.max_cstate";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("processor.max_cstate");
    value Value::Own(|value| boot::encode("processor.max_cstate", value));
    also ["processor.max_cstate"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: processor.max_cstate=",
        "drivers/acpi/processor_idle.c in linux 6.12: max_cstate",
    ];
}
