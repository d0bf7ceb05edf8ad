//! What a test shows, as a document.

use lowlat_model::verdict::{Comparison, Design, QuantileDifference, Sequential, Stopped};
use lowlat_model::{Schema, Verdict};

use super::bet::{Side, Stream};
use super::interval::interval;
use super::quantity::Quantity;
use super::test::Test;
use crate::words;

impl Test {
    /// What the pairs so far show. Costs a bisection per quantile: 120 passes over the pairs.
    pub fn comparison(&self) -> Comparison {
        let quantiles: Vec<QuantileDifference> = self.quantities.iter().map(|q| self.difference(q)).collect();
        let stopped = self.stopped.unwrap_or(Stopped::Interrupted);
        // What is reported only (P90) says nothing to the verdict.
        let judged: Vec<&QuantileDifference> =
            self.quantities.iter().zip(&quantiles).filter(|(q, _)| q.weight > 0.0).map(|(_, d)| d).collect();
        let verdict = whole(stopped, &judged);
        let sequential = self.sequential(stopped, &quantiles);
        let p50 = quantiles.first();
        let mut out = Comparison {
            schema: Schema::current("compare"),
            a: self.names.0.clone(),
            b: self.names.1.clone(),
            smallest_detectable_ns: p50
                .and_then(|d| Some(d.high_ns?.saturating_sub(d.low_ns?).unsigned_abs().div_ceil(2))),
            verdict,
            words: words::sequential(verdict, &sequential, &judged),
            design: Design::Sequential,
            seed: self.options.seed,
            warnings: Vec::new(),
            quantiles,
            sequential: Some(sequential),
            figure: None,
            placed: Vec::new(),
        };
        out.warnings.extend(self.not_supported());
        out
    }

    fn sequential(&self, stopped: Stopped, quantiles: &[QuantileDifference]) -> Sequential {
        let options = &self.options;
        let share = quantiles.first().and_then(|d| d.a_ns).map_or(0.0, |a| options.worth_ratio * a as f64);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // positive; the cast saturates
        let worth_ns = (share.round() as u64).max(options.worth_floor_ns);
        Sequential {
            pairs: self.pairs,
            most_pairs: options.most_pairs,
            stopped,
            alpha: options.alpha,
            e_better: self.wealth(Side::Below),
            e_worse: self.harm(),
            worth_ratio: options.worth_ratio,
            worth_ns,
            timeout_ns: options.timeout_ns,
            planned_too_slow: options.planned_too_slow,
            a_lost: self.loss.a.0,
            a_sent: self.loss.a.1,
            b_lost: self.loss.b.0,
            b_sent: self.loss.b.1,
            loss: match shown(&self.loss.bets, options.confidence) {
                Verdict::Unclear if self.loss.a.0 == 0 && self.loss.b.0 == 0 => Verdict::Same,
                other => other,
            },
            leans: self.leans(),
        }
    }

    /// One quantile of the document.
    fn difference(&self, quantity: &Quantity) -> QuantileDifference {
        let options = &self.options;
        let mut verdict = shown(&quantity.bets, options.confidence);
        if verdict == Verdict::Unclear {
            verdict = shown(quantity.logs(), options.confidence);
        }
        let nothing =
            QuantileDifference { q: quantity.q, from: quantity.from, verdict, ..QuantileDifference::default() };
        let Some((a, b)) = quantity.typical() else { return nothing };
        let (low, high) = interval(quantity.logs(), options.confidence);
        let worth = self.worth(quantity);
        if low.is_some_and(|l| l >= -worth) && high.is_some_and(|h| h <= worth) {
            verdict = Verdict::Same;
        }
        // The mean of what is left after trimming may lie a hair outside an interval that is narrower than the ticks.
        let log = (b / a).ln();
        let log = low.map_or(log, |l| log.max(l));
        let log = high.map_or(log, |h| log.min(h));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // finite and positive; casts saturate
        // What is beyond the range of a difference is three hundred years.
        let (whole, signed) = (|v: f64| (v.round() as u64).min(i64::MAX.unsigned_abs()), |v: f64| v.round() as i64);
        let (a_ns, b_ns) = (whole(a), whole(a * log.exp()));
        let ns = |log: f64| signed(a * log.exp_m1());
        QuantileDifference {
            a_ns: Some(a_ns),
            b_ns: Some(b_ns),
            diff_ns: Some(b_ns.cast_signed() - a_ns.cast_signed()), // so that the three figures agree to the ns
            low_ns: low.map(ns),
            high_ns: high.map(ns),
            change_ratio: Some(log.exp_m1()),
            change_low: low.map(f64::exp_m1),
            change_high: high.map(f64::exp_m1),
            verdict,
            ..nothing
        }
    }

    /// Which quantiles have no figure for want of samples.
    fn not_supported(&self) -> impl Iterator<Item = String> {
        self.quantities.iter().filter(|q| q.missing() > 0 && self.pairs > 0).map(|q| {
            let name = words::quantile(q.q, q.from);
            format!("{name} has no figure: {} more samples a side are needed; run longer rounds", q.missing())
        })
    }
}

/// What one stream of differences shows: its interval lies on one side of 0.
fn shown(bets: &Stream, confidence: f64) -> Verdict {
    let limit = 2.0 / (1.0 - confidence);
    if bets.wealth(0.0, Side::Below) >= limit {
        Verdict::Better
    } else if bets.wealth(0.0, Side::Above) >= limit {
        Verdict::Worse
    } else {
        Verdict::Unclear
    }
}

fn whole(stopped: Stopped, judged: &[&QuantileDifference]) -> Verdict {
    match stopped {
        Stopped::Better => Verdict::Better,
        Stopped::Worse => Verdict::Worse,
        _ if !judged.is_empty() && judged.iter().all(|d| d.verdict == Verdict::Same) => Verdict::Same,
        _ => Verdict::Unclear,
    }
}
