use crate::how::{Place, Value};

crate::knob! {
    /// ## What it does
    /// Decides in which order and when packets leave: `fq_codel`, `fq`, `pfifo_fast`, … or `default`, what the kernel
    /// would put there. `pfifo limit 8` and `bfifo limit 4096` are a FIFO of so many packets or bytes.
    /// ## Why it matters
    /// A bulk flow in a plain FIFO makes every message wait behind its queue; fq_codel serves flows in turn. A
    /// forgotten netem delays everything.
    /// ## Cost
    /// Packets in the old queue are dropped when it is replaced.
    /// ## Example
    /// `pfifo_fast -> fq_codel` runs `tc qdisc replace dev IF root fq_codel`
    "qdisc.kind";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place Place::Qdisc;
    value Value::Kind;
    words "queueing goes {was} -> {want}";
    refusal "";
    sources ["https://man7.org/linux/man-pages/man8/tc.8.html", "net/sched/sch_api.c (v6.12): qdisc_graft"];
}
