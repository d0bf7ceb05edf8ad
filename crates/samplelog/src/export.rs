//! The sample log in the formats of others: CSV, and the HdrHistogram interval log.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::{Block, LogError, Reader};
use lowlat_measure::{Flags, Probe};

/// Highest value of an exported histogram, ns: an hour. HdrHistogram has no +∞.
const HIGHEST_NS: u64 = 3_600_000_000_000;

/// Answers that came after their probe had been written, by the probe's number: how many, and whether one was late.
pub type Afters = HashMap<u64, (u16, bool)>;

/// The answers of a log that came after their probe had been written: one pass over it. They are few on any path worth
/// measuring; a path that doubles every answer makes an entry for each.
pub fn afters<R: Read>(reader: &mut Reader<R>) -> Result<Afters, LogError> {
    let mut all = Afters::new();
    while let Some(block) = reader.next_block()? {
        let Block::After(list) = block else { continue };
        for (index, late) in list {
            let entry = all.entry(*index).or_default();
            if *late {
                entry.1 = true;
            } else {
                entry.0 = entry.0.saturating_add(1);
            }
        }
    }
    Ok(all)
}

/// One line per probe: times in ns, empty where there is none.
pub fn csv<E: From<io::Error>>(
    probes: impl Iterator<Item = Result<Probe, E>>,
    afters: &Afters,
    out: &mut impl Write,
) -> Result<u64, E> {
    writeln!(
        out,
        "planned_ns,sent_ns,received_ns,rtt_ns,rtt_planned_ns,residence_ns,duplicates,warmup,unsteady,reordered,late,unsent,gap"
    )?;
    let mut n = 0;
    for probe in probes {
        let mut p = probe?;
        if let Some((duplicates, late)) = afters.get(&n) {
            p.duplicates = p.duplicates.saturating_add(*duplicates);
            if *late {
                p.flags.set(Flags::LATE);
            }
        }
        let some = |v: u64| if v == u64::MAX { String::new() } else { v.to_string() };
        let flag = |mark| u8::from(p.flags.has(mark));
        writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{},{}",
            p.planned,
            p.sent,
            some(p.received),
            some(p.rtt()),
            some(p.rtt_planned()),
            some(p.residence),
            p.duplicates,
            flag(Flags::WARMUP),
            flag(Flags::UNSTEADY),
            flag(Flags::REORDERED),
            flag(Flags::LATE),
            flag(Flags::UNSENT),
            flag(Flags::GAP)
        )?;
        n += 1;
    }
    Ok(n)
}

/// The HdrHistogram interval log (V2, deflated, base64), one histogram of round trips per `interval`, three significant
/// digits: what HdrHistogram's own tools and plotters read. Warm-up, and what the
/// steady-state test left out, are left out.
///
/// The format has no place for a lost probe. Each interval's losses stand in a comment line of their own after it, so
/// they are not lost from sight; a percentile read from this file does not count them.
pub fn hdr_log<E: From<io::Error>>(
    probes: impl Iterator<Item = Result<Probe, E>>,
    started: SystemTime,
    interval: Duration,
    out: &mut impl Write,
) -> Result<u64, E> {
    let broken = |e: &dyn std::fmt::Debug| io::Error::other(format!("write the HdrHistogram log: {e:?}"));
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("lowlat: round trips from the actual send, ns")
        .with_start_time(started)
        .with_max_value_divisor(1.0)
        .begin_log_with(out, &mut serializer)
        .map_err(|e| broken(&e))?;
    let mut histogram = Hdr::<u64>::new_with_bounds(1, HIGHEST_NS, 3).map_err(|e| broken(&e))?;
    let (mut first, mut index, mut lost, mut n) = (None, 0u64, 0u64, 0);
    let width = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    let mut close = |histogram: &mut Hdr<u64>, index: u64, lost: &mut u64| -> io::Result<()> {
        if histogram.is_empty() && *lost == 0 {
            return Ok(());
        }
        let start = Duration::from_nanos(index.saturating_mul(width));
        log.write_histogram(histogram, start, interval, None).map_err(|e| broken(&e))?;
        if *lost > 0 {
            log.write_comment(&format!("lost in the interval above: {lost}"))?;
        }
        histogram.reset();
        *lost = 0;
        Ok(())
    };
    for probe in probes {
        let p = probe?;
        if p.flags.has(Flags::WARMUP) || p.flags.has(Flags::UNSTEADY) {
            continue;
        }
        let origin = *first.get_or_insert(p.planned);
        let now = p.planned.saturating_sub(origin) / width;
        if now != index {
            close(&mut histogram, index, &mut lost)?;
            index = now;
        }
        if p.answered() {
            histogram.saturating_record(p.rtt().max(1));
        } else {
            lost += 1;
        }
        n += 1;
    }
    close(&mut histogram, index, &mut lost)?;
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn probes() -> Vec<Probe> {
        (0..3_000u64)
            .map(|i| {
                let sent = 5_000_000 + i * 1_000_000;
                let received = if i % 100 == 7 { u64::MAX } else { sent + 10_000 + i };
                let flags = Flags(if i < 10 { Flags::WARMUP } else { 0 });
                Probe { planned: sent, sent, received, flags, ..Probe::default() }
            })
            .collect()
    }

    #[test]
    fn csv_has_a_line_for_each_and_nothing_for_what_is_not() {
        let mut out = Vec::new();
        let n = csv(probes().into_iter().map(Ok::<_, io::Error>), &Afters::from([(7, (2, true))]), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((n, lines.len()), (3_000, 3_001));
        assert_eq!(lines[1], "5000000,5000000,5010000,10000,10000,,0,1,0,0,0,0,0");
        assert_eq!(lines[8], "12000000,12000000,,,,,2,1,0,0,1,0,0");
        assert!(lines.iter().all(|l| l.split(',').count() == 13));
    }

    #[test]
    fn the_hdr_log_is_read_by_hdrhistogram() {
        let mut out = Vec::new();
        hdr_log(probes().into_iter().map(Ok::<_, io::Error>), SystemTime::UNIX_EPOCH, Duration::from_secs(1), &mut out)
            .unwrap();
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(text.contains("lost in the interval above: 10"), "{text}");
        let mut counts = Vec::new();
        for entry in IntervalLogIterator::new(&out) {
            if let LogEntry::Interval(i) = entry.unwrap() {
                use base64_of_the_test as base64;
                let bytes = base64::decode(i.encoded_histogram());
                let h: Hdr<u64> =
                    hdrhistogram::serialization::Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                counts.push((h.len(), h.max()));
            }
        }
        // 2 990 measured, 29 or 30 of them lost.
        assert_eq!(counts.iter().map(|c| c.0).sum::<u64>(), 2_990 - 29);
        assert_eq!(counts.len(), 3);
        assert!(counts[2].1 >= 12_999 && counts[2].1 <= 13_015, "{counts:?}");
    }

    /// Base64 by the book (RFC 4648), to keep one more crate out of the tests.
    mod base64_of_the_test {
        pub(super) fn decode(text: &str) -> Vec<u8> {
            let value = |c: u8| match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                _ => 63,
            };
            let mut out = Vec::new();
            let (mut bits, mut held) = (0u32, 0);
            for c in text.bytes().filter(|&c| c != b'=') {
                bits = bits << 6 | u32::from(value(c));
                held += 6;
                if held >= 8 {
                    held -= 8;
                    out.push((bits >> held & 0xff) as u8);
                }
            }
            out
        }
    }
}
