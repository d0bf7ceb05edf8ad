//! Resampled differences.

/// Resampled differences, absolute and relative.
pub(crate) struct Draws {
    pub(super) diff: Vec<f64>,
    pub(super) ratio: Vec<f64>,
}

impl Draws {
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self { diff: Vec::with_capacity(n), ratio: Vec::with_capacity(n) }
    }

    pub(crate) fn push(&mut self, (a, b): (f64, f64)) {
        self.diff.push(b - a);
        self.ratio.push(if a > 0.0 { (b - a) / a } else { 0.0 });
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

/// Pairs cut from each end: a fifth, as Wilcox advises (Introduction to Robust Estimation, ch. 3).
pub(super) fn trim(k: usize) -> usize {
    k / 5
}

/// Means of A and of B over the pairs that remain when those of most extreme difference are cut.
pub(super) fn trimmed(points: impl Iterator<Item = (f64, f64)>, scratch: &mut Vec<(f64, f64)>) -> (f64, f64) {
    scratch.clear();
    scratch.extend(points);
    let g = trim(scratch.len());
    if g > 0 {
        scratch.sort_unstable_by(|x, y| (x.1 - x.0).total_cmp(&(y.1 - y.0)));
    }
    let kept = &scratch[g..scratch.len() - g];
    let n = kept.len() as f64;
    (kept.iter().map(|p| p.0).sum::<f64>() / n, kept.iter().map(|p| p.1).sum::<f64>() / n)
}
