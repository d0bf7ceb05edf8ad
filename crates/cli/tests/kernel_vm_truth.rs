//! What netem does in a guest of the VM lab is measured back within stated bounds. (Not every host's kernel has netem;
//! the guest's stock Debian kernel has, and its counted time makes the figures repeat.)
//!
//! One boot for all cases: the first test that runs boots the guest, each looks at its own document.
#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)] // counts are whole numbers

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use lowlat_lab::vm::{Guest, KernelChoice, Lab, in_guest, quoted, topology};
use serde_json::Value;

const MS: f64 = 1e6;

/// A file of the one boot's results; a boot that failed is not tried again by the next test.
fn result(file: &str) -> &'static str {
    static RESULTS: OnceLock<Result<BTreeMap<String, String>, String>> = OnceLock::new();
    let files = RESULTS.get_or_init(boot).as_ref().unwrap_or_else(|why| panic!("{why}"));
    files.get(file).unwrap_or_else(|| panic!("no {file} among {:?}", files.keys()))
}

fn boot() -> Result<BTreeMap<String, String>, String> {
    let lab = Lab::prepare(KernelChoice::V6_12).map_err(|e| e.to_string())?;
    let dir = std::env::temp_dir().join(format!("lowlat-vm-truth-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let program = in_guest(Path::new(env!("CARGO_BIN_EXE_lowlat"))).map_err(|e| e.to_string())?;
    let script = format!("export LOWLAT={}\n{}", quoted(&program), include_str!("vm_truth.sh"));
    let mut guest = Guest::new(&topology::E1000E_PAIR, script, &dir);
    // Some 90 s on a quiet machine; three times that and some for one that is shared.
    guest.time_limit = Duration::from_secs(420);
    let outcome = lab.run(&guest).map_err(|e| e.to_string());
    let files = read_all(&dir).map_err(|e| e.to_string());
    let _ = std::fs::remove_dir_all(&dir);
    let (outcome, files) = (outcome?, files?);
    let failed = files.get("failed").map_or("", String::as_str);
    if outcome.exit_code != 0 || !failed.is_empty() {
        return Err(format!("{failed}{}", outcome.console));
    }
    Ok(files)
}

/// Each file's text by its name.
fn read_all(dir: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let one = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path())?))
    };
    std::fs::read_dir(dir)?.map(one).collect()
}

fn document(name: &str) -> Value {
    let text = result(&format!("{name}.json"));
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}: {text}"))
}

fn ns(m: &Value, key: &str) -> f64 {
    m["rtt"][key].as_u64().unwrap_or_else(|| panic!("rtt.{key} of {m:#}")) as f64
}

fn count(m: &Value, key: &str) -> f64 {
    m[key].as_u64().unwrap_or_else(|| panic!("{key} of {m:#}")) as f64
}

/// The path without netem.
fn base() -> f64 {
    ns(&document("base"), "p50_ns")
}

#[track_caller]
fn within(what: &str, figure: f64, truth: f64, bound: f64) {
    assert!((figure - truth).abs() <= bound, "{what}: {figure}, the truth is {truth} to {bound}");
}

/// Bound: 50 µs, for netem's timer and the softirq after it (3 µs were seen).
#[test]
fn a_delay_is_measured_back() {
    let m = document("delay");
    within("P50", ns(&m, "p50_ns") - base(), 10.0 * MS, 0.05 * MS);
    within("min", ns(&m, "min_ns") - base(), 10.0 * MS, 0.05 * MS);
    assert_eq!(count(&m, "lost"), 0.0);
}

/// Bounds: three standard errors of a quantile of 2 000 (1 000) samples, and a part in fifty for netem's table of the
/// distribution.
#[test]
fn a_jitter_distribution_is_measured_back() {
    let m = document("normal");
    assert_eq!(count(&m, "sent"), 2_000.0);
    let p50 = ns(&m, "p50_ns");
    within("median of the normal", p50 - base(), 10.0 * MS, 0.25 * MS);
    within("P90 of the normal", ns(&m, "p90_ns") - p50, 1.2816 * 2.0 * MS, 0.35 * MS);
    within("P99 of the normal", ns(&m, "p99_ns") - p50, 2.3263 * 2.0 * MS, 0.75 * MS);
    // The interval of the median holds its truth, to the table's part in fifty.
    let median = &m["rtt_intervals"][0];
    let (low, high) = (median["low_ns"].as_f64().unwrap(), median["high_ns"].as_f64().unwrap());
    assert!(low - 0.2 * MS <= 10.0 * MS + base() && 10.0 * MS + base() <= high + 0.2 * MS, "{median}");
    // Delays are independent: the difference of two has √2 of their deviation, and |N(0, σ)| its median at 0.6745 σ.
    let ipdv = m["jitter"]["ipdv"]["p50_ns"].as_f64().unwrap();
    within("median IPDV", ipdv, 0.6745 * 2f64.sqrt() * 2.0 * MS, 0.25 * MS);

    let m = document("uniform");
    within("least of the uniform", ns(&m, "min_ns") - base(), 8.0 * MS, 0.1 * MS);
    within("largest of the uniform", ns(&m, "max_ns") - base(), 12.0 * MS, 0.1 * MS);
    within("median of the uniform", ns(&m, "p50_ns") - base(), 10.0 * MS, 0.2 * MS);
    within("P90 of the uniform", ns(&m, "p90_ns") - base(), 11.6 * MS, 0.15 * MS);
    assert!(m["rtt"]["p99_ns"].as_f64().unwrap() <= 12.1 * MS + base(), "{m:#}");
}

