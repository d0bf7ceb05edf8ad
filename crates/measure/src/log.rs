//! The full sample log: every probe of a run, compact, streamed, and checked.
//!
//! ```text
//! file   = "lowlatlog" version:u8 block* end
//! block  = length:u32 count:u32 crc:u32 payload      (length and crc of the payload; CRC-32 as in zlib)
//! end    = 0:u32 0:u32 crc:u32 total:u64             (crc of the total): a file without it was cut short
//! probe  = zigzag(planned − planned before) zigzag(sent − planned) rtt residence duplicates flags
//! ```
//!
//! Numbers in a payload are LEB128 varints; `rtt` and `residence` are stored one up, 0 for none; the first `planned` of
//! a block counts from 0, so that blocks can be read on their own. Fixed numbers are little-endian. A probe at a steady
//! rate takes 8 to 11 bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::samples::{Flags, Probe, SampleSink};

const MAGIC: &[u8; 9] = b"lowlatlog";
const VERSION: u8 = 1;
/// Probes a block: some 40 KiB, so a torn tail costs little and the reader's memory stays flat.
const BLOCK: u32 = 4_096;
/// Longest payload a reader takes: six varints of ten bytes a probe.
const LONGEST: u32 = BLOCK * 60;
/// Blocks that may wait for the disk before the measuring thread has to: a quarter of a million probes.
const QUEUE: usize = 64;

/// Writes a log. Encoding takes some tens of ns a probe on the measuring thread; the disk is another thread's.
#[derive(Debug)]
pub struct Writer {
    payload: Vec<u8>,
    count: u32,
    total: u64,
    last_planned: u64,
    blocks: Option<SyncSender<Vec<u8>>>,
    disk: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    /// Makes (or empties) the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self::to(File::create(path)?))
    }

    /// Writes to anything; for tests and pipes.
    pub fn to(mut out: impl Write + Send + 'static) -> Self {
        let (send, receive): (_, Receiver<Vec<u8>>) = sync_channel(QUEUE);
        let disk = std::thread::spawn(move || {
            out.write_all(MAGIC)?;
            out.write_all(&[VERSION])?;
            for block in receive {
                out.write_all(&block)?;
            }
            out.flush()
        });
        Self {
            payload: Vec::with_capacity(64 * 1024),
            count: 0,
            total: 0,
            last_planned: 0,
            blocks: Some(send),
            disk: Some(disk),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let mut block = Vec::with_capacity(self.payload.len() + 12);
        let length = u32::try_from(self.payload.len()).map_err(|_| io::Error::other("a log block grew too long"))?;
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&self.count.to_le_bytes());
        block.extend_from_slice(&crc32fast::hash(&self.payload).to_le_bytes());
        block.extend_from_slice(&self.payload);
        self.payload.clear();
        self.count = 0;
        self.last_planned = 0;
        self.hand_on(block)
    }

    fn hand_on(&mut self, block: Vec<u8>) -> io::Result<()> {
        match &self.blocks {
            Some(blocks) if blocks.send(block).is_ok() => Ok(()),
            // The disk thread is gone: its own error says why.
            _ => Err(self.join().err().unwrap_or_else(|| io::Error::other("the log's writer has ended"))),
        }
    }

    fn join(&mut self) -> io::Result<()> {
        self.blocks = None;
        match self.disk.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the log's writer panicked")),
            None => Ok(()),
        }
    }

    /// Writes what is left and the end mark; returns the number of probes. A log that is dropped without it reads as cut
    /// short, which it then is.
    pub fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        let total = self.total.to_le_bytes();
        let mut end = vec![0; 8];
        end.extend_from_slice(&crc32fast::hash(&total).to_le_bytes());
        end.extend_from_slice(&total);
        self.hand_on(end)?;
        self.join()?;
        Ok(self.total)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.flush();
        let _ = self.join();
    }
}

impl SampleSink for Writer {
    fn put(&mut self, probe: &Probe) -> io::Result<()> {
        let out = &mut self.payload;
        put_varint(out, zigzag(probe.planned.wrapping_sub(self.last_planned)));
        put_varint(out, zigzag(probe.sent.wrapping_sub(probe.planned)));
        put_varint(out, probe.rtt().wrapping_add(1));
        put_varint(out, probe.residence.wrapping_add(1));
        put_varint(out, u64::from(probe.duplicates));
        out.push(probe.flags.0);
        self.last_planned = probe.planned;
        self.count += 1;
        self.total += 1;
        if self.count == BLOCK { self.flush() } else { Ok(()) }
    }
}

/// A difference modulo 2⁶⁴ as a number that is small when the difference is, either way.
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (difference.cast_signed() >> 63).cast_unsigned()
}

fn unzigzag(v: u64) -> u64 {
    (v >> 1) ^ (v & 1).wrapping_neg()
}

fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        #[allow(clippy::cast_possible_truncation)] // the low seven bits are meant
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    #[allow(clippy::cast_possible_truncation)] // below 0x80
    out.push(v as u8);
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut v = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        v |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(v);
        }
    }
    None
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a log at all.
    #[error("read the sample log: it does not begin like one; give a file that `measure --log` wrote")]
    Foreign,
    /// From a newer lowlat.
    #[error(
        "read the sample log: it has version {0}, this lowlat reads up to {VERSION}; use the lowlat that wrote it or a newer one"
    )]
    Newer(u8),
    /// The file ends in the middle; all before it was given.
    #[error("read the sample log: it is cut short after {good} probes; they can be used, what came after is lost")]
    Truncated {
        /// Probes before the cut.
        good: u64,
    },
    /// A block is not what was written.
    #[error("read the sample log: the block after probe {good} is damaged ({why}); the probes before it can be used")]
    Corrupt {
        /// Probes before the damage.
        good: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The disk.
    #[error("read the sample log: {0}")]
    Io(#[from] io::Error),
}

/// Reads a log block by block, in constant memory. Ends after the first error.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    block: Vec<Probe>,
    next: usize,
    good: u64,
    done: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a file and checks its beginning.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Self::new(BufReader::with_capacity(1 << 18, File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything.
    pub fn new(mut from: R) -> Result<Self, LogError> {
        let mut head = [0; 10];
        let got = fill(&mut from, &mut head)?;
        if got < head.len() || head[..9] != MAGIC[..] {
            return Err(LogError::Foreign);
        }
        if head[9] == 0 || head[9] > VERSION {
            return Err(LogError::Newer(head[9]));
        }
        Ok(Self { from, block: Vec::new(), next: 0, good: 0, done: false })
    }

    /// Probes given so far.
    pub fn read(&self) -> u64 {
        self.good
    }

    /// Loads the next block; `false` at a proper end.
    fn load(&mut self) -> Result<bool, LogError> {
        let good = self.good;
        let corrupt = |why| LogError::Corrupt { good, why };
        let mut head = [0; 12];
        if fill(&mut self.from, &mut head)? < head.len() {
            return Err(LogError::Truncated { good });
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, count, crc) = (number(0), number(4), number(8));
        if count == 0 {
            let mut total = [0; 8];
            if length != 0 {
                return Err(corrupt("it claims bytes, but no probes"));
            }
            if fill(&mut self.from, &mut total)? < total.len() {
                return Err(LogError::Truncated { good });
            }
            if crc32fast::hash(&total) != crc {
                return Err(corrupt("the end mark's checksum does not fit"));
            }
            if u64::from_le_bytes(total) != good {
                return Err(corrupt("the end mark counts other probes than there are"));
            }
            return Ok(false);
        }
        if length > LONGEST || count > BLOCK {
            return Err(corrupt("it claims more than a block holds"));
        }
        let mut payload = vec![0; length as usize];
        if fill(&mut self.from, &mut payload)? < payload.len() {
            return Err(LogError::Truncated { good });
        }
        if crc32fast::hash(&payload) != crc {
            return Err(corrupt("its checksum does not fit"));
        }
        self.block.clear();
        self.next = 0;
        let mut rest = payload.as_slice();
        let mut planned = 0;
        for _ in 0..count {
            let probe = take_probe(&mut rest, planned).ok_or_else(|| corrupt("a probe ends in the middle"))?;
            planned = probe.planned;
            self.block.push(probe);
        }
        if !rest.is_empty() {
            return Err(corrupt("there is more than its probes"));
        }
        Ok(true)
    }
}

fn take_probe(from: &mut &[u8], before: u64) -> Option<Probe> {
    let planned = before.wrapping_add(unzigzag(take_varint(from)?));
    let sent = planned.wrapping_add(unzigzag(take_varint(from)?));
    let rtt = take_varint(from)?;
    let residence = take_varint(from)?.wrapping_sub(1);
    let duplicates = u16::try_from(take_varint(from)?).ok()?;
    let (&flags, rest) = from.split_first()?;
    *from = rest;
    let received = if rtt == 0 { u64::MAX } else { sent.wrapping_add(rtt - 1) };
    Some(Probe { planned, sent, received, residence, duplicates, flags: Flags(flags) })
}

/// Reads until `buf` is full or the end; how much came.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buf.len() {
        match from.read(&mut buf[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Probe, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.block.len() {
            if self.done {
                return None;
            }
            match self.load() {
                Ok(true) => {}
                Ok(false) => {
                    self.done = true;
                    return None;
                }
                Err(e) => {
                    self.done = true;
                    self.block.clear();
                    self.next = 0;
                    return Some(Err(e));
                }
            }
        }
        let probe = self.block[self.next];
        self.next += 1;
        self.good += 1;
        Some(Ok(probe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
        let mut writer = Writer::to(out.clone());
        for p in probes {
            writer.put(p).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), probes.len() as u64);
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
        for cut in (0..bytes.len()).step_by(997).chain(bytes.len() - 21..bytes.len()) {
            let (good, error) = read(&bytes[..cut]);
            match error {
                Some(LogError::Foreign) => assert!(cut < 10),
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
                    // A receive before its send is no round trip: rtt() says 0 for it, and no engine makes one.
                    let received = sent.saturating_add(rtt >> 1).max(sent);
                    Probe { planned, sent, received, residence, duplicates, flags: Flags(flags) }
                })
                .collect();
            let (back, error) = read(&logged(&probes));
            prop_assert!(error.is_none());
            prop_assert_eq!(back, probes);
        }

        #[test]
        fn no_bytes_make_it_panic(tail in prop::collection::vec(any::<u8>(), 0..400), fix in any::<bool>()) {
            let mut bytes = b"lowlatlog\x01".to_vec();
            if fix {
                // A block whose checksum is right: the payload itself must be survived.
                bytes.extend_from_slice(&u32::try_from(tail.len()).unwrap().to_le_bytes());
                bytes.extend_from_slice(&(tail.first().copied().map_or(1, u32::from).max(1)).to_le_bytes());
                bytes.extend_from_slice(&crc32fast::hash(&tail).to_le_bytes());
            }
            bytes.extend_from_slice(&tail);
            let (_, error) = read(&bytes);
            prop_assert!(error.is_some() || tail.len() == 20);
        }
    }
}
