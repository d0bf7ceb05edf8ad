use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Flows of a receive queue that are followed to the core that reads them; needs rps_cpus and
    /// rps_sock_flow_entries.
    /// ## Why it matters
    /// The stack runs where the reader is.
    /// ## Cost
    /// A table, and reordering when a reader moves.
    /// ## Example
    /// `0 -> 4096` writes `/sys/class/net/IF/queues/rx-N/rps_flow_cnt = 4096`
    "steer.rfs";
    kernels "2.6.35.."; phase 2; risk Low; resets_link false; standing Acts;
    place Place::RxFile("rps_flow_cnt");
    value Value::Number(0, 1_048_576);
    words "followed flows: {was} -> {want}";
    refusal "";
    sources ["https://docs.kernel.org/networking/scaling.html"];
}
