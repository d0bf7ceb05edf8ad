//! 15 points: the path was also measured while it worked.

use lowlat_model::document::{ConfidencePart, part as names};

use super::part;
use crate::{Input, words};

/// 15 points when P99 was measured beside bulk streams with the kept configuration; an idle path hides queues.
pub(crate) fn load(input: &Input<'_>) -> ConfidencePart {
    let (points, why) = match input.loaded {
        None => (0, "the path was measured idle only".to_owned()),
        Some(m) => match m.rtt.p99_ns {
            None => (0, format!("the sample under load bears no P99 ({} probes, {} lost)", m.sent, m.lost)),
            p99 => (15, format!("P99 under load {}", words::time(p99))),
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
        run.loaded = None;
        assert_eq!(load(&run.input()).points, 0);
    }
}
