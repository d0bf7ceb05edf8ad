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
    fn microseconds_keep_three_digits() {
        assert_eq!(us(5_390), "5.39");
        assert_eq!(us(61_700), "61.7");
        assert_eq!(us(988_000), "988");
    }
}
