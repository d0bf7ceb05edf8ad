//! Work of the firmware.

use lowlat_model::Severity;

use crate::look::{finding, within};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// System management interrupts: the firmware stopped all processors for work of its own.
    /// ## Why it matters
    /// The system cannot see, delay or move them, and no CPU runs meanwhile: each takes up to milliseconds from every
    /// program. Typical causes are the control of fans and temperature, power control, memory error handling, and the
    /// emulation of a USB keyboard.
    /// ## Threshold
    /// Any growth of the processor's own count in the counter window. Intel's processors have it (register 0x34); it is read where
    /// the module `msr` is loaded. A guest has its own count and does not see those of its host.
    /// ## Remedy
    /// Firmware settings: a fixed power profile, no power capping by the board's controller, no legacy USB emulation.
    /// Vendors describe them in their guides for low latency. `lowlat noise` shows the gaps.
    pub SystemManagementInterrupts = "system-management-interrupts";
    sources [
        "arch/x86/include/asm/msr-index.h in linux 6.12: MSR_SMI_COUNT",
        "Documentation/trace/hwlat_detector.rst in linux 6.12: Introduction (SMIs)",
        "arch/x86/events/msr.c in linux 6.12: test_intel (PERF_MSR_SMI)",
        "arch/x86/kvm/x86.c in linux 6.12: kvm_get_msr_common (MSR_SMI_COUNT)",
        "not confirmed: that all CPUs stop, and causes other than fans and temperature; both depend on the board",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let Some(window) = seen.window(input) else { return };
    if input.facts.host.virtualization.value().is_some_and(|v| v != "metal") {
        return seen.missing("system management interrupts", "unsupported: a guest does not see those of its host");
    }
    if let Some(by) = seen.growth(window, "smi", "count").filter(|by| *by > 0) {
        seen.found(finding(
            NAME,
            Severity::Warning,
            "the firmware stops all processors for work of its own".to_owned(),
            vec![format!("system management interrupts grew by {by} {} (register 0x34)", within(window))],
            "find their cause in the firmware's settings (power profile, power capping, USB emulation); see the vendor's guide",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::{deny_group, grow, healthy};

    use super::*;
    use crate::look::test::{blind, only};

    #[test]
    fn one_is_enough() {
        let mut facts = healthy();
        grow(&mut facts, "smi", "count", 2);
        only(NAME, &facts, &["system management interrupts grew by 2 in 1000 ms (register 0x34)"], &[]);
    }

    #[test]
    fn blind_without_the_register_and_in_a_guest() {
        let mut facts = healthy();
        deny_group(&mut facts, "smi");
        blind(NAME, &facts, "counter smi count", "denied");
        grow(&mut facts, "smi", "count", 2);
        facts.host.virtualization = Reading::Value("kvm".into());
        blind(NAME, &facts, "system management interrupts", "unsupported");
    }
}
