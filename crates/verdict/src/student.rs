//! Student's t, for intervals from few stretches of a run.

/// The value that |T| stays below with probability `confidence`, for `df` degrees of freedom (at least 1).
///
/// Bisection on the closed form of the distribution for whole degrees of freedom (Abramowitz and Stegun 26.7.3–4):
/// about 60 evaluations of a sum of `df / 2` terms, done once a comparison.
pub(crate) fn two_sided(confidence: f64, df: usize) -> f64 {
    let df = df.clamp(1, 1_000);
    let (mut low, mut high) = (0.0, 1e4);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if within(middle, df) < confidence { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P(|T| < t).
fn within(t: f64, df: usize) -> f64 {
    let v = df as f64;
    let theta = (t / v.sqrt()).atan();
    let cos2 = theta.cos().powi(2);
    if df % 2 == 1 {
        let mut term = theta.cos();
        let mut sum = if df == 1 { 0.0 } else { term };
        for k in (3..df).step_by(2) {
            term *= cos2 * (k - 1) as f64 / k as f64;
            sum += term;
        }
        std::f64::consts::FRAC_2_PI * (theta + theta.sin() * sum)
    } else {
        let mut term = 1.0;
        let mut sum = 1.0;
        for k in (2..df).step_by(2) {
            term *= cos2 * (k - 1) as f64 / k as f64;
            sum += term;
        }
        theta.sin() * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_table() {
        for (df, want) in
            [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (999, 1.962)]
        {
            let got = two_sided(0.95, df);
            assert!((got - want).abs() < 0.001, "df {df}: {got}, the table has {want}");
        }
        assert!((two_sided(0.99, 5) - 4.032).abs() < 0.001);
        assert!((two_sided(0.60, 5) - 0.920).abs() < 0.001); // the 80 % point, one-sided
    }
}
