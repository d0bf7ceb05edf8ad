//! The sample log: bytes as they are, and as the content of a block whose checksum is right, which is where a damaged
//! block's bytes seldom get.

use lowlat_measure::log::Reader;

use crate::byte;

/// `kind u8 | bytes`.
pub fn run(mut data: &[u8]) {
    let kind = byte(&mut data);
    if kind & 1 == 0 {
        read(data);
        return;
    }
    let count = u32::from(byte(&mut data)).max(1);
    let mut log = lowlat_measure_head();
    // A block of the kind that the other bits name: of probes, of answers that came after, an end mark, or none.
    let mut block = vec![kind >> 1];
    block.extend(count.to_le_bytes());
    block.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&block);
    crc.update(data);
    log.extend(block);
    log.extend(crc.finalize().to_le_bytes());
    log.extend(data);
    read(&log);
}

/// The beginning of every log, as the writer writes it.
fn lowlat_measure_head() -> Vec<u8> {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Into(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if let Ok(mut all) = self.0.lock() {
                all.extend(bytes);
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    thread_local! {
        static HEAD: Vec<u8> = {
            let into = Into::default();
            if let Ok(log) = lowlat_measure::log::Writer::to(into.clone(), b"{}") {
                let _ = log.finish(None, false);
            }
            let all = into.0.lock().map(|all| all.clone()).unwrap_or_default();
            // Magic and version, and the block of the head: 10, 13 and 2 bytes; then the end mark.
            all.get(..25).unwrap_or_default().to_vec()
        };
    }
    HEAD.with(Clone::clone)
}

fn read(log: &[u8]) {
    let Ok(reader) = Reader::new(log) else { return };
    let _ = lowlat_model::log::LogHead::parse(reader.head());
    let mut probes = 0u64;
    let mut failed = false;
    for probe in reader {
        assert!(!failed, "it went on after an error");
        failed = probe.is_err();
        probes += 1;
    }
    // A probe takes a byte at least: no log can make work without end.
    assert!(probes <= log.len() as u64 + 1, "{probes} probes in {} bytes", log.len());
    // Counted and figured, and as others read it.
    if let Ok(mut reader) = Reader::new(log) {
        let _ = lowlat_measure::log::samples(&mut reader, true, 64);
    }
    if let Ok(mut reader) = Reader::new(log) {
        let afters = lowlat_measure::export::afters(&mut reader).unwrap_or_default();
        if let Ok(mut again) = Reader::new(log) {
            let _ = lowlat_measure::export::csv(&mut again, &afters, &mut std::io::sink());
        }
    }
}
