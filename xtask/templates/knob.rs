use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// FILL IN: what the kernel does with it, and its unit.
    /// ## Why it matters
    /// FILL IN: what it does to a round trip, with figures.
    /// ## Cost
    /// FILL IN: what is lost by it.
    /// ## Example
    /// FILL IN: a change and the write it leads to, in the form of sysctl/busy_read.rs; it is run as a test.
    "new.unit";
    kernels "any"; phase 2; risk Medium; resets_link false; standing Acts;
    place Nowhere; // FILL IN: a place of a kind of crates/settings/src; until then nothing can be written.
    value Value::None; // FILL IN: the values that it takes.
    also [];
    sources [
        "FILL IN: where each fact above comes from, in a form of crates/model/src/source.rs",
    ];
}
