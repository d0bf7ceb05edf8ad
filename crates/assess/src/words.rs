//! Small phrases that several rules use.

pub(crate) use lowlat_model::cpus::print_list as cpus;
use lowlat_model::units::us;

/// `61.7 µs`, or `n/a`.
pub(crate) fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} µs", us(ns)))
}

/// A ratio as percent, with as many decimals as a small one needs.
pub(crate) fn percent(ratio: f64) -> String {
    let p = ratio * 100.0;
    if p != 0.0 && p.abs() < 0.1 { format!("{p:.3} %") } else { format!("{p:.1} %") }
}

/// `60.0 % lower [58.8, 61.5]` or `5.0 % higher [3.1, 7.0]`: a change whose interval excludes 0.
pub(crate) fn claim(reduction: f64, low: Option<f64>, high: Option<f64>) -> String {
    let interval = match (low, high) {
        // Of the change, where negative is faster: a reduction's interval has its ends the other way round.
        (Some(l), Some(h)) if reduction >= 0.0 => format!(" [{:.1}, {:.1}]", -h * 100.0, -l * 100.0),
        (Some(l), Some(h)) => format!(" [{:.1}, {:.1}]", l * 100.0, h * 100.0),
        _ => String::new(),
    };
    let way = if reduction >= 0.0 { "lower" } else { "higher" };
    format!("{} {way}{interval}", percent(reduction.abs()))
}

/// `−0.4 % [−2.3, +1.7]`: a change that is not shown.
pub(crate) fn change(ratio: f64, low: Option<f64>, high: Option<f64>) -> String {
    let signed = |ratio: f64| lowlat_model::units::minus(&format!("{:+.1}", ratio * 100.0));
    match (low, high) {
        (Some(l), Some(h)) => format!("{} % [{}, {}]", signed(ratio), signed(l), signed(h)),
        _ => format!("{} %", signed(ratio)),
    }
}
