//! Resampled differences.

/// Resampled differences, absolute and relative.
pub(crate) struct Draws {
    diff: Vec<f64>,
    ratio: Vec<f64>,
}

impl Draws {
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self { diff: Vec::with_capacity(n), ratio: Vec::with_capacity(n) }
    }

    pub(crate) fn push(&mut self, (a, b): (f64, f64)) {
        self.diff.push(b - a);
        self.ratio.push(if a > 0.0 { (b - a) / a } else { 0.0 });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diff.is_empty()
    }

    /// How far the interval reaches below and above the figures: `[diff below, diff above, ratio below, ratio above]`.
    pub(crate) fn reach(&mut self, (diff, ratio): (f64, f64), confidence: f64, stretch: f64) -> [f64; 4] {
        let tail = (1.0 - confidence) / 2.0;
        let ends = |draws: &mut Vec<f64>, at: f64| {
            draws.sort_unstable_by(f64::total_cmp);
            let end = |p: f64| draws[lowlat_model::measurement::rank(draws.len(), p)];
            [(at - end(tail)).max(0.0) * stretch, (end(1.0 - tail) - at).max(0.0) * stretch]
        };
        let [d0, d1] = ends(&mut self.diff, diff);
        let [r0, r1] = ends(&mut self.ratio, ratio);
        [d0, d1, r0, r1]
    }
}
