//! The sample log: bytes unchanged, and as blocks whose checksums are right, which is where damaged bytes seldom get.

use std::io::Write;
use std::sync::{Arc, Mutex};

use lowlat_samplelog::{Block, LogWriter, Reader};

use crate::byte;

/// `kind u8 | bytes`; for an odd kind the bytes are blocks: `kind u8 | count u8 | length u8 | payload`.
pub fn run(mut data: &[u8]) {
    if byte(&mut data) & 1 == 0 {
        read(data);
        return;
    }
    let mut log = beginning();
    while !data.is_empty() {
        let (kind, count) = (byte(&mut data), u32::from(byte(&mut data)));
        let length = usize::from(byte(&mut data)).min(data.len());
        let (payload, rest) = data.split_at(length);
        data = rest;
        let start = log.len();
        log.push(kind);
        log.extend(count.to_le_bytes());
        log.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        let sum = crc32fast::hash(&[&log[start..], payload].concat());
        log.extend(sum.to_le_bytes());
        log.extend(payload);
    }
    read(&log);
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::ErrorKind::Other)?.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Magic, version and head, as the writer writes them.
fn beginning() -> Vec<u8> {
    thread_local! {
        static BEGINNING: Vec<u8> = {
            let memory = Memory::default();
            // Dropped unfinished: without the end mark.
            drop(LogWriter::to(memory.clone(), b"{}").expect("memory takes all"));
            memory.0.lock().expect("its thread has ended").clone()
        };
    }
    BEGINNING.with(Clone::clone)
}

fn read(log: &[u8]) {
    let Ok(mut reader) = Reader::new(log) else { return };
    let (mut probes, mut late) = (0, 0);
    while let Ok(Some(block)) = reader.next_block() {
        match block {
            Block::Probes(some) => probes += some.len(),
            Block::After(some) => late += some.len(),
        }
    }
    // Each takes a byte at least: no log can make work without end.
    assert!(probes + late <= log.len(), "{probes} probes and {late} late answers in {} bytes", log.len());
    assert_eq!(reader.read(), probes as u64);
    assert!(matches!(reader.next_block(), Ok(None)), "it went on after its end");
}
