//! From which size a zero-copy send pays: from paired rounds to a break-even size with its interval.

use lowlat_model::zerocopy::{ZeroCopyFigure, ZeroCopyMethod, ZeroCopySize};

/// The median of the ratios and its 95 % interval by order statistics, which takes no shape of the distribution for
/// granted: the number of pairs below the median is binomial (n, ½). Below six pairs there is no such interval.
pub fn median_ratio(ratios: &[f64]) -> (Option<f64>, Option<(f64, f64)>) {
    let mut sorted: Vec<f64> = ratios.iter().copied().filter(|r| r.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let middle = match n {
        0 => None,
        n if n % 2 == 1 => Some(sorted[n / 2]),
        n => Some((sorted[n / 2 - 1] + sorted[n / 2]).max(0.0) / 2.0),
    };
    let interval = outside(n).map(|k| (sorted[k], sorted[n - 1 - k]));
    (middle, interval)
}

/// How many values at each end an interval of 95 % leaves outside; `None` where there are too few for one.
fn outside(n: usize) -> Option<usize> {
    // P(fewer than k + 1 of n below the median) ≤ 2.5 %.
    let mut at_most = 0.0;
    let mut term = 0.5f64.powi(i32::try_from(n).ok()?);
    let mut found = None;
    for k in 0..n / 2 {
        at_most += term;
        if at_most > 0.025 {
            break;
        }
        found = Some(k);
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    found
}

/// What `how` comes to over all sizes, which are in rising order.
pub fn method(how: &str, sizes: &[ZeroCopySize]) -> ZeroCopyMethod {
    let rows: Vec<(u64, &ZeroCopyFigure)> =
        sizes.iter().filter_map(|s| Some((s.size_bytes, s.against.iter().find(|f| f.how == how)?))).collect();
    let pays = |f: &ZeroCopyFigure| f.cpu_ratio_high.is_some_and(|high| high < 1.0);
    let costs = |f: &ZeroCopyFigure| f.cpu_ratio_low.is_some_and(|low| low > 1.0);
    let first = rows.iter().rposition(|(_, f)| !pays(f)).map_or(0, |last| last + 1);
    let break_even = rows.get(first).map(|(size, _)| *size);
    let above = rows[..first].iter().rev().find(|(_, f)| costs(f)).map(|(size, _)| *size);
    let said: Vec<(u64, u64)> = rows.iter().filter_map(|(_, f)| Some((f.copied?, f.completed))).collect();
    let (copied, of) = said.iter().fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    let copied_ratio = (of > 0).then(|| copied as f64 / of as f64);
    let mut words = match (break_even, above, rows.last()) {
        (Some(from), Some(above), _) => {
            format!("pays from {from} bytes on (95 %: above {above}, at most {from}), by CPU time of the sender")
        }
        (Some(from), None, _) => format!(
            "pays from {from} bytes on, by CPU time of the sender (95 %: at most {from}; at no smaller size was it shown to cost)"
        ),
        (None, _, Some((most, _))) => {
            format!("pays at none of the sizes up to {most} bytes, by CPU time of the sender")
        }
        (None, _, None) => "no size was measured".to_owned(),
    };
    if of == 0 && !rows.is_empty() {
        words += "; this kernel does not say whether it copied anyway";
    } else if copied > 0 {
        words = format!(
            "{words}; {copied} of {of} completed sends were copied anyway: over loopback and veth the kernel always does, and so \
             does a device without scatter-gather"
        );
    }
    ZeroCopyMethod {
        how: how.to_owned(),
        why_not: None,
        break_even_bytes: break_even,
        above_bytes: above,
        copied_ratio,
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(ratios: &[(f64, f64)], copied: Option<u64>) -> Vec<ZeroCopySize> {
        let size = |(n, (low, high)): (usize, &(f64, f64))| ZeroCopySize {
            size_bytes: 1024 << n,
            plain_cpu_ns: Some(1_000),
            plain_ns: Some(1_000),
            against: vec![ZeroCopyFigure {
                how: "msg-zerocopy".into(),
                cpu_ns: Some(1_000),
                send_ns: Some(1_000),
                cpu_ratio: Some((low + high) / 2.0),
                cpu_ratio_low: Some(*low),
                cpu_ratio_high: Some(*high),
                completed: 100,
                copied,
            }],
        };
        ratios.iter().enumerate().map(size).collect()
    }

    #[test]
    fn the_break_even_size_is_the_first_from_which_every_size_pays() {
        let of = |ratios: &[(f64, f64)]| {
            let m = method("msg-zerocopy", &sizes(ratios, Some(0)));
            (m.break_even_bytes, m.above_bytes)
        };
        // Costs, is not shown, pays, pays.
        assert_eq!(of(&[(1.5, 2.0), (0.9, 1.2), (0.7, 0.9), (0.5, 0.6)]), (Some(4096), Some(1024)));
        // A size that pays below one that does not is none from which on it pays.
        assert_eq!(of(&[(0.7, 0.9), (1.1, 1.2), (0.7, 0.9)]), (Some(4096), Some(2048)));
        assert_eq!(of(&[(0.7, 0.9), (0.5, 0.6)]), (Some(1024), None));
        assert_eq!(of(&[(1.2, 1.3), (0.9, 1.1)]), (None, Some(1024)));
        assert_eq!(of(&[]), (None, None));
    }

    #[test]
    fn none_and_copied_anyway_are_said() {
        let copied = method("msg-zerocopy", &sizes(&[(1.2, 1.3), (1.0, 1.1)], Some(100)));
        assert!(copied.words.starts_with("pays at none of the sizes up to 2048 bytes"), "{}", copied.words);
        assert!(copied.words.contains("200 of 200 completed sends were copied anyway"), "{}", copied.words);
        assert_eq!(copied.copied_ratio, Some(1.0));
        let unsaid = method("msg-zerocopy", &sizes(&[(0.5, 0.6)], None));
        assert!(unsaid.words.contains("does not say") && unsaid.copied_ratio.is_none(), "{}", unsaid.words);
    }

    #[test]
    fn the_interval_of_a_median_is_that_of_the_binomial() {
        // Table of the sign test: 6 pairs leave none outside, 12 two at each end, 20 five.
        assert_eq!([5, 6, 8, 9, 12, 20].map(outside), [None, Some(0), Some(0), Some(1), Some(2), Some(5)]);
        let ratios: Vec<f64> = (1..=12).map(f64::from).collect();
        assert_eq!(median_ratio(&ratios), (Some(6.5), Some((3.0, 10.0))));
        assert_eq!(median_ratio(&[]), (None, None));
        assert_eq!(median_ratio(&[0.5, f64::NAN, 0.7]), (Some(0.6), None));
    }
}
