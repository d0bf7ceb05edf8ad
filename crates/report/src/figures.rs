//! How figures look. Each takes what may be missing, and the reason for it.

use lowlat_model::Verdict;
use lowlat_model::measurement::Measurement;
use lowlat_model::units::{self, us};

/// `61.7μs` or `n/a (why)`: the unit as the prescribed block writes it.
pub(crate) fn micros(ns: Option<u64>, why: &str) -> String {
    ns.map_or_else(|| not_known(why), |ns| format!("{}μs", us(ns)))
}

/// `61.7 µs` or `n/a`: in tables.
pub(crate) fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} µs", us(ns)))
}

/// A number of a unit that is not known, or `n/a`.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".to_owned(), units::figure)
}

/// `1.4 s`: a span of seconds.
pub(crate) fn seconds(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}

/// `−1.90 µs`, `+0.30 µs`: a difference.
pub(crate) fn signed_time(ns: i64) -> String {
    let sign = if ns < 0 { "−" } else { "+" };
    format!("{sign}{} µs", us(ns.unsigned_abs()))
}

/// `n/a (why)`.
pub(crate) fn not_known(why: &str) -> String {
    format!("n/a ({why})")
}

/// A ratio with two decimals.
pub(crate) fn ratio(r: Option<f64>, why: &str) -> String {
    r.map_or_else(|| not_known(why), |r| format!("{r:.2}"))
}

/// A share as percent without the sign: `0`, `0.0117`, `0.4`, `59.0`. One decimal, or three digits where one decimal
/// would round a small share to nothing.
pub(crate) fn percent(ratio: f64) -> String {
    let p = ratio * 100.0;
    if p == 0.0 {
        "0".to_owned()
    } else if p.abs() >= 0.1 {
        format!("{p:.1}")
    } else if p.abs() >= 0.0001 {
        format!("{p:.4}")
    } else {
        format!("{p:.1e}")
    }
}

/// A change with its sign: `−59.0 %`.
pub(crate) fn signed_percent(ratio: f64) -> String {
    let text = signed(ratio);
    // What rounds to nothing has no sign.
    let text = if matches!(text.as_str(), "+0.0" | "−0.0") { "0.0" } else { &text };
    format!("{text} %")
}

fn signed(ratio: f64) -> String {
    units::minus(&format!("{:+.1}", ratio * 100.0))
}

/// A change with its interval: `−59.0 % (−60.5 to −57.8)`.
pub(crate) fn change(ratio: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    match (ratio, low, high) {
        (Some(r), Some(l), Some(h)) => {
            format!("{} ({} to {})", signed_percent(r), signed(l), signed(h))
        }
        (Some(r), _, _) => signed_percent(r),
        _ => "n/a".to_owned(),
    }
}

/// Why a measurement has no figure: nothing sent, lost, or too few samples.
pub(crate) fn why_none(m: &Measurement) -> String {
    if m.sent == 0 {
        "nothing was sent".to_owned()
    } else if m.lost > 0 {
        format!("{} of {} probes lost", m.lost, m.sent)
    } else {
        format!("{} probes are too few", m.sent)
    }
}

/// A verdict as the reports write it.
/// What judged a run instead of round trips, where a quantile would stand.
pub(crate) fn judged_by(d: &lowlat_model::document::RunDocument) -> &'static str {
    d.judge.as_ref().map_or("not judged", |j| j.source.judged_by())
}

pub(crate) fn verdict(v: Verdict) -> &'static str {
    match v {
        Verdict::Better => "better",
        Verdict::Same => "same",
        Verdict::Worse => "worse",
        Verdict::Unclear => "unclear",
        Verdict::Refused => "refused",
    }
}

/// Text from elsewhere on one line: a report's lines are its structure, and a newline in a note must not make one.
pub(crate) fn line(text: &str) -> String {
    let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect();
    visible(&lines.join("; "))
}

/// Whether a character commands a terminal or hides what is next to it: the control characters of ASCII and Latin-1
/// but for newline and tab (ECMA-48), and those that turn the direction of writing (Unicode Standard Annex 9).
pub fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without what [`is_hidden`]: stored documents come from anywhere.
pub fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_do_not_vanish() {
        for (ratio, text) in
            [(0.0, "0"), (0.5, "50.0"), (0.000_117, "0.0117"), (1e-8, "1.0e-6"), (-0.05, "-5.0"), (1.0, "100.0")]
        {
            assert_eq!(percent(ratio), text);
        }
    }

    #[test]
    fn differences_carry_their_sign() {
        assert_eq!(signed_time(-1_900), "−1.90 µs");
        assert_eq!(signed_time(i64::MIN), "−9223372036854776 µs");
        assert_eq!(change(Some(-0.59), Some(-0.605), Some(-0.5775)), "−59.0 % (−60.5 to −57.8)");
        assert_eq!(change(None, None, None), "n/a");
        assert_eq!((signed_percent(-0.000_4), signed_percent(0.0)), ("0.0 %".to_owned(), "0.0 %".to_owned()));
    }
}
