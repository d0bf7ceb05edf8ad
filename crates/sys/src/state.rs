//! The state at a locus, complete enough to be put back.

use std::collections::BTreeMap;
use std::fmt::Display;

use lowlat_model::op::QdiscState;
use lowlat_model::{Locus, Reading, State};
use lowlat_netlink::tc;

use crate::{Sys, hex, irqs, query};

/// `PM_QOS_CPU_LATENCY_DEFAULT_VALUE`, µs: nobody holds a limit (include/linux/pm_qos.h).
const NO_LATENCY_LIMIT: i32 = 2_000_000_000;

/// What stands at a locus now.
pub fn state(sys: &dyn Sys, locus: &Locus) -> Reading<State> {
    match locus {
        Locus::File { path } => sys.read(path).map(|t| State::Text(chosen(path, without_newline(t)))),
        Locus::Feature { iface, name } => pick(query::features(sys, iface), name, &format!("feature of {iface}"))
            .map(|f| feature(f.active, query::wanted_features(sys, iface).value().and_then(|w| w.get(name)).copied())),
        Locus::Coalesce { iface, param } => {
            pick(query::coalesce(sys, iface), param, &format!("coalescing parameter of {iface}")).map(text)
        }
        Locus::Ring { iface, param } => {
            pick(query::rings(sys, iface), param, &format!("ring of {iface}")).map(|l| text(l.current))
        }
        Locus::Channels { iface, param } => {
            pick(query::channels(sys, iface), param, &format!("channel count of {iface}")).map(|l| text(l.current))
        }
        Locus::Pause { iface, param } => {
            pick(query::pause(sys, iface), param, &format!("pause setting of {iface}")).map(switch)
        }
        Locus::Eee { iface } => pick(query::eee(sys, iface), "enabled", &format!("EEE setting of {iface}")).map(switch),
        Locus::PrivateFlag { iface, name } => {
            pick(query::private_flags(sys, iface), name, &format!("private flag of {iface}")).map(switch)
        }
        Locus::HwTimestamp { iface } => query::hw_timestamp(sys, iface).map(|h| {
            let get = |k| h.get(k).copied().unwrap_or(0);
            State::Text(format!("tx={} rx={}", get("tx"), get("rx")))
        }),
        Locus::Qdisc { iface, parent } => qdisc(sys, iface, parent).map(State::Qdisc),
        Locus::IrqAffinity { iface, index } => irqs::of_interface(sys, iface).and_then(|lines| {
            let at = usize::try_from(*index).unwrap_or(usize::MAX);
            match lines.get(at) {
                Some(line) => sys
                    .read(&format!("/proc/irq/{}/smp_affinity_list", line.irq))
                    .map(|t| State::Text(without_newline(t))),
                None => Reading::Absent(format!("{iface} has {} interrupt lines, none at index {index}", lines.len())),
            }
        }),
        Locus::Rss { iface } => query::rss(sys, iface).map(State::Text),
        Locus::Napi { iface, id, param } => {
            query::napis(sys, iface).and_then(|all| match all.iter().find(|n| n.id == *id) {
                Some(napi) => match napi.values.get(param) {
                    Some(value) => Reading::Value(text(value)),
                    None => Reading::Unsupported(format!("{param}: this kernel has no such value of a NAPI instance")),
                },
                // Of a link that is down none is shown, and what it was told may come back with it (`netdev_nl_napi_dump_one`,
                // net/core/netdev-genl.c; `napi_restore_config`, net/core/dev.c).
                None if query::links(sys).value().is_some_and(|l| l.iter().any(|l| l.name == *iface && !l.up)) => {
                    Reading::Unsupported(format!("{iface} is down, and its NAPI instances show only while it is up"))
                }
                None => Reading::Absent(format!("{iface} has no NAPI instance {id}")),
            })
        }
        Locus::CpuDmaLatency => query::cpu_dma_latency(sys)
            .map(|us| if us == NO_LATENCY_LIMIT { State::Text("none".to_owned()) } else { text(us) }),
        Locus::RouteMetric { iface, prefix, metric } => {
            route(sys, iface, prefix).map(|r| text(r.metrics.get(metric).copied().unwrap_or(0)))
        }
        Locus::DropIn { path } => match sys.read(path) {
            Reading::Value(t) => Reading::Value(State::Text(t)),
            // No file is a state like any other here, and putting it back removes what is.
            Reading::Absent(_) => Reading::Value(State::Nothing),
            Reading::Denied(w) => Reading::Denied(w),
            Reading::Unsupported(w) => Reading::Unsupported(w),
            Reading::Garbled(w) => Reading::Garbled(w),
        },
    }
}

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

