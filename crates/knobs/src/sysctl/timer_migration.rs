use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Lets timers armed on an idle CPU run on a busy one; 1 by default.
    /// ## Why it matters
    /// It keeps idle CPUs asleep, but moves their timers to a busy one.
    /// ## Cost
    /// At 0 each CPU wakes for its own timers: more power, and deeper idle states are left more often.
    /// ## Example
    /// `1 -> 0` writes `/proc/sys/kernel/timer_migration = 0`
    "sysctl.kernel.timer_migration";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("kernel.timer_migration");
    value Value::Number(0, 1);
    also ["timer_migration"];
    sources [
        "kernel/time/timer.c in linux 6.12: sysctl_timer_migration, timers_update_migration",
    ];
}
