use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Empty polls before NAPI switches the interrupt on again.
    /// ## Why it matters
    /// Together with gro_flush_timeout it lets a busy-polling reader run without interrupts.
    /// ## Cost
    /// Delay wherever nobody polls.
    /// ## Example
    /// `0 -> 2` writes `/sys/class/net/IF/napi_defer_hard_irqs = 2`
    "nic.napi-defer-hard-irqs";
    kernels "5.8.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::NetFile("napi_defer_hard_irqs");
    value Value::Number(0, 2_147_483_647);
    words "empty polls before the interrupt: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/napi.html"];
}
