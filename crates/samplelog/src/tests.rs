//! What is written comes back; what was cut, changed or made up is reported.

use super::*;
use lowlat_measure::{Flags, Probe, SampleSink};
use lowlat_model::measurement::SteadyState;
use proptest::prelude::*;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(probes: &[Probe]) -> Vec<u8> {
    let out = Shared::default();
    let mut writer = LogWriter::to(out.clone(), b"{}").unwrap();
    for p in probes {
        writer.put(p).unwrap();
    }
    assert_eq!(writer.finish(None, false).unwrap(), probes.len() as u64);
    std::mem::take(&mut *out.0.lock().unwrap())
}

fn read(bytes: &[u8]) -> (Vec<Probe>, Option<LogError>) {
    let mut probes = Vec::new();
    match Reader::new(bytes) {
        Err(e) => return (probes, Some(e)),
        Ok(reader) => {
            for p in reader {
                match p {
                    Ok(p) => probes.push(p),
                    Err(e) => return (probes, Some(e)),
                }
            }
        }
    }
    (probes, None)
}

fn steady(n: u64) -> Vec<Probe> {
    (0..n)
        .map(|i| {
            let planned = 1_000_000_000_000 + i * 100_000;
            let sent = planned + i % 700;
            let received = if i % 97 == 0 { u64::MAX } else { sent + 5_000 + i % 3_000 };
            Probe { planned, sent, received, residence: 800, duplicates: u16::from(i % 50 == 0), flags: Flags(0) }
        })
        .collect()
}

#[test]
fn what_was_written_is_read_and_is_small() {
    let probes = steady(10_000);
    let bytes = logged(&probes);
    let (back, error) = read(&bytes);
    assert!(error.is_none() && back == probes);
    assert!(bytes.len() < 11 * probes.len(), "{} bytes", bytes.len());
    assert!(read(&logged(&[])).1.is_none());
}

#[test]
fn every_cut_is_seen_and_keeps_whole_blocks() {
    let bytes = logged(&steady(9_000));
    for cut in (0..bytes.len()).step_by(997).chain(bytes.len() - 46..bytes.len()) {
        let (good, error) = read(&bytes[..cut]);
        match error {
            Some(LogError::Foreign) => assert!(cut < 10),
            Some(LogError::Truncated { good: 0 }) if cut < 25 => {}
            Some(LogError::Truncated { good: n }) => {
                assert_eq!(n, good.len() as u64);
                assert!(n == 9_000 || n % u64::from(BLOCK) == 0, "whole blocks only: {n}");
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let bytes = logged(&steady(300));
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let (_, error) = read(&bad);
        assert!(error.is_some(), "a flip in byte {at} went unseen");
    }
    let mut older = bytes.clone();
    older[9] = 1;
    assert!(matches!(read(&older).1, Some(LogError::Older(1))));
    let mut newer = bytes;
    newer[9] = 9;
    assert!(matches!(read(&newer).1, Some(LogError::Newer(9))));
}

proptest! {
    #[test]
    fn any_probe_survives(
        raw in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u16>(), any::<u8>()), 0..50)
    ) {
        let probes: Vec<Probe> = raw
            .into_iter()
            .map(|(planned, late, rtt, residence, duplicates, flags)| {
                let sent = planned.wrapping_add(late >> 20);
                // A receive before its send is not a round trip: rtt() says 0 for it, and no engine makes one.
                let received = sent.saturating_add(rtt >> 1).max(sent);
                Probe { planned, sent, received, residence, duplicates, flags: Flags(flags) }
            })
            .collect();
        let (back, error) = read(&logged(&probes));
        prop_assert!(error.is_none());
        prop_assert_eq!(back, probes);
    }

    #[test]
    fn no_bytes_make_it_panic(tail in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..6, count in 0u32..40) {
        let head = b"lowlatlog\x02\x01\x01\0\0\0\x02\0\0\0";
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(&crc(&head[10..], b"{}").to_le_bytes());
        bytes.extend_from_slice(b"{}");
        prop_assert!(Reader::new(bytes.as_slice()).is_ok());
        // A block whose checksum is right: the payload itself must be survived.
        let mut block = vec![kind];
        block.extend_from_slice(&count.to_le_bytes());
        block.extend_from_slice(&u32::try_from(tail.len()).unwrap().to_le_bytes());
        let sum = crc(&block, &tail);
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes.extend_from_slice(&tail);
        let (_, error) = read(&bytes);
        prop_assert!(error.is_some());
        let (_, error) = read(&tail);
        prop_assert!(error.is_some());
    }
}

#[test]
fn what_was_left_out_and_what_came_after_is_reported() {
    let dir = std::env::temp_dir().join(format!("lowlat-log-{}", std::process::id()));
    let file = dir.with_extension("log");
    let mut writer = LogWriter::create(&file, b"{\"target\":\"x\"}").unwrap();
    let mut probes = steady(9_000);
    for p in &mut probes[..10] {
        p.flags.set(Flags::WARMUP);
    }
    for p in &probes {
        writer.put(p).unwrap();
    }
    writer.after(3, false).unwrap();
    writer.after(97 * 50, true).unwrap();
    writer.finish(Some(SteadyState { warmup: 100, cooldown: 40, steady: true }), true).unwrap();
    let mut reader = Reader::open(&file).unwrap();
    assert_eq!(reader.head(), b"{\"target\":\"x\"}");
    let end =
        End { total: 9_000, measured: 8_990, warmup: 100, cooldown: 40, interrupted: true, looked: true, steady: true };
    assert_eq!(reader.end(), Some(end), "known before the first probe");
    let back: Vec<Probe> = reader.by_ref().map(Result::unwrap).collect();
    let out: Vec<usize> =
        back.iter().enumerate().filter(|(_, p)| p.flags.has(Flags::UNSTEADY)).map(|(i, _)| i).collect();
    assert_eq!(out, (10..110).chain(8_960..9_000).collect::<Vec<_>>());

    let mut reader = Reader::open(&file).unwrap();
    let all = samples(&mut reader, true, 1 << 20).unwrap();
    let flat = samples(&mut Reader::open(&file).unwrap(), true, 0).unwrap();
    assert_eq!(all.counts(), flat.counts());
    assert_eq!(all.counts().sent, 8_990);
    assert_eq!(all.counts().late, 1, "{:?}", all.counts());
    assert!(all.interrupted() && all.complete() && !flat.complete());
    assert_eq!(all.rtts().len(), 8_850);
    // Cut anywhere, it is reported; the steady-state's verdict is then not known.
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let mut reader = Reader::open(&file).unwrap();
    assert_eq!(reader.end(), None);
    assert!(matches!(samples(&mut reader, true, 0), Err(LogError::Truncated { good: 9_000 })));
    std::fs::remove_file(&file).unwrap();
}
