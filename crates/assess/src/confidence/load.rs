//! 15 points: the path was also measured while it worked.

use lowlat_model::document::{ConfidencePart, part as names};

use super::part;
use crate::{Input, words};

/// 15 points when P99 was measured beside bulk streams with the kept configuration, 8 when the sample supports the
/// median only; an idle path hides queues.
pub(crate) fn load(input: &Input<'_>) -> ConfidencePart {
    let (points, why) = match input.loaded {
        None => (0, "the path was measured idle only".to_owned()),
        Some(m) => match (m.rtt.p50_ns, m.rtt.p99_ns) {
            (_, Some(p99)) => (15, format!("P99 under load {}", words::time(Some(p99)))),
            (Some(p50), None) => (
                8,
                format!(
                    "median under load {}; {} probes with {} lost are too few for P99",
                    words::time(Some(p50)),
                    m.sent,
                    m.lost
                ),
            ),
            (None, None) => (0, format!("{} of {} probes were lost under load: no median", m.lost, m.sent)),
        },
    };
    part(names::LOAD, points, 15, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn idle_only_gives_nothing() {
        let mut run = sample::Run::good();
        assert_eq!(load(&run.input()).points, 15);
        run.loaded.as_mut().unwrap().rtt.p99_ns = None;
        assert_eq!(load(&run.input()).points, 8);
        run.loaded.as_mut().unwrap().rtt.p50_ns = None;
        assert_eq!(load(&run.input()).points, 0);
        run.loaded = None;
        assert_eq!(load(&run.input()).points, 0);
    }
}
