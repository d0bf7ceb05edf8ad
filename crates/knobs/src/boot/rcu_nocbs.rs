use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Moves RCU callbacks off the listed CPUs, into threads that may run elsewhere.
    /// ## Why it matters
    /// Otherwise they run in softirq on the same CPU. nohz_full already moves them.
    /// ## Cost
    /// Kernel threads on other CPUs do the work.
    /// ## Example
    /// `none -> 2-3` writes `/etc/default/grub.d/90-lowlat-rcu_nocbs.cfg`, which takes effect after `update-grub` and a
    /// reboot
    "boot.rcu_nocbs";
    kernels "any"; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("rcu_nocbs");
    value Value::Own(|value| boot::encode("rcu_nocbs", value));
    also ["rcu_nocbs"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: rcu_nocbs",
        "Documentation/timers/no_hz.rst in linux 6.12: RCU Implications",
    ];
}
