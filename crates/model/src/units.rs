//! Durations as people write them, and nanoseconds as people read them.

/// Parses `50us`, `1.5ms`, `2s`, `300ns` (also `µs`) into nanoseconds.
///
/// A number without a unit, a negative, zero, non-finite or overflowing one is refused with a sentence that says so.
pub fn parse_duration_ns(text: &str) -> Result<u64, String> {
    let t = text.trim();
    let split = t.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(t.len());
    let (number, unit) = t.split_at(split);
    let scale = match unit.trim() {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "" if t.is_empty() => return Err(format!("{text:?} is not a time; write for example 50us")),
        "" => return Err(format!("{text:?} has no unit; write for example {t}us or {t}ms")),
        other => return Err(format!("{text:?} has the unknown unit {other:?}; use ns, us, ms, s or min")),
    };
    let value: f64 = number.parse().map_err(|_| format!("{text:?} is not a time; write for example 50us"))?;
    let ns = value * scale;
    if !ns.is_finite() || ns > 1e18 {
        return Err(format!("{text:?} is too long; the limit is 1000000000s"));
    }
    if ns < 1.0 {
        return Err(format!("{text:?} is not a time above zero; write for example 50us"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 1.0 <= ns <= 1e18 was just checked
    Ok(ns.round() as u64)
}

/// Nanoseconds as microseconds with as many decimals as carry meaning: `5.39`, `61.7`, `988`, `4971`.
pub fn us(ns: u64) -> String {
    let v = ns as f64 / 1e3;
    if v < 10.0 {
        format!("{v:.2}")
    } else if v < 100.0 {
        format!("{v:.1}")
    } else {
        format!("{v:.0}")
    }
}

/// A number of a unit that is not known, with four digits that carry meaning: `12.35`, `0.001234`, `8125`, `1.500e10`.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e9).contains(&size) {
        return minus(&format!("{value:.3e}"));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0..=7
    let decimals = (3.0 - size.log10().floor()).clamp(0.0, 7.0) as usize;
    let text = format!("{value:.decimals$}");
    minus(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
}

/// A number as it was formatted, with U+2212 for its minus sign, as in print.
pub fn minus(number: &str) -> String {
    number.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration_ns("50us"), Ok(50_000));
        assert_eq!(parse_duration_ns("1.5ms"), Ok(1_500_000));
        assert_eq!(parse_duration_ns("7µs"), Ok(7_000));
        for bad in ["50", "-5us", "0us", "us", "fast", "1e3us", "nanus", "0.1ns", "99999999999s", ""] {
            assert!(parse_duration_ns(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn numbers_without_a_unit_keep_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (12.345_67, "12.35"),
            (8_125.4, "8125"),
            (1_234_567.0, "1234567"),
            (0.001_234_5, "0.001234"),
            (-3.0, "\u{2212}3"),
            (15e9, "1.500e10"),
            (1e-7, "1.000e\u{2212}7"),
        ] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn microseconds_keep_three_digits() {
        assert_eq!(us(5_390), "5.39");
        assert_eq!(us(61_700), "61.7");
        assert_eq!(us(988_000), "988");
    }
}
