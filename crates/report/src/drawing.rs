//! Plots without a format: what the page draws. Text and Markdown leave them out, since their tables hold the same figures.

use lowlat_model::Distribution;
use lowlat_model::Verdict;
use lowlat_model::distribution::Course;

use crate::page::Table;

/// A plot with all that a reader needs: a heading, what its marks mean, and its figures as a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Drawing {
    /// Heading.
    pub(crate) title: String,
    /// What the marks mean.
    pub(crate) legend: String,
    /// The plot.
    pub(crate) plot: Plot,
    /// The figures it shows.
    pub(crate) table: Table,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plot {
    /// Latency over percentile, on the axes of HdrHistogram's plots.
    Percentiles(Vec<Curve>),
    /// One histogram a row.
    Histograms(Histograms),
    /// The run over time.
    Course(Course),
    /// Stages of a round trip, one after the other.
    Stages(Vec<Stage>),
    /// Latency and loss over what a sweep changes.
    Sweep(Sweep),
    /// Changes with their intervals.
    Changes(Vec<Change>),
    /// Engines side by side.
    Engines(Vec<Engine>),
    /// Packets: when each was sent, ns, and its bytes.
    Packets(Vec<(u64, u32)>),
}

/// One line of a percentile plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// Name.
    pub(crate) name: String,
    /// What it shows.
    pub(crate) of: Distribution,
}

/// Histograms on one axis of time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histograms {
    /// Name and counts of each row.
    pub(crate) rows: Vec<(String, Distribution)>,
    /// Heights are logarithms of the counts, so that one outlier among a million is seen.
    pub(crate) log_counts: bool,
    /// Drawn as a line.
    pub(crate) goal_ns: Option<u64>,
}

/// One stage of a waterfall.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    /// Name.
    pub(crate) name: String,
    /// Length in the median round trip, as text.
    pub(crate) time: String,
    /// Where it begins, as a share of the round trip.
    pub(crate) from: f64,
    /// Its share of the median round trip.
    pub(crate) share: f64,
    /// Its share of the slowest, where that is known.
    pub(crate) tail: Option<f64>,
    /// It is the largest.
    pub(crate) largest: bool,
}

/// A sweep.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sweep {
    /// `rate`, `size`, `interval`.
    pub(crate) axis: String,
    /// Its points, in the order of the axis.
    pub(crate) points: Vec<SweepPoint>,
    /// The highest sustained point.
    pub(crate) knee: Option<f64>,
}

/// A point of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SweepPoint {
    /// Where on the axis.
    pub(crate) at: f64,
    /// The same as text.
    pub(crate) name: String,
    /// Median.
    pub(crate) p50_ns: Option<u64>,
    /// 99th percentile.
    pub(crate) p99_ns: Option<u64>,
    /// Share that was lost.
    pub(crate) loss: f64,
}

/// A change of one figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Of what.
    pub(crate) name: String,
    /// Relative change; negative is faster.
    pub(crate) ratio: f64,
    /// Its interval.
    pub(crate) interval: Option<(f64, f64)>,
    /// What it shows.
    pub(crate) verdict: Verdict,
}

/// An engine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Engine {
    /// Name.
    pub(crate) name: String,
    /// Median.
    pub(crate) p50_ns: Option<u64>,
    /// 99th percentile.
    pub(crate) p99_ns: Option<u64>,
    /// Why it could not run.
    pub(crate) why_not: Option<String>,
}

/// Limits of the bins of a table: 1, 2 and 5 of each decade from 1 µs to 10 ms.
pub(crate) const BINS: [u64; 13] = [
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// A table of histograms: a row for each bin that one of them has a sample in.
pub(crate) fn bins(rows: &[(String, Distribution)]) -> Table {
    let counted: Vec<Vec<u64>> = rows.iter().map(|(_, d)| d.binned(&BINS)).collect();
    let name = |n: usize| match BINS.get(n) {
        Some(ns) => format!("up to {}", crate::figures::time(Some(*ns))),
        None => format!("above {}", crate::figures::time(BINS.last().copied())),
    };
    let filled = (0..=BINS.len()).filter(|n| counted.iter().any(|c| c[*n] > 0));
    let mut table: Vec<Vec<String>> =
        filled.map(|n| std::iter::once(name(n)).chain(counted.iter().map(|c| c[n].to_string())).collect()).collect();
    if rows.iter().any(|(_, d)| d.lost > 0) {
        let lost = rows.iter().map(|(_, d)| d.lost.to_string());
        table.push(std::iter::once("lost".to_owned()).chain(lost).collect());
    }
    Table { columns: std::iter::once(String::new()).chain(rows.iter().map(|(n, _)| n.clone())).collect(), rows: table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_model::distribution::Bar;

    #[test]
    fn a_bin_without_a_sample_has_no_row_and_the_lost_have_one() {
        let d = |up_to_ns, count, lost| Distribution { bars: vec![Bar { above_ns: 0, up_to_ns, count }], lost };
        let t = bins(&[("a".into(), d(900, 7, 0)), ("b".into(), d(60_000_000, 2, 1))]);
        assert_eq!(t.columns, ["", "a", "b"]);
        assert_eq!(t.rows, [["up to 1.00 µs", "7", "0"], ["above 10000 µs", "0", "2"], ["lost", "0", "1"]]);
    }
}
