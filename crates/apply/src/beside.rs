//! What a write changes besides its own place, and what it would lose for good.
//!
//! Asked right before each write: a plan may be old. A place whose way back is not whole is refused here, untouched;
//! other places that the write may change are recorded with it, and put back with it.

use lowlat_model::journal::Beside;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Sys, query};

/// The other places that a write may change, with what stands there; in words, why it may not be made.
pub fn of(sys: &dyn Sys, op: &Op) -> Result<Vec<Beside>, String> {
    shows_this_namespace(sys, &op.locus)?;
    let places = match &op.locus {
        Locus::Qdisc { iface, parent } => {
            return match lowlat_sys::qdisc_restorable(sys, iface, parent) {
                Reading::Value(None) => Ok(Vec::new()),
                Reading::Value(Some(why)) => Err(format!("what hangs there could not be put back: {why}")),
                other => Err(not_known("what hangs there", &other)),
            };
        }
        Locus::Feature { iface, name } => {
            rules_lost(sys, iface, name, &op.set)?;
            features(sys, iface, name)
        }
        // The driver gets all values of its kind in one structure, and may adapt the others to the new one
        // (include/linux/ethtool.h: `set_coalesce`, `set_ringparam`, `set_channels`, `set_pauseparam`).
        Locus::Coalesce { iface, param } => names(&query::coalesce(sys, iface), param)
            .map(|param| Locus::Coalesce { iface: iface.clone(), param })
            .collect(),
        Locus::Ring { iface, param } => {
            names(&query::rings(sys, iface), param).map(|param| Locus::Ring { iface: iface.clone(), param }).collect()
        }
        Locus::Channels { iface, param } => names(&query::channels(sys, iface), param)
            .map(|param| Locus::Channels { iface: iface.clone(), param })
            .collect(),
        Locus::Pause { iface, param } => {
            names(&query::pause(sys, iface), param).map(|param| Locus::Pause { iface: iface.clone(), param }).collect()
        }
        Locus::File { path } => match (op.locus.iface(), path.strip_suffix(GOVERNOR)) {
            (Some(iface), _) => napis(sys, iface, path.rsplit_once('/').map_or("", |(_, file)| file))?,
            // intel_pstate in active mode sets the preference with the governor
            // (Documentation/admin-guide/pm/intel_pstate.rst, "Energy vs Performance Hints").
            (None, Some(dir)) => vec![Locus::File { path: format!("{dir}{PREFERENCE}") }],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let there = |locus: Locus| Some(Beside { state: lowlat_sys::state(sys, &locus).into_value()?, locus });
    Ok(places.into_iter().filter_map(there).collect())
}

fn not_known<T>(what: &str, reading: &Reading<T>) -> String {
    let (kind, why) = reading.why_not().unwrap_or(("garbled", ""));
    format!("{what} cannot be read before it is changed ({kind}: {why}), so it could not be put back")
}

fn names<'a, T>(
    all: &'a Reading<std::collections::BTreeMap<String, T>>,
    but: &'a str,
) -> impl Iterator<Item = String> + use<'a, T> {
    all.value().into_iter().flat_map(|m| m.keys()).filter(move |name| *name != but).cloned()
}

/// A sysfs that was mounted in another namespace shows that one's interfaces under the same names
/// (net/core/net-sysfs.c, `net_ns_type_operations`).
fn shows_this_namespace(sys: &dyn Sys, locus: &Locus) -> Result<(), String> {
    let (Locus::File { .. }, Some(iface)) = (locus, locus.iface()) else { return Ok(()) };
    let shown = sys.read(&format!("/sys/class/net/{iface}/ifindex")).into_value();
    let index = query::links(sys).into_value().and_then(|l| l.into_iter().find(|l| l.name == iface)).map(|l| l.index);
    match (shown.and_then(|t| t.trim().parse::<u32>().ok()), index) {
        (Some(shown), index) if index != Some(shown) => Err(format!(
            "/sys shows the interfaces of another network namespace; enter this one with `ip netns exec`, which mounts its own ({iface} is index {shown} there)"
        )),
        _ => Ok(()),
    }
}

