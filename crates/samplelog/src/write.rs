//! Writing a log.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use lowlat_model::measurement::SteadyState;

use super::{AFTER, BLOCK, BLOCK_HEAD, End, HEAD, LAST, MAGIC, PROBES, VERSION, crc, varint};
use lowlat_measure::{Flags, Probe, SampleSink};

/// Blocks that may wait for the disk before the measuring thread has to: a quarter of a million probes.
const QUEUE: usize = 64;

/// Writes a log. Encoding takes some tens of ns a probe on the measuring thread; the disk is another thread's.
#[derive(Debug)]
pub struct LogWriter {
    payload: Vec<u8>,
    count: u32,
    afters: Vec<u8>,
    after_count: u32,
    end: End,
    last_planned: u64,
    blocks: Option<SyncSender<Vec<u8>>>,
    disk: Option<JoinHandle<io::Result<()>>>,
}

impl LogWriter {
    /// Makes (or empties) the file. `head` says what is measured, as JSON; at most 64 KiB.
    pub fn create(path: &Path, head: &[u8]) -> io::Result<Self> {
        // A FIFO that nobody reads would be waited for for ever (open(2), ENXIO); a link may lead to what is not to be
        // overwritten, but for the devices' own (/dev/stdout).
        let link = std::fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink()) && !path.starts_with("/dev");
        let nofollow = if link { libc::O_NOFOLLOW } else { 0 };
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | nofollow;
        let file = OpenOptions::new().write(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        match file.metadata()?.file_type() {
            kind if kind.is_file() => file.set_len(0)?,
            // Written to without waiting, a FIFO or a terminal would give up where its reader is slow.
            _ => return Self::to(OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(path)?, head),
        }
        Self::to(file, head)
    }

    /// Writes to anything; for tests and pipes.
    pub fn to(mut out: impl Write + Send + 'static, head: &[u8]) -> io::Result<Self> {
        let (send, receive): (_, Receiver<Vec<u8>>) = sync_channel(QUEUE);
        let disk = std::thread::spawn(move || {
            out.write_all(MAGIC)?;
            out.write_all(&[VERSION])?;
            for block in receive {
                out.write_all(&block)?;
            }
            out.flush()
        });
        let mut writer = Self {
            payload: Vec::with_capacity(64 * 1024),
            count: 0,
            afters: Vec::new(),
            after_count: 0,
            end: End::default(),
            last_planned: 0,
            blocks: Some(send),
            disk: Some(disk),
        };
        writer.hand_on(&block(HEAD, 1, head)?)?;
        Ok(writer)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.count > 0 {
            let probes = block(PROBES, self.count, &self.payload)?;
            self.payload.clear();
            self.count = 0;
            self.last_planned = 0;
            self.hand_on(&probes)?;
        }
        if self.after_count > 0 {
            let afters = block(AFTER, self.after_count, &self.afters)?;
            self.afters.clear();
            self.after_count = 0;
            self.hand_on(&afters)?;
        }
        Ok(())
    }

    fn hand_on(&mut self, block: &[u8]) -> io::Result<()> {
        match &self.blocks {
            Some(blocks) if blocks.send(block.to_vec()).is_ok() => Ok(()),
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

    /// Writes what is left and the end mark, with what the steady-state test found (`None` where it could not look);
    /// returns the number of probes. A log that is dropped without it reads as cut short, which it then is.
    pub fn finish(mut self, found: Option<SteadyState>, interrupted: bool) -> io::Result<u64> {
        self.flush()?;
        let End { total, measured, .. } = self.end;
        let SteadyState { warmup, cooldown, steady } = found.unwrap_or_default();
        let mut payload: Vec<u8> = [total, measured, warmup, cooldown].iter().flat_map(|v| v.to_le_bytes()).collect();
        payload.push(u8::from(interrupted) | u8::from(found.is_some()) << 1 | u8::from(steady) << 2);
        self.hand_on(&block(LAST, 1, &payload)?)?;
        self.join()?;
        Ok(total)
    }
}

fn block(kind: u8, count: u32, payload: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(payload.len()).map_err(|_| io::Error::other("a log block grew too long"))?;
    let mut block = Vec::with_capacity(payload.len() + BLOCK_HEAD);
    block.push(kind);
    block.extend_from_slice(&count.to_le_bytes());
    block.extend_from_slice(&length.to_le_bytes());
    let crc = crc(&block, payload);
    block.extend_from_slice(&crc.to_le_bytes());
    block.extend_from_slice(payload);
    Ok(block)
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let _ = self.flush();
        let _ = self.join();
    }
}

impl SampleSink for LogWriter {
    fn put(&mut self, probe: &Probe) -> io::Result<()> {
        let out = &mut self.payload;
        varint::put(out, varint::zigzag(probe.planned.wrapping_sub(self.last_planned)));
        varint::put(out, varint::zigzag(probe.sent.wrapping_sub(probe.planned)));
        varint::put(out, probe.rtt().wrapping_add(1));
        varint::put(out, probe.residence.wrapping_add(1));
        varint::put(out, u64::from(probe.duplicates));
        out.push(probe.flags.0);
        self.last_planned = probe.planned;
        self.count += 1;
        self.end.total += 1;
        self.end.measured += u64::from(!probe.flags.has(Flags::WARMUP));
        if self.count == BLOCK { self.flush() } else { Ok(()) }
    }

    fn after(&mut self, index: u64, late: bool) -> io::Result<()> {
        varint::put(&mut self.afters, index);
        self.afters.push(u8::from(late));
        self.after_count += 1;
        if self.after_count == BLOCK { self.flush() } else { Ok(()) }
    }
}
