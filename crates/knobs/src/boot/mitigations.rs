use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `mitigations=off` switches off all optional mitigations of CPU vulnerabilities.
    /// ## Why it matters
    /// Mitigations make each entry into the kernel, and each return, more expensive. The cost on a path can be
    /// measured, and `/sys/devices/system/cpu/vulnerabilities/` shows which mitigations are active.
    /// ## Cost
    /// Programs, guests and remote code may read memory that is not theirs.
    /// ## Example
    /// `grep . /sys/devices/system/cpu/vulnerabilities/*` shows which are active; lowlat does not write it.
    "boot.mitigations";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Harmful;
    place boot::Parameter("mitigations");
    value Value::None;
    refusal "it gives up the separation between programs; lowlat shows what it costs and never switches it off";
    also ["mitigations"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: mitigations=",
    ];
}
