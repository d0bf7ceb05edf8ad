//! How often each latency occurred, and when: what a page draws, and what says more than quantiles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Latencies counted in bars whose steps are equal on a logarithmic axis, sixteen an octave: the largest value of a bar
/// is at most 6.3 % above its smallest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Shortest first; those without a sample are left out.
    pub bars: Vec<Bar>,
    /// Samples that were lost: they rank as +∞ and have no bar.
    pub lost: u64,
}

/// One bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bar {
    /// Above this, ns. The bar of the smallest values begins at 0 and holds it.
    pub above_ns: u64,
    /// Up to this, itself included, ns; never above the largest sample.
    pub up_to_ns: u64,
    /// Samples.
    pub count: u64,
}

impl Distribution {
    /// Samples, the lost included.
    pub fn samples(&self) -> u64 {
        self.bars.iter().map(|b| b.count).sum::<u64>() + self.lost
    }

    /// The share of the samples up to each bar's end: `(share, up_to_ns)`, rising. The last is below 1 where samples were
    /// lost.
    pub fn shares(&self) -> Vec<(f64, u64)> {
        let all = self.samples() as f64;
        let mut seen = 0;
        let rising = self.bars.iter().map(|b| {
            seen += b.count;
            (seen as f64 / all, b.up_to_ns)
        });
        rising.collect()
    }

    /// Samples up to each of the rising `limits`, and at last those above them. A bar that a limit divides is counted above
    /// it, so that "up to" is never too many; the lost are in none.
    pub fn binned(&self, limits: &[u64]) -> Vec<u64> {
        let mut bins = vec![0; limits.len() + 1];
        for bar in &self.bars {
            bins[limits.partition_point(|limit| *limit < bar.up_to_ns)] += bar.count;
        }
        bins
    }
}

/// The run from its begin to its end, in windows of the same length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Course {
    /// Length of a window, ns.
    pub window_ns: u64,
    /// Whether the latencies count from the planned send; else from the send.
    pub planned: bool,
    /// One after the other; those in which no probe was to leave are left out.
    pub windows: Vec<CourseWindow>,
}

/// One window. A probe belongs to that in which it was to leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CourseWindow {
    /// Its begin, from the first probe's plan, ns.
    pub at_ns: u64,
    /// Probes.
    pub probes: u64,
    /// Of these lost, or never sent.
    pub lost: u64,
    /// Of these on their way during an interruption of the host; 0 also where none could be seen.
    pub interrupted: u64,
    /// Their median, the lost ranking as +∞; `null` where that is among the lost.
    pub p50_ns: Option<u64>,
    /// The longest that came back; `null` where none did.
    pub max_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Distribution {
        let bar = |above_ns, up_to_ns, count| Bar { above_ns, up_to_ns, count };
        Distribution { bars: vec![bar(0, 10, 5), bar(10, 20, 3), bar(40, 50, 1)], lost: 1 }
    }

    #[test]
    fn the_lost_are_the_share_that_never_comes() {
        assert_eq!(three().shares(), [(0.5, 10), (0.8, 20), (0.9, 50)]);
        assert_eq!(Distribution::default().shares(), []);
    }

    #[test]
    fn what_a_limit_divides_counts_above_it() {
        assert_eq!(three().binned(&[10, 15, 50]), [5, 0, 4, 0]);
        assert_eq!(three().binned(&[]), [9]);
        assert_eq!(three().binned(&[5]), [0, 9]);
    }
}