/// Bound: four standard deviations of the binomial.
#[test]
fn a_loss_is_measured_back_and_never_left_out() {
    let m = document("loss");
    within("lost", count(&m, "lost"), 200.0, 4.0 * (4_000f64 * 0.05 * 0.95).sqrt());
    assert_eq!(count(&m, "sent"), 4_000.0);
    assert_eq!(count(&m, "sent"), count(&m, "received") + count(&m, "lost"));
    // 5 % lost: P90 is one of the answered, P99 falls among the lost.
    assert!(m["rtt"]["p90_ns"].is_u64() && m["rtt"]["p99_ns"].is_null() && m["rtt"]["max_ns"].is_null(), "{m:#}");
}

#[test]
fn duplicates_are_measured_back() {
    let m = document("duplicate");
    within("duplicates", count(&m, "duplicates"), 200.0, 4.0 * (4_000f64 * 0.05 * 0.95).sqrt());
    assert_eq!((count(&m, "lost"), count(&m, "sent")), (0.0, 4_000.0));
}

/// Bound: the first and the last of the run.
#[test]
fn reordering_is_measured_back() {
    let m = document("reorder");
    within("reordered", count(&m, "reordered"), 100.0, 2.0);
    assert_eq!((count(&m, "lost"), count(&m, "duplicates")), (0.0, 0.0));
}

/// A link of 1 179 frames a second, asked for 3 000.
#[test]
fn a_rate_above_capacity_is_reported_as_such() {
    let m = document("capacity");
    assert_eq!(m["rate_sustained"], false, "{m:#}");
    let seconds = m["duration_ns"].as_f64().unwrap() / 1e9;
    within("answers a second", count(&m, "received") / seconds, 1_179.0, 150.0);
    let warnings = m["warnings"].to_string();
    assert!(warnings.contains("did not sustain the planned rate"), "{warnings}");
    assert!(m["rtt_planned"]["p90_ns"].is_null(), "most were lost: {m:#}");
    // Below it, every rate is sustained.
    let sweep = document("sweep");
    assert_eq!(sweep["knee_rate_pps"], 1_000.0, "{sweep:#}");
    assert!(sweep["words"].as_str().unwrap().starts_with("every rate was sustained"), "{sweep:#}");
}

/// 300 ms of 6 s are 5 % of the probes: P99 from the plan lies in the last fifth of the freeze.
#[test]
fn a_frozen_far_end_and_a_frozen_client_show_from_the_plan() {
    for name in ["freeze-server", "freeze-client"] {
        let m = document(name);
        let planned = m["rtt_planned"]["p99_ns"].as_f64().unwrap_or_else(|| panic!("{name}: {m:#}"));
        assert!((200.0 * MS..330.0 * MS).contains(&planned), "{name}: {planned}");
        let median = m["rtt_planned"]["p50_ns"].as_f64().unwrap();
        assert!(median < 5.0 * MS, "{name}: {median}");
        assert_eq!((count(&m, "lost"), count(&m, "unsent")), (0.0, 0.0), "{name}");
    }
    // From the actual send the client's own standstill hides: this is why the plan counts.
    assert!(ns(&document("freeze-client"), "p99_ns") < 100.0 * MS);
}

#[test]
fn setting_the_wall_clock_distorts_nothing() {
    assert_eq!(result("year").trim(), "2021", "the clock was set");
    let m = document("clock");
    assert_eq!((count(&m, "sent"), count(&m, "lost")), (3_000.0, 0.0));
    within("P50", ns(&m, "p50_ns"), base(), 0.2 * MS);
    assert!(m["rtt"]["max_ns"].as_f64().unwrap() < 100.0 * MS, "{m:#}");
    assert!(m["rtt_planned"]["max_ns"].as_f64().unwrap() < 100.0 * MS, "{m:#}");
    within("length", m["duration_ns"].as_f64().unwrap(), 6_000.0 * MS, 100.0 * MS);
    for (leg, figures) in m["legs"].as_object().unwrap() {
        let largest = figures["max_ns"].as_f64().unwrap_or(0.0);
        assert!(largest < 100.0 * MS, "{leg} crosses the step: {figures}");
    }
}
