//! The log against a simulated path whose truth is known.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

use lowlat_measure::testing::{SimEngine, SimulatedPath, simulate};
use lowlat_measure::{Mode, Pattern, Spec, Warmup};

const MS: u64 = 1_000_000;

/// Duplicates and late answers come when their probe is long in the log: the log has them anyway.
#[test]
fn the_log_has_what_came_after() {
    let held = SimulatedPath {
        hold: 0.01,
        hold_ns: 8 * MS,
        duplicate: 0.05,
        tail_ns: 0.0,
        seed: 5,
        ..SimulatedPath::default()
    };
    let spec = Spec {
        mode: Mode::OpenLoop { rate_pps: 10_000.0, pattern: Pattern::Fixed },
        duration_ns: Some(1_000 * MS),
        warmup: Warmup::Probes(0),
        timeout_ns: MS,
        ..Spec::default()
    };
    let file = std::env::temp_dir().join(format!("lowlat-truth-{}.log", std::process::id()));
    let mut log = lowlat_samplelog::LogWriter::create(&file, b"{}").unwrap();
    let samples = simulate(&mut SimEngine::new(held), &spec, Some(&mut log), &mut |_| {}).unwrap();
    log.finish(None, false).unwrap();
    let mut reader = lowlat_samplelog::Reader::open(&file).unwrap();
    let back = lowlat_samplelog::samples(&mut reader, true, 1 << 20).unwrap();
    let (c, b) = (samples.counts(), back.counts());
    assert!(c.late > 50 && c.duplicates > 300, "{c:?}");
    assert_eq!(
        (b.sent, b.lost, b.late, b.duplicates, b.reordered),
        (c.sent, c.lost, c.late, c.duplicates, c.reordered)
    );
    assert_eq!(back.rtts_planned(), samples.rtts_planned());
    let events = lowlat_samplelog::export::afters(&mut lowlat_samplelog::Reader::open(&file).unwrap()).unwrap();
    assert!(events.len() > 300);
    std::fs::remove_file(&file).unwrap();
}
