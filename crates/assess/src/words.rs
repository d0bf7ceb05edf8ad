//! Small phrases that several rules use.

use lowlat_model::units::us;

/// `61.7 µs`, or `n/a`.
pub(crate) fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} µs", us(ns)))
}

/// `0`, `0-3`, `0, 2`.
pub(crate) fn cpus(list: &[u32]) -> String {
    list.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// A ratio as percent, with as many decimals as a small one needs.
pub(crate) fn percent(ratio: f64) -> String {
    let p = ratio * 100.0;
    if p != 0.0 && p.abs() < 0.1 { format!("{p:.3} %") } else { format!("{p:.1} %") }
}

/// How much lower `after` is, as a share of `before`. One subtraction of integers, so that exactly a half is 0.5.
pub(crate) fn reduction(before: u64, after: u64) -> f64 {
    (before as f64 - after as f64) / before as f64
}
