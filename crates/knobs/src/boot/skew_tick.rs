use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `1` offsets the clock ticks of the CPUs against each other, so that they do not all occur at once.
    /// ## Why it matters
    /// Simultaneous ticks contend for the same locks; with many CPUs that shows as jitter at each tick.
    /// ## Cost
    /// More power: CPUs wake at different times.
    /// ## Example
    /// `none -> 1` writes `/etc/default/grub.d/90-lowlat-skew_tick.cfg`, which takes effect after `update-grub` and a
    /// reboot
    "boot.skew_tick";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("skew_tick");
    value Value::Own(|value| boot::encode("skew_tick", value));
    also ["skew_tick"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: skew_tick=",
    ];
}
