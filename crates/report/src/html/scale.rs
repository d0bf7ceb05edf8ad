//! Axes: from a value to a place on the page.

/// A logarithmic axis for times. Latencies span decades; on a linear axis the maximum hides the median.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    low: f64,
    high: f64,
    x0: f64,
    x1: f64,
}

impl Log {
    /// Over all of `values`, with a little room at both ends, between `x0` and `x1`.
    pub(crate) fn over(values: impl Iterator<Item = u64>, x0: f64, x1: f64) -> Option<Self> {
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for v in values {
            let v = (v.max(1)) as f64;
            low = low.min(v);
            high = high.max(v);
        }
        low.is_finite().then(|| Self { low: (low * 0.8).log10(), high: (high * 1.25).log10(), x0, x1 })
    }

    /// Where a time stands.
    pub(crate) fn x(&self, ns: u64) -> f64 {
        let t = ((ns.max(1) as f64).log10() - self.low) / (self.high - self.low);
        self.x0 + t * (self.x1 - self.x0)
    }

    /// Marks at 1, 2 and 5 of each decade, thinned to at most eight.
    pub(crate) fn ticks(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for decade in 0..19_u32 {
            for step in [1_u64, 2, 5] {
                let ns = step * 10_u64.pow(decade);
                let at = (ns as f64).log10();
                if at >= self.low && at <= self.high {
                    all.push(ns);
                }
            }
        }
        let every = all.len().div_ceil(8).max(1);
        all.into_iter().step_by(every).collect()
    }
}

/// The largest change that a [`Linear`] axis shows in its place: all of it, or as much again.
const FARTHEST: f64 = 1.0;

/// A linear axis for changes, that always shows zero, and at most what is [`FARTHEST`]: an interval of a test that saw
/// little reaches much further, and would squeeze all others together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear {
    low: f64,
    high: f64,
    x0: f64,
    x1: f64,
}

impl Linear {
    /// Over all of `values` and zero, between `x0` and `x1`. Values that are not numbers are left out.
    pub(crate) fn over(values: impl Iterator<Item = f64>, x0: f64, x1: f64) -> Self {
        let (mut low, mut high) = (0.0_f64, 0.0_f64);
        for v in values.filter(|v| v.is_finite()) {
            low = low.min(v);
            high = high.max(v);
        }
        let (low, high) = (low.max(-FARTHEST), high.min(FARTHEST));
        let room = ((high - low) * 0.06).max(0.01);
        Self { low: low - room, high: high + room, x0, x1 }
    }

    /// Which end of the axis a value lies beyond: `-1.0` the lower, `1.0` the upper.
    pub(crate) fn beyond(&self, v: f64) -> Option<f64> {
        if v < self.low {
            Some(-1.0)
        } else if v > self.high {
            Some(1.0)
        } else {
            None
        }
    }

    /// Where a value stands, held to the axis.
    pub(crate) fn x(&self, v: f64) -> f64 {
        let t = ((v - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        // A value that is not a number is at zero's place only to stand anywhere; its text says what it is.
        let t = if t.is_nan() { -self.low / (self.high - self.low) } else { t };
        self.x0 + t * (self.x1 - self.x0)
    }

    /// Round marks, at most nine, zero among them.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let span = self.high - self.low;
        if !span.is_finite() || span <= 0.0 {
            return vec![0.0];
        }
        let rough = span / 6.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * decade).find(|s| *s >= rough).unwrap_or(decade * 10.0);
        (-10..=10).map(|n| f64::from(n) * step).filter(|v| *v >= self.low && *v <= self.high).collect()
    }
}

/// A coordinate, to a tenth of a pixel.
pub(crate) fn px(v: f64) -> String {
    format!("{v:.1}")
}

/// `50 µs`, `1 ms`, `2 s`: a mark of the axis.
pub(crate) fn mark(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}

/// Text cut to `max` characters, with a sign that it was.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_axis_puts_decades_at_equal_distances() {
        let axis = Log::over([1_000, 100_000].into_iter(), 0.0, 100.0).unwrap();
        let (a, b, c) = (axis.x(1_000), axis.x(10_000), axis.x(100_000));
        assert!(((b - a) - (c - b)).abs() < 1e-6 && a > 0.0 && c < 100.0);
        assert!(axis.ticks().len() <= 8 && axis.ticks().contains(&1_000));
        assert!(Log::over(std::iter::empty(), 0.0, 1.0).is_none());
    }

    #[test]
    fn a_linear_axis_shows_zero_and_survives_nonsense() {
        let axis = Linear::over([-0.59, f64::NAN, f64::INFINITY].into_iter(), 0.0, 100.0);
        assert!(axis.x(-0.59) > 0.0 && axis.x(0.0) < 100.0);
        assert!(axis.x(f64::NAN).is_finite() && axis.x(f64::INFINITY) <= 100.0);
        assert!(axis.ticks().contains(&0.0));
    }

    #[test]
    fn one_wide_interval_does_not_squeeze_the_others() {
        let axis = Linear::over([-0.2, 0.1, -2.0, 15.0].into_iter(), 0.0, 100.0);
        assert!(axis.x(0.1) - axis.x(-0.2) > 10.0, "{axis:?}");
        assert_eq!((axis.beyond(15.0), axis.beyond(-2.0), axis.beyond(0.5)), (Some(1.0), Some(-1.0), None));
        assert!(axis.ticks().iter().all(|t| t.abs() <= 1.0));
    }
}