/// One feature may stand in another's way (`netdev_fix_features`, net/core/dev.c), and large receive offload of a bridge,
/// bond or VLAN device is also taken from the devices below it (`netdev_sync_lower_features`), where it does not return.
fn features(sys: &dyn Sys, iface: &str, name: &str) -> Vec<Locus> {
    let of = |iface: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<Locus> {
        let have = query::features(sys, iface).into_value().unwrap_or_default();
        let changeable = have.into_iter().filter(|(n, f)| f.changeable && wanted(n));
        changeable.map(|(name, _)| Locus::Feature { iface: iface.to_owned(), name }).collect()
    };
    let mut places = of(iface, &|n| n != name);
    if name == "rx-lro" {
        let entries = sys.list(&format!("/sys/class/net/{iface}")).into_value().unwrap_or_default();
        for lower in entries.iter().filter_map(|e| e.strip_prefix("lower_")) {
            places.extend(of(lower, &|n| n == name));
        }
    }
    places
}

/// Whether a write at the first place may change the second: what [`of`] may give, without a host to ask.
pub(crate) fn may_change(own: &Locus, other: &Locus) -> bool {
    match (own, other) {
        (Locus::Feature { iface: a, name }, Locus::Feature { iface: b, name: beside }) => {
            a == b || (name == "rx-lro" && beside == name)
        }
        (Locus::Coalesce { iface: a, .. }, Locus::Coalesce { iface: b, .. })
        | (Locus::Ring { iface: a, .. }, Locus::Ring { iface: b, .. })
        | (Locus::Channels { iface: a, .. }, Locus::Channels { iface: b, .. })
        | (Locus::Pause { iface: a, .. }, Locus::Pause { iface: b, .. }) => a == b,
        (Locus::File { path }, Locus::Napi { iface, param, .. }) => {
            let file =
                path.strip_prefix("/sys/class/net/").and_then(|p| p.strip_prefix(iface.as_str())?.strip_prefix('/'));
            file.and_then(napi_param) == Some(param.as_str())
        }
        (Locus::File { path }, Locus::File { path: beside }) => {
            let dir = path.strip_suffix(GOVERNOR);
            dir.is_some() && dir == beside.strip_suffix(PREFERENCE)
        }
        _ => false,
    }
}

const GOVERNOR: &str = "/scaling_governor";
const PREFERENCE: &str = "/energy_performance_preference";

/// The value of each NAPI instance that a file of the device overwrites.
fn napi_param(file: &str) -> Option<&'static str> {
    match file {
        "gro_flush_timeout" => Some("gro-flush-timeout"),
        "napi_defer_hard_irqs" => Some("defer-hard-irqs"),
        "threaded" => Some("threaded"),
        _ => None,
    }
}

/// A device value of NAPI is written into each instance: net/core/dev.h (`netdev_set_gro_flush_timeout`,
/// `netdev_set_defer_hard_irqs`), net/core/dev.c (`netif_set_threaded`). A kernel without values of their own tells none.
fn napis(sys: &dyn Sys, iface: &str, file: &str) -> Result<Vec<Locus>, String> {
    let Some(param) = napi_param(file) else { return Ok(Vec::new()) };
    match query::napis(sys, iface) {
        Reading::Value(all) => {
            let have = all.into_iter().filter(|napi| napi.values.contains_key(param));
            Ok(have.map(|n| Locus::Napi { iface: iface.to_owned(), id: n.id, param: param.to_owned() }).collect())
        }
        Reading::Unsupported(_) | Reading::Absent(_) => Ok(Vec::new()),
        other => Err(not_known("what its NAPI instances have", &other)),
    }
}

/// Drivers drop the receive flow rules with the feature that carries them (`igb_set_features`, `ixgbe_set_features`), and
/// lowlat cannot put a rule back.
fn rules_lost(sys: &dyn Sys, iface: &str, name: &str, set: &State) -> Result<(), String> {
    if name != "rx-ntuple-filter" || set.to_string() != "off" {
        return Ok(());
    }
    match query::flow_rules(sys, iface) {
        Reading::Value(n) if n > 0 => Err(format!(
            "{iface} has {n} receive flow rules, which would be lost; remove them first (`ethtool -n {iface}`)"
        )),
        _ => Ok(()),
    }
}
