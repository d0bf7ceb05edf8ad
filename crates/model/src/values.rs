//! Values of flags as people write them, read and bounded; the error says what to write instead.

use crate::shape::MOST_GAP_NS;
use crate::units::parse_duration_ns;

/// A difference worth having. A smaller one is not looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Of the median, as a ratio.
    pub ratio: f64,
    /// In ns.
    pub ns: u64,
}

impl Default for Worth {
    fn default() -> Self {
        Self { ratio: 0.01, ns: 500 }
    }
}

/// `1%,0.5us`: a share of the median, a time, or both.
pub fn worth(text: &str) -> Result<Worth, String> {
    let (mut out, mut seen) = (Worth::default(), (false, false));
    for part in text.split(',').map(str::trim) {
        let twice = if part.ends_with('%') {
            out.ratio = percent(part)?;
            std::mem::replace(&mut seen.0, true)
        } else {
            out.ns = parse_duration_ns(part)?;
            std::mem::replace(&mut seen.1, true)
        };
        if twice {
            return Err(format!("{text:?} gives one of them twice; write one share and one time, e.g. 1%,0.5us"));
        }
    }
    if out.ratio > 1.0 {
        return Err(format!("{text:?} is more than 100%; write a share up to 100%"));
    }
    Ok(out)
}

/// `5%` as 0.05; above 0.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
    match number.filter(|n| n.is_finite() && *n > 0.0) {
        Some(n) => Ok(n / 100.0),
        None => Err(format!("{text:?} is not a share above 0; write one in percent, e.g. 5%")),
    }
}

/// A gain of a time: below all of it.
pub fn gain(text: &str) -> Result<f64, String> {
    match percent(text)? {
        share if share < 1.0 => Ok(share),
        _ => Err(format!("{text:?} is not below 100%, and no time can shrink by more; write e.g. 20%")),
    }
}

/// Beyond a half the bound says nothing; below a thousandth no run of a sensible length decides anything.
pub fn false_keep(text: &str) -> Result<f64, String> {
    match percent(text)? {
        share @ 0.001..=0.5 => Ok(share),
        _ => Err(format!("{text:?} is not within 0.1% to 50%")),
    }
}

/// A DSCP as a number or by its name: class selectors (RFC 2474), assured forwarding (RFC 2597), EF (RFC 3246), VA
/// (RFC 5865), LE (RFC 8622).
pub fn dscp(text: &str) -> Result<u8, String> {
    let lower = text.to_ascii_lowercase();
    let digits = |rest: &str| rest.bytes().map(|b| b.wrapping_sub(b'0')).collect::<Vec<u8>>();
    let named = match lower.as_str() {
        "ef" => Some(46),
        "va" => Some(44),
        "le" => Some(1),
        "be" | "df" => Some(0),
        name => match (name.get(..2), name.get(2..).map(digits).as_deref()) {
            (Some("cs"), Some([class @ 0..=7])) => Some(class * 8),
            (Some("af"), Some([class @ 1..=4, drop @ 1..=3])) => Some(class * 8 + drop * 2),
            _ => None,
        },
    };
    named.or_else(|| text.parse().ok().filter(|n| *n <= 63)).ok_or_else(|| {
        format!("{text:?} is not a DSCP; write 0 to 63, or a name: EF, VA, LE, CS0 to CS7, AF11 to AF43")
    })
}

/// A round holds some probes before it is compared with another: at the targets of this program (below 1 ms) a shorter
/// one holds none.
pub fn round(text: &str) -> Result<u64, String> {
    match parse_duration_ns(text)? {
        ns @ 1_000_000.. => Ok(ns),
        _ => Err(format!("{text:?} is too short for a round to hold probes; write 1ms or more")),
    }
}

/// Readings closer to each other would be all that a CPU does.
pub fn interval(text: &str) -> Result<u64, String> {
    match parse_duration_ns(text)? {
        ns @ 1_000_000.. => Ok(ns),
        _ => Err(format!("{text:?} is too short an interval; write 1ms or more")),
    }
}

/// A longer one than a shape holds begins no burst.
pub fn burst_gap(text: &str) -> Result<u64, String> {
    match parse_duration_ns(text)? {
        ns if ns <= MOST_GAP_NS => Ok(ns),
        _ => Err(format!("{text:?} is longer than any gap of a shape; write 60s or less")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_within_their_bounds() {
        assert_eq!(worth("2%"), Ok(Worth { ratio: 0.02, ..Worth::default() }));
        assert_eq!(worth("1us,5%"), Ok(Worth { ratio: 0.05, ns: 1_000 }));
        assert!(
            worth("1%,2%").is_err() && worth("101%").is_err() && gain("100%").is_err() && false_keep("51%").is_err()
        );
        assert_eq!(["EF", "af41", "cs6", "63"].map(dscp), [46, 34, 48, 63].map(Ok));
        assert!(["64", "af44", "cs8", ""].iter().all(|text| dscp(text).is_err()));
        assert_eq!((round("1ms"), interval("2ms"), burst_gap("60s")), (Ok(1_000_000), Ok(2_000_000), Ok(MOST_GAP_NS)));
        assert!(round("999us").is_err() && interval("1ns").is_err() && burst_gap("61s").is_err());
    }
}
