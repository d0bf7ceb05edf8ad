//! A sample log of a simulated path, for benchmarks: `make_log SAMPLES FILE`.
#![allow(clippy::print_stderr, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a program; positive figures

use std::path::Path;
use std::process::ExitCode;

use lowlat_measure::{Flags, Probe, SampleSink};
use lowlat_model::random::Random;
use lowlat_samplelog::LogWriter;

const HEAD: &str = r#"{"target":"192.0.2.1:8620","proto":"udp","peer":"lowlat","engine":"spin","mode":"open-loop","planned":true,"rate_pps":100000.0,"size_bytes":64,"cpu":null,"timeout_ns":1000000000,"started_unix_ns":0}"#;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let (Some(Ok(samples)), Some(file)) = (args.get(1).map(|n| n.parse::<u64>()), args.get(2)) else {
        eprintln!("make_log: name the number of samples and the file");
        return ExitCode::from(2);
    };
    match write(samples, Path::new(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("make_log: {file}: {e}");
            ExitCode::from(2)
        }
    }
}

/// A hundred thousand probes a second, each some 5 to 30 µs, with a long tail.
fn write(samples: u64, file: &Path) -> std::io::Result<()> {
    let mut log = LogWriter::create(file, HEAD.as_bytes())?;
    let mut random = Random::new(1);
    for i in 0..samples {
        let x = random.bits();
        let planned = 1_000_000_000 + i * 10_000;
        let sent = planned + (x & 0x1ff);
        let rtt =
            5_000 + (random.exponential() * 4_000.0) as u64 + if x.trailing_zeros() >= 12 { 2_000_000 } else { 0 };
        log.put(&Probe {
            planned,
            sent,
            received: sent + rtt,
            residence: 300 + (x & 0x3f),
            duplicates: 0,
            flags: Flags(0),
        })?;
    }
    log.finish(None, false).map(drop)
}