/// What the kernel made by itself comes back by deleting what replaced it, as long as it would make the same again:
/// `net.core.default_qdisc` may have been changed since. Devices without a queue keep `noqueue` whatever it says
/// (`attach_one_default_qdisc`, net/sched/sch_generic.c), and `mq` gives it to its classes (`mq_init`,
/// net/sched/sch_mq.c). A namespace that does not show the sysctl cannot tell.
fn not_the_default(sys: &dyn Sys, q: &tc::Qdisc, all: &[tc::Qdisc]) -> Option<String> {
    if q.handle.0 != 0 || q.parent != tc::Parent::Root || q.kind == "noqueue" {
        return None;
    }
    let default = sys.sysctl("net.core.default_qdisc").into_value()?;
    // Classes beyond the queues in use get pfifo_fast (`get_default_qdisc_ops`), so the first one tells.
    let first = all.iter().filter(|c| c.handle.0 == 0 && matches!(c.parent, tc::Parent::Class(p) if p.major() == 0));
    let made = if q.kind == "mq" { first.map(|c| &c.kind).next()? } else { &q.kind };
    (*made != default).then(|| format!("the kernel made {made} and would now make {default} (net.core.default_qdisc)"))
}

fn raw(q: &query::QdiscReply) -> Option<tc::Qdisc> {
    Some(tc::Qdisc {
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

fn qdisc(sys: &dyn Sys, iface: &str, parent: &str) -> Reading<QdiscState> {
    query::qdiscs(sys).and_then(|all| {
        match all.into_iter().find(|q| q.qdisc.iface == iface && q.qdisc.parent == parent) {
            Some(q) => Reading::Value(q.exact),
            None => Reading::Absent(format!("nothing hangs at {iface} {parent}")),
        }
    })
}

/// `RT_TABLE_MAIN` (include/uapi/linux/rtnetlink.h).
const MAIN: u32 = 254;

/// The one route of the main table to a prefix over an interface.
fn route(sys: &dyn Sys, iface: &str, prefix: &str) -> Reading<query::Route> {
    query::links(sys).and_then(|links| {
        let Some(link) = links.into_iter().find(|l| l.name == iface) else {
            return Reading::Absent(format!("there is no interface {iface}"));
        };
        query::routes(sys).and_then(|all| {
            let mut mine =
                all.into_iter().filter(|r| r.table == MAIN && r.prefix == prefix && r.oif == Some(link.index));
            match (mine.next(), mine.next()) {
                (Some(r), _) if r.multipath => {
                    Reading::Unsupported(format!("the route to {prefix} has several next hops"))
                }
                (Some(r), None) => Reading::Value(r),
                (Some(_), Some(_)) => {
                    Reading::Unsupported(format!("there are several routes to {prefix} over {iface}"))
                }
                (None, _) => Reading::Absent(format!("there is no route to {prefix} over {iface}")),
            }
        })
    })
}

fn pick<T>(map: Reading<BTreeMap<String, T>>, key: &str, what: &str) -> Reading<T> {
    map.and_then(|mut m| match m.remove(key) {
        Some(v) => Reading::Value(v),
        None => Reading::Unsupported(format!("{key}: the driver offers no such {what}")),
    })
}

fn switch(on: bool) -> State {
    State::Text(if on { "on" } else { "off" }.to_owned())
}

/// As `ethtool -k` prints it. The wish stays with the device, and comes true with whatever change lets it
/// (`__netdev_update_features`, net/core/dev.c), so it is part of the state.
fn feature(active: bool, wanted: Option<bool>) -> State {
    let word = |on: bool| if on { "on" } else { "off" };
    match wanted {
        Some(wanted) if wanted != active => State::Text(format!("{} [requested {}]", word(active), word(wanted))),
        _ => switch(active),
    }
}

fn text(v: impl Display) -> State {
    State::Text(v.to_string())
}

/// Files under `/sys` that list their words put the one that acts in brackets, `always [madvise] never`, and take that
/// word alone (Documentation/admin-guide/mm/transhuge.rst; drivers/pci/pcie/aspm.c, `pcie_aspm_get_policy`).
fn chosen(path: &str, text: String) -> String {
    let inner = |w: &str| w.strip_prefix('[').and_then(|w| w.strip_suffix(']')).map(str::to_owned);
    let mut words = text.split_whitespace().filter_map(inner);
    match (words.next(), words.next()) {
        (Some(one), None) if path.starts_with("/sys/") => one,
        _ => text,
    }
}

/// The kernel ends a value with one newline; more of them would belong to the value.
fn without_newline(mut t: String) -> String {
    if t.ends_with('\n') {
        t.pop();
    }
    t
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn the_word_in_brackets_is_the_state() {
        let thp = "/sys/kernel/mm/transparent_hugepage/enabled";
        assert_eq!(chosen(thp, "always [madvise] never".into()), "madvise");
        assert_eq!(chosen("/sys/module/pcie_aspm/parameters/policy", "[default] performance ".into()), "default");
        // Not every bracket is a choice.
        assert_eq!(chosen(thp, "[a] [b]".into()), "[a] [b]");
        assert_eq!(chosen("/proc/sys/kernel/core_pattern", "core [x]".into()), "core [x]");
        assert_eq!(chosen(thp, "0".into()), "0");
    }
}
