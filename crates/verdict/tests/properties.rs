//! What holds of every sample, whatever it is.
#![allow(clippy::unwrap_used)] // a test may end by panic

use lowlat_model::Measurement;
use lowlat_model::measurement::LOST;
use lowlat_model::verdict::Round;
use lowlat_verdict::sequential::{self, Next, Test};
use lowlat_verdict::{
    CompareOptions, QUANTILES, compare_figures, compare_samples, intervals, jitter, quantiles, steady::steady,
};
use proptest::prelude::*;

/// Round trips of any size, ties, stalls and losses among them.
fn samples(most: usize) -> impl Strategy<Value = Vec<u64>> {
    let one = prop_oneof![4 => 1_000u64..2_000, 2 => Just(1_500), 1 => any::<u64>(), 1 => Just(LOST)];
    prop::collection::vec(one, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_quantile_is_a_sample_and_lies_in_its_interval(s in samples(1_500)) {
        let figures = quantiles(&s);
        for i in intervals(&s, &QUANTILES, 0.95, 60, 3) {
            if let Some(at) = i.at_ns {
                prop_assert!(s.contains(&at));
                prop_assert!(i.low_ns.is_some_and(|low| low <= at), "{i:?}");
                prop_assert!(i.high_ns.is_none_or(|high| at <= high), "{i:?}");
            } else {
                prop_assert_eq!(i.high_ns, None);
            }
            if i.q.total_cmp(&0.5).is_eq() {
                prop_assert_eq!(i.at_ns, figures.p50_ns);
            }
        }
        let order = [figures.min_ns, figures.p50_ns, figures.p90_ns, figures.p99_ns].into_iter().flatten();
        prop_assert!(order.is_sorted());
        prop_assert_eq!(figures.max_ns.is_some(), !s.is_empty() && !s.contains(&LOST));
    }

    #[test]
    fn what_is_left_out_fits_into_the_run(s in samples(1_200)) {
        let found = steady(&s);
        prop_assert!(found.warmup + found.cooldown <= s.len());
        let j = jitter::jitter(&s);
        prop_assert_eq!(j.pdv.samples, s.len() as u64);
        prop_assert!(j.ipdv.samples < s.len().max(1) as u64);
        prop_assert!(j.pdv.min_ns.is_none_or(|least| least == 0));
    }

    /// Turned round, a comparison says the same with the other sign; the same run twice shows nothing.
    #[test]
    fn a_comparison_is_of_two_sides(a in samples(900), b in samples(900), seed in any::<u64>()) {
        let options = CompareOptions { iterations: 60, seed, ..CompareOptions::default() };
        let c = compare_samples(("a", &a), ("b", &b), &options);
        let turned = compare_samples(("b", &b), ("a", &a), &options);
        prop_assert_eq!(&c, &compare_samples(("a", &a), ("b", &b), &options));
        for (x, y) in c.quantiles.iter().zip(&turned.quantiles) {
            // ns beyond i64 have no negative; such delays are not latencies.
            if x.a_ns.max(x.b_ns).is_some_and(|v| v < 1 << 53) {
                prop_assert_eq!(x.diff_ns, y.diff_ns.map(|d| -d));
            }
            if let (Some(low), Some(d), Some(high)) = (x.low_ns, x.diff_ns, x.high_ns) {
                prop_assert!(x.a_ns.max(x.b_ns) >= Some(1 << 53) || low <= d && d <= high, "{x:?}");
            }
        }
        let same = compare_samples(("a", &a), ("a", &a), &options);
        prop_assert!(same.words.starts_with("no difference shown"), "{}", same.words);
    }

    /// Whatever the rounds hold, a test ends within its pairs, its figures agree, and the same rounds give the same.
    #[test]
    fn a_test_of_any_rounds_ends_and_its_figures_agree(rounds in prop::collection::vec((samples(120), samples(120)), 1..9)) {
        let judge = || {
            let options = sequential::SequentialOptions { most_pairs: 24, ..sequential::SequentialOptions::default() };
            let mut test = Test::new(("a", "b"), options);
            let round = |s: &[u64]| Round { samples_ns: s.to_vec(), ..Round::default() };
            let mut pairs = rounds.iter().cycle();
            while let Some((a, b)) = pairs.next().filter(|_| test.pairs() <= 24) {
                if test.push(round(a), round(b)) != Next::More {
                    break;
                }
            }
            (test.pairs(), test.comparison())
        };
        let (pairs, c) = judge();
        prop_assert!(pairs <= 24, "{pairs}");
        for d in &c.quantiles {
            if d.a_ns.max(d.b_ns).is_some_and(|v| v < 1 << 53) {
                prop_assert_eq!(d.diff_ns, Some(d.b_ns.unwrap().cast_signed() - d.a_ns.unwrap().cast_signed()));
                // The ends are rounded on their own.
                prop_assert!(d.low_ns.is_none_or(|low| low <= d.diff_ns.unwrap() + 1), "{d:?}");
                prop_assert!(d.high_ns.is_none_or(|high| high >= d.diff_ns.unwrap() - 1), "{d:?}");
            }
        }
        prop_assert_eq!(c, judge().1);
    }

    #[test]
    fn documents_of_any_figures_are_survived(a in samples(600), b in samples(600), low in any::<Option<u64>>()) {
        let document = |s: &[u64]| {
            let mut rtt_intervals = intervals(s, &QUANTILES, 0.95, 30, 1);
            if let Some(first) = rtt_intervals.first_mut() {
                first.low_ns = low;
            }
            Measurement { rtt: quantiles(s), sent: s.len() as u64, rtt_intervals, ..Measurement::default() }
        };
        let c = compare_figures(("a", &document(&a)), ("b", &document(&b)), &CompareOptions::default());
        prop_assert!(!c.words.is_empty());
    }
}
