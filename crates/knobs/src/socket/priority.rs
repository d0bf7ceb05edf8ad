use lowlat_settings::Nowhere;

use crate::value::Value;

crate::knob! {
    /// ## What it does
    /// SO_PRIORITY, and IP_TOS for IPv4: the class of a socket's packets. `pfifo_fast` uses it to choose one of three
    /// bands; `prio`, `mqprio` and `taprio` use it to choose one of their own.
    /// ## Why it matters
    /// In a `pfifo_fast`, a message with priority 6 passes all bulk traffic of priority 0 in the same queue. A fair
    /// queue (`fq_codel`) does not need it.
    /// ## Cost
    /// Priorities above 6 need CAP_NET_ADMIN. It acts only on this host's queues; switches use DSCP or the VLAN
    /// priority.
    /// ## Example
    /// lowlat explains it and never writes it.
    "socket.priority";
    kernels "any"; phase 2; risk Low; resets_link false; standing Elsewhere;
    place Nowhere;
    value Value::None;
    refusal "a program sets it on its own socket";
    also ["SO_PRIORITY", "IP_TOS"];
    sources [
        "man 7 socket (SO_PRIORITY)",
        "net/sched/sch_generic.c in linux 6.12: sch_default_prio2band (pfifo_fast)",
    ];
}
