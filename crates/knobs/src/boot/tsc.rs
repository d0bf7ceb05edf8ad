use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// x86: `tsc=reliable` trusts the processor's time stamp counter without checking it; `tsc=nowatchdog` switches off
    /// the check at run time, which interrupts now and then.
    /// ## Why it matters
    /// The kernel's documentation names `nowatchdog` for strict latency: it ends the check's interruptions. On
    /// processors with TSC_ADJUST and at most four packages, the kernel omits that check on its own, so nothing is
    /// gained. A kernel that abandoned the TSC had a reason. Where the kernel keeps the TSC on its own, the parameter
    /// saves only the watchdog's interruptions; where it does not, the clocks of different cores may disagree and every
    /// measured latency is wrong.
    /// ## Cost
    /// Wrong time, unnoticed.
    /// ## Example
    /// `dmesg | grep -i tsc` shows what the kernel found; lowlat does not write it.
    "boot.tsc";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Harmful;
    place boot::Parameter("tsc");
    value Value::None;
    refusal "it silences a check and fixes no clock; find out why the kernel left the tsc";
    also ["tsc=reliable"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: tsc=",
        "arch/x86/kernel/tsc.c in linux 6.12: tsc_init, check_system_tsc_reliable",
    ];
}
