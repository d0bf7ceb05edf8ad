use lowlat_settings::boot;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Stops the clock tick on CPUs that run one task, and moves RCU callbacks off them as rcu_nocbs does. Needs
    /// CONFIG_NO_HZ_FULL; the kernel takes the boot CPU out of the list.
    /// ## Why it matters
    /// The tick interrupts a spinning engine HZ times a second. The parameter makes each entry into the kernel, and
    /// each return, more expensive: it suits kernel bypass, and is doubtful for kernel sockets.
    /// ## Cost
    /// More expensive system calls and interrupts on those CPUs; a second task there brings the tick back.
    /// ## Example
    /// `none -> 2-3` writes `/etc/default/grub.d/90-lowlat-nohz_full.cfg`, which takes effect after `update-grub` and a
    /// reboot
    "boot.nohz_full";
    kernels "3.10.."; phase 2; risk Reboot; resets_link false; standing Acts;
    place boot::Parameter("nohz_full");
    value Value::Own(|value| boot::encode("nohz_full", value));
    also ["nohz_full"];
    sources [
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: nohz_full=",
        "Documentation/timers/no_hz.rst in linux 6.12: Omit Scheduling-Clock Ticks For CPUs With Only One Runnable Task",
    ];
}
