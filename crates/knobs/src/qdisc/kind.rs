use lowlat_settings::qdisc;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// Decides when and in which order packets leave: `fq_codel`, `fq`, `pfifo_fast`, … or `default`, the kernel's own
    /// choice. `pfifo limit 8` and `bfifo limit 4096` are FIFOs of that many packets or bytes.
    /// ## Why it matters
    /// A bulk flow in a plain FIFO makes every message wait behind its backlog; fq_codel serves flows in turn. A
    /// forgotten netem delays everything.
    /// ## Cost
    /// Replacing a qdisc drops the packets in the old one.
    /// ## Example
    /// `pfifo_fast -> fq_codel` runs `tc qdisc replace dev IF root fq_codel`
    "qdisc.kind";
    kernels "any"; phase 2; risk Low; resets_link false; standing Acts;
    place qdisc::QueueDiscipline;
    value Value::Own(qdisc::encode);
    also ["qdisc", "fq_codel", "fq"];
    sources [
        "man 8 tc (QDISCS, CLASSLESS QDISCS)",
        "RFC 8290 (section 4.2: new flows are served first)",
        "net/sched/sch_api.c in linux 6.12: qdisc_graft (an interface that is up is stopped, its queue emptied)",
    ];
}
