//! Whether a queue discipline could be put back.

use lowlat_model::Reading;
use lowlat_netlink::tc;

use crate::{Sys, hex, query};

/// Why what hangs at a place could not be put back exactly, if it were replaced; `Value(None)` where it can be. Asked
/// when a step is planned, and again right before the place is touched: what hangs there may have grown meanwhile.
pub fn qdisc_restorable(sys: &dyn Sys, iface: &str, parent: &str) -> Reading<Option<String>> {
    query::qdiscs(sys).and_then(|all| {
        let all: Vec<_> = all.into_iter().filter(|q| q.qdisc.iface == iface).collect();
        let raw: Vec<_> = all.iter().filter_map(raw).collect();
        match all.iter().position(|q| q.qdisc.parent == parent) {
            Some(at) if raw.len() == all.len() => Reading::Value(
                raw.get(at).and_then(|q| tc::why_not_restorable(q, &raw).or_else(|| not_the_default(sys, q, &raw))),
            ),
            Some(_) => Reading::Garbled(format!("the queue disciplines of {iface} do not read back")),
            None => Reading::Absent(format!("nothing hangs at {iface} {parent}")),
        }
    })
}

/// What the kernel made on its own comes back by deleting what replaced it, as long as it would make the same again:
/// `net.core.default_qdisc` may have been changed since. Devices without a queue keep `noqueue` whatever it says
/// (`attach_one_default_qdisc`, net/sched/sch_generic.c), and `mq` gives it to its classes (`mq_init`,
/// net/sched/sch_mq.c). A namespace that does not show the sysctl cannot tell.
fn not_the_default(sys: &dyn Sys, q: &tc::QdiscMessage, all: &[tc::QdiscMessage]) -> Option<String> {
    if q.handle.0 != 0 || q.parent != tc::Parent::Root || q.kind == "noqueue" {
        return None;
    }
    let default = sys.sysctl("net.core.default_qdisc").into_value()?;
    // Classes beyond the queues in use get pfifo_fast (`get_default_qdisc_ops`), so the first one shows.
    let first = all.iter().filter(|c| c.handle.0 == 0 && matches!(c.parent, tc::Parent::Class(p) if p.major() == 0));
    let made = if q.kind == "mq" { first.map(|c| &c.kind).next()? } else { &q.kind };
    (*made != default).then(|| format!("the kernel made {made} and would now make {default} (net.core.default_qdisc)"))
}

fn raw(q: &query::QdiscReply) -> Option<tc::QdiscMessage> {
    Some(tc::QdiscMessage {
        ifindex: 0,
        kind: q.exact.kind.clone(),
        handle: q.exact.handle.parse().ok()?,
        parent: q.qdisc.parent.parse().ok()?,
        options: Some(hex::bytes_of(&q.exact.options_hex)?),
        bytes: 0,
        packets: 0,
        qlen: 0,
        backlog: 0,
        drops: 0,
        requeues: 0,
        overlimits: 0,
        carries: q.exact.carries.clone(),
    })
}
