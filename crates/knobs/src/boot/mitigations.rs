use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `mitigations=off` switches all optional defences against processor vulnerabilities off.
    /// ## Why it matters
    /// Each way into the kernel and back is more expensive with them; what that costs on a path can be measured, and
    /// `/sys/devices/system/cpu/vulnerabilities/` shows which act.
    /// ## Cost
    /// Programs, guests and remote code may read memory that is not theirs.
    /// ## Example
    /// `grep . /sys/devices/system/cpu/vulnerabilities/*` shows what acts; lowlat does not write it.
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
