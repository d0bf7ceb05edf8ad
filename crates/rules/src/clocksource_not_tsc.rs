//! A slow clock.

use lowlat_model::Severity;

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// An x86 host whose clock source is a device (`hpet`, `acpi_pm`), the tick (`jiffies`) or a request to the
    /// hypervisor (`hyperv_clocksource_msr`, perhaps `xen`) instead of the processor's own counter.
    /// ## Why it matters
    /// A program that reads the clock then enters the kernel, and with a device each read also crosses a slow bus. A
    /// read takes about a microsecond instead of some 20 ns, and programs and the kernel read the clock many times per
    /// packet.
    /// ## Threshold
    /// Any clock source except those that programs read in user space: `tsc`, `tsc-early`, `kvm-clock` and Hyper-V's
    /// TSC page (`hyperv_clocksource_tsc_page`). `xen` is `info` only, because programs read it in user space too where
    /// Xen declares the TSC stable.
    /// ## Remedy
    /// Find out why the kernel rejected the TSC (`dmesg | grep -i tsc`): firmware, a processor without an invariant
    /// TSC, or a virtual machine that was migrated. `tsc=reliable` silences the check and fixes nothing.
    pub ClocksourceNotTsc = "clocksource-not-tsc";
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: clocksource=, tsc=",
        "arch/x86/include/asm/vdso/clocksource.h in linux 6.12: VDSO_ARCH_CLOCKMODES (which are read in user space)",
        "drivers/clocksource/hyperv_timer.c in linux 6.12: hyperv_cs_tsc (vdso_clock_mode), hyperv_cs_msr (which does not set it)",
        "arch/x86/xen/time.c in linux 6.12: xen_setup_vsyscall_time_info",
        "https://github.com/microsoft/lisa/issues/824 (hyperv_clocksource next to the page)",
        "not confirmed: the cost of one read; `lowlat measure --self` measures it on the host",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let host = &input.facts.host;
    let Some(machine) = seen.need("machine", &host.machine) else { return };
    if machine != "x86_64" && !(machine.starts_with('i') && machine.ends_with("86")) {
        return;
    }
    let Some(clock) = seen.need("clocksource", &host.clocksource) else { return };
    let severity = match clock.as_str() {
        "tsc" | "tsc-early" | "kvm-clock" | "hyperv_clocksource_tsc_page" => return,
        "xen" => Severity::Info,
        _ => Severity::Warning,
    };
    seen.found(finding(
        NAME,
        severity,
        format!("the clock source is {clock}, not the TSC"),
        vec![format!("current_clocksource = {clock} (/sys/devices/system/clocksource/clocksource0)")],
        "find out why the kernel abandoned the TSC (dmesg names the reason); do not silence the check with tsc=reliable",
    ));
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_testkit::facts::healthy;

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn a_device_as_clock() {
        let mut facts = healthy();
        facts.host.clocksource = Reading::Value("hpet".into());
        only(NAME, &facts, &["current_clocksource = hpet (/sys/devices/system/clocksource/clocksource0)"], &[]);
        facts.host.clocksource = Reading::Value("kvm-clock".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        facts.host.clocksource = Reading::Value("hyperv_clocksource_tsc_page".into());
        assert_eq!(rule(NAME, &facts), Seen::default());
        for slow in ["hyperv_clocksource_msr", "a clock that is not known yet"] {
            facts.host.clocksource = Reading::Value(slow.into());
            assert_eq!(rule(NAME, &facts).findings[0].severity, Severity::Warning, "{slow}");
        }
        facts.host.machine = Reading::Value("aarch64".into());
        facts.host.clocksource = Reading::Value("jiffies".into());
        assert_eq!(rule(NAME, &facts), Seen::default(), "other machines have other clocks");
    }

    #[test]
    fn blind_without_the_file() {
        let mut facts = healthy();
        facts.host.clocksource = Reading::Absent("x".into());
        blind(NAME, &facts, "clocksource", "absent");
    }
}
