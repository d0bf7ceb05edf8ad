use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// `/sys/devices/system/cpu/smt/control` sets whether each core runs two threads; `nosmt` at boot or the firmware
    /// can also set it.
    /// ## Why it matters
    /// Two busy threads of one core share its execution units and first-level caches, so the work of the sibling shows
    /// in the tail. Keeping the sibling of a critical core idle, or isolating it together with that core, does the same
    /// for that core alone.
    /// ## Cost
    /// Half of the logical CPUs. Switching it off at run time takes CPUs offline: interrupts, affinities and queues
    /// move.
    /// ## Example
    /// lowlat explains it and never writes it.
    "cpu.smt";
    kernels "any"; phase 2; risk High; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "it takes CPUs offline under running programs; keep the sibling of the critical core idle, or set `nosmt` at boot";
    also ["SMT", "hyper-threading", "nosmt"];
    sources [
        "Documentation/ABI/testing/sysfs-devices-system-cpu in linux 6.12: /sys/devices/system/cpu/smt",
        "Documentation/admin-guide/kernel-parameters.txt in linux 6.12: nosmt",
    ];
}
