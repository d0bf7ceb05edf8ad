use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Nanoseconds NAPI keeps segments and masks the interrupt after a poll that found nothing, with
    /// napi_defer_hard_irqs.
    /// ## Why it matters
    /// With a busy-polling reader it keeps interrupts away; without one it is pure delay.
    /// ## Cost
    /// Delay wherever nobody polls.
    /// ## Example
    /// `200000 -> 0` writes `/sys/class/net/IF/gro_flush_timeout = 0`
    "nic.gro-flush-timeout";
    kernels "3.19.."; phase 2; risk Medium; resets_link false; standing Acts;
    place Place::NetFile("gro_flush_timeout");
    value Value::Number(0, 1_000_000_000);
    words "ns until a deferred poll: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/napi.html"];
}
