//! The settings in a document of facts: what stays the same while nobody changes anything.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Facts;

/// Facts that move by themselves: counters, gauges, times, and where an interrupt fires within its mask (`effective`),
/// which the kernel chooses anew when the old CPU leaves the mask and keeps when it does not
/// (arch/x86/kernel/apic/vector.c, `assign_vector_locked`). Everything else is a setting, so a fact that is added later
/// is compared unless it is named here.
const MOVING: &[&str] = &[
    "taken_at_unix_ns",
    "counters",
    "window",
    "sockets",
    "time",
    "cur_khz",
    "usage",
    "backlog_bytes",
    "qlen",
    "drops",
    "overlimits",
    "bql_limit",
    "conntrack_count",
    "effective",
    "packet_sockets",
    "dma_latency_us",
    "iface",
    "xdp",
];

/// Every setting as `path → value`, for a comparison of before and after. A reading without a value is compared by its
/// kind and reason, so a setting that can no longer be read shows too.
pub fn settings(facts: &Facts) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    // A document of facts is plain data: it always serializes. An empty result would show as a difference.
    if let Ok(value) = serde_json::to_value(facts) {
        walk("", &value, &mut out);
    }
    out
}

/// What differs between two documents of facts: `path: before -> after`, sorted.
pub fn differences(before: &Facts, after: &Facts) -> Vec<String> {
    let (before, after) = (settings(before), settings(after));
    let none = "(nothing)".to_owned();
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
        .into_iter()
        .filter_map(|p| {
            let (b, a) = (before.get(p).unwrap_or(&none), after.get(p).unwrap_or(&none));
            (a != b).then(|| format!("{p}: {b} -> {a}"))
        })
        .collect()
}

fn walk(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => {
            for (key, v) in map.iter().filter(|(k, _)| !MOVING.contains(&k.as_str())) {
                walk(&below(key), v, out);
            }
        }
        Value::Array(items) => {
            for (i, v) in items.iter().enumerate() {
                walk(&below(&i.to_string()), v, out);
            }
        }
        other => {
            out.insert(path.to_owned(), other.to_string());
        }
    }
}
