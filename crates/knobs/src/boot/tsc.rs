use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// x86: `tsc=reliable` trusts the processor's counter without checking it; `tsc=nowatchdog` switches the check at
    /// run time off, which interrupts now and then.
    /// ## Why it matters
    /// A host that left the TSC had a reason. Where the kernel keeps the TSC on its own nothing is gained but the
    /// watchdog's interruptions; where it does not, clocks of different cores may disagree and every latency is wrong.
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
    ];
}
