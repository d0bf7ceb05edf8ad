//! Whether the machine changed between two runs: what a wake-up costs without the path.

use lowlat_model::Measurement;
use lowlat_model::conditions::WakeUp;
use lowlat_model::units::us;

/// A difference below this share of the smaller figure is noise: within one mode of a machine the medians of 50 ms lie within
/// 3 %, and within 8 % next to a load of ten; its modes are 20 % and more apart (`measure::wake`).
const SHARE: f64 = 0.15;
/// Nor is one below this many ns: it is less than what is worth having of a median.
const FLOOR_NS: u64 = 300;
/// Medians of two runs that are closer than this share need no explanation.
const SAME: f64 = 0.05;

/// B less A, ns, where the difference is more than noise.
fn difference(a_ns: u64, b_ns: u64) -> Option<i64> {
    let (low, high) = (a_ns.min(b_ns), a_ns.max(b_ns));
    let differs = high - low >= FLOOR_NS && (high - low) as f64 >= SHARE * low as f64;
    differs.then(|| b_ns.min(i64::MAX.unsigned_abs()).cast_signed() - a_ns.min(i64::MAX.unsigned_abs()).cast_signed())
}

/// That the machine changed during a run, as one line; `None` where it did not, or is not known to have.
pub fn changed_meanwhile(wake_up: &WakeUp) -> Option<String> {
    let after = wake_up.sleeping_after_ns?;
    difference(wake_up.sleeping_ns, after)?;
    Some(format!(
        "a wake-up on CPU {} took {} µs before this run and {} µs after it: the machine changed meanwhile, and the figures are of \
         both of its speeds",
        wake_up.cpu,
        us(wake_up.sleeping_ns),
        us(after)
    ))
}

/// That the machine changed between two runs, as one line, where their medians differ the same way. `None` where nothing has
/// to be explained, or the machine does not explain it.
///
/// A round trip between sleepers of one host holds two wake-ups, and more work grows with them: of 200 runs on one path the
/// medians rose by 2.5 wake-ups. A difference of up to four of them is called the machine's.
pub fn between(a: (&str, &Measurement), b: (&str, &Measurement)) -> Option<String> {
    let of = |m: &Measurement| Some((m.rtt.p50_ns?, m.conditions.as_ref()?.wake_up.as_ref()?.sleeping_ns));
    let ((p50_a, wake_a), (p50_b, wake_b)) = (of(a.1)?, of(b.1)?);
    let more = difference(wake_a, wake_b)?;
    let slower = p50_b as f64 - p50_a as f64;
    if slower.abs() < SAME * p50_a.min(p50_b) as f64 || (slower > 0.0) != (more > 0) {
        return None;
    }
    let word = if more > 0 { "more" } else { "less" };
    let all = slower.abs() <= 4.0 * more.unsigned_abs() as f64;
    let so = if all { "the machine changed, not the path" } else { "the machine changed, which explains a part" };
    Some(format!(
        "a wake-up on these CPUs costs {} µs {word} in {} than in {} ({} µs, {} µs): {so}",
        us(more.unsigned_abs()),
        b.0,
        a.0,
        us(wake_b),
        us(wake_a)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::{Conditions, Quantiles};

    fn run(p50_ns: u64, sleeping_ns: u64) -> Measurement {
        let wake_up = Some(WakeUp { cpu: 1, sleeping_ns, ..WakeUp::default() });
        Measurement {
            rtt: Quantiles { p50_ns: Some(p50_ns), ..Quantiles::default() },
            conditions: Some(Conditions { wake_up, ..Conditions::default() }),
            ..Measurement::default()
        }
    }

    fn said(a: (u64, u64), b: (u64, u64)) -> Option<String> {
        between(("a", &run(a.0, a.1)), ("b", &run(b.0, b.1)))
    }

    #[test]
    fn a_machine_that_changed_is_named_and_noise_is_not() {
        assert_eq!(
            said((9_500, 3_300), (21_000, 7_800)).as_deref(),
            Some(
                "a wake-up on these CPUs costs 4.50 µs more in b than in a (7.80 µs, 3.30 µs): the machine changed, not the path"
            )
        );
        assert!(said((21_000, 7_800), (9_500, 3_300)).is_some_and(|s| s.contains("4.50 µs less in b")));
        // Within one mode, next to a load; the same path at another price; nothing to explain.
        for (a, b) in
            [((9_500, 3_300), (10_400, 3_550)), ((9_500, 3_300), (60_000, 3_300)), ((9_500, 3_300), (9_600, 7_800))]
        {
            assert_eq!(said(a, b), None, "{a:?} {b:?}");
        }
        // The path became faster although the machine became slower.
        assert_eq!(said((60_000, 3_300), (30_000, 7_800)), None);
        let part = said((9_500, 3_300), (200_000, 7_800));
        assert!(part.as_deref().is_some_and(|s| s.ends_with("which explains a part")), "{part:?}");
        let unknown = Measurement { conditions: None, ..run(9_500, 1) };
        assert_eq!(between(("a", &unknown), ("b", &run(21_000, 7_800))), None);
    }

    #[test]
    fn a_change_during_a_run_is_named() {
        let of = |after| {
            changed_meanwhile(&WakeUp { cpu: 1, sleeping_ns: 3_300, sleeping_after_ns: after, ..WakeUp::default() })
        };
        assert_eq!((of(None), of(Some(3_500))), (None, None));
        assert!(
            of(Some(7_800))
                .is_some_and(|s| s.starts_with("a wake-up on CPU 1 took 3.30 µs before this run and 7.80 µs after it"))
        );
    }
}
