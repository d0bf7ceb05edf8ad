use lowlat_settings::sysctl;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// FILL IN: what the kernel does with it, its unit, and whose it is: the namespace's or the host's.
    /// ## Why it matters
    /// FILL IN: what it does to a round trip, with figures.
    /// ## Cost
    /// FILL IN: what is lost by it.
    /// ## Example
    /// FILL IN: a change and the write it leads to, in the form of busy_read.rs; it is run as a test.
    "new.unit";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place sysctl::SysctlKey("new.key");
    value Value::Number(0, 1); // FILL IN: the values that the kernel takes.
    also [];
    sources [
        "FILL IN: where each fact above comes from, in a form of crates/model/src/source.rs",
    ];
}
