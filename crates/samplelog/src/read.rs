//! Reading a log.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use super::{AFTER, BLOCK, BLOCK_HEAD, END, End, HEAD, LAST, LONGEST, LogError, MAGIC, PROBES, VERSION, crc, varint};
use lowlat_measure::Samples;
use lowlat_measure::{Flags, Probe};

/// Longest head a reader takes.
const LONGEST_HEAD: usize = 64 * 1024;

/// What the next block holds.
#[derive(Debug)]
pub enum Block<'a> {
    /// Probes in send order.
    Probes(&'a [Probe]),
    /// Numbers of probes (from 0, warm-up included) that had one more answer, and whether it was the first, come late.
    After(&'a [(u64, bool)]),
}

/// Reads a log block by block, in constant memory. Ends after the first error.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    head: Vec<u8>,
    /// Known beforehand, where the file could be looked at from its end.
    known: Option<End>,
    end: Option<End>,
    payload: Vec<u8>,
    probes: Vec<Probe>,
    afters: Vec<(u64, bool)>,
    next: usize,
    good: u64,
    measured: u64,
    done: bool,
    /// A missing end counts as one.
    to_the_cut: bool,
    cut: bool,
}

/// Of a file.
pub type FileReader = Reader<BufReader<File>>;

impl Reader<BufReader<File>> {
    /// Opens a file and checks its beginning. Where its end mark is whole, probes that the steady-state test left out
    /// come with their mark.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let mut file = open(path)?;
        let known = known_end(&mut file);
        file.seek(SeekFrom::Start(0))?;
        let mut reader = Self::new(BufReader::with_capacity(1 << 18, file))?;
        reader.known = known;
        Ok(reader)
    }
}

/// A FIFO without a writer is not waited for; it is not a file to seek in either way.
fn open(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Whether a file begins like a sample log.
pub fn is_log(path: &Path) -> Result<bool, LogError> {
    let mut start = [0; MAGIC.len()];
    let got = fill(&mut open(path)?, &mut start)?;
    Ok(got == start.len() && start == *MAGIC)
}

/// The end mark of a file that can be sought in; `None` where it is not whole.
fn known_end(file: &mut File) -> Option<End> {
    let mut bytes = [0; BLOCK_HEAD + END];
    file.seek(SeekFrom::End(-i64::try_from(bytes.len()).ok()?)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let (head, payload) = bytes.split_at(BLOCK_HEAD);
    let (head, sum) = head.split_at(BLOCK_HEAD - 4);
    let whole = head[0] == LAST && crc(head, payload).to_le_bytes() == sum;
    whole.then(|| take_end(payload)).flatten()
}

fn take_end(payload: &[u8]) -> Option<End> {
    let at = |i: usize| Some(u64::from_le_bytes(payload.get(i * 8..i * 8 + 8)?.try_into().ok()?));
    if payload.len() != END || payload[END - 1] > 7 {
        return None;
    }
    let (total, measured, warmup, cooldown) = (at(0)?, at(1)?, at(2)?, at(3)?);
    let marked = |mark: u8| payload[END - 1] & mark != 0;
    (measured <= total && warmup.checked_add(cooldown)? <= measured).then_some(End {
        total,
        measured,
        warmup,
        cooldown,
        interrupted: marked(1),
        looked: marked(2),
        steady: marked(4),
    })
}

impl<R: Read> Reader<R> {
    /// Reads from anything. What the steady-state test left out is then known only after the last probe
    /// ([`Reader::end`]).
    pub fn new(mut from: R) -> Result<Self, LogError> {
        let mut start = [0; 10];
        let got = fill(&mut from, &mut start)?;
        if got < start.len() || start[..9] != MAGIC[..] {
            return Err(LogError::Foreign);
        }
        match start[9] {
            VERSION => {}
            newer if newer > VERSION => return Err(LogError::Newer(newer)),
            older => return Err(LogError::Older(older)),
        }
        let mut this = Self {
            from,
            head: Vec::new(),
            known: None,
            end: None,
            payload: Vec::new(),
            probes: Vec::new(),
            afters: Vec::new(),
            next: 0,
            good: 0,
            measured: 0,
            done: false,
            to_the_cut: false,
            cut: false,
        };
        let (kind, _) = this.load()?;
        if kind != HEAD || this.payload.len() > LONGEST_HEAD {
            return Err(this.corrupt("it is not a head"));
        }
        this.head = std::mem::take(&mut this.payload);
        Ok(this)
    }

    /// What was measured, as the writer was given it.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Takes the last whole block of a log whose end is missing for its end, as a killed run leaves it; a log without
    /// one whole block of probes stays an error.
    pub fn to_the_cut(&mut self) {
        self.to_the_cut = true;
    }

    /// Whether the end was missing, once all was read.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The end mark, once all was read, or from the beginning where the file could be looked at from its end.
    pub fn end(&self) -> Option<End> {
        self.end.or(self.known)
    }

    /// Probes given so far.
    pub fn read(&self) -> u64 {
        self.good
    }

    fn corrupt(&self, why: &'static str) -> LogError {
        LogError::Corrupt { good: self.good, why }
    }

    /// Loads the next block's payload; gives its kind and count.
    fn load(&mut self) -> Result<(u8, u32), LogError> {
        let good = self.good;
        let mut head = [0; BLOCK_HEAD];
        if fill(&mut self.from, &mut head)? < head.len() {
            return Err(LogError::Truncated { good });
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (kind, count, length, sum) = (head[0], number(1), number(5), number(9));
        if length > LONGEST || count > BLOCK || count == 0 {
            return Err(self.corrupt("it claims more than a block holds"));
        }
        self.payload.resize(length as usize, 0);
        if fill(&mut self.from, &mut self.payload)? < self.payload.len() {
            return Err(LogError::Truncated { good });
        }
        if crc(&head[..BLOCK_HEAD - 4], &self.payload) != sum {
            return Err(self.corrupt("its checksum does not fit"));
        }
        Ok((kind, count))
    }

    /// The next block; `None` at a proper end.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, LogError> {
        if self.done {
            return Ok(None);
        }
        match self.decode() {
            Ok(PROBES) => Ok(Some(Block::Probes(&self.probes))),
            Ok(AFTER) => Ok(Some(Block::After(&self.afters))),
            Ok(_) => {
                self.done = true;
                Ok(None)
            }
            Err(LogError::Truncated { good }) if self.to_the_cut && good > 0 => {
                (self.done, self.cut) = (true, true);
                self.probes.clear();
                Ok(None)
            }
            Err(e) => {
                self.done = true;
                self.probes.clear();
                Err(e)
            }
        }
    }

    /// Decodes the next block; gives its kind.
    fn decode(&mut self) -> Result<u8, LogError> {
        let (kind, count) = self.load()?;
        let payload = std::mem::take(&mut self.payload);
        let mut rest = payload.as_slice();
        match kind {
            PROBES => {
                self.probes.clear();
                let mut planned = 0;
                for _ in 0..count {
                    let probe =
                        take_probe(&mut rest, planned).ok_or_else(|| self.corrupt("a probe ends in the middle"))?;
                    planned = probe.planned;
                    self.probes.push(probe);
                }
                // Before they count: a block that is refused gives none of its probes.
                if !rest.is_empty() {
                    return Err(self.corrupt("there is more than it counts"));
                }
                self.mark();
                self.good += u64::from(count);
            }
            AFTER => {
                self.afters.clear();
                for _ in 0..count {
                    let after = varint::take(&mut rest).zip(rest.split_off_first());
                    match after {
                        Some((index, &late)) if index < self.good && late <= 1 => self.afters.push((index, late == 1)),
                        _ => return Err(self.corrupt("an answer belongs to no probe")),
                    }
                }
            }
            LAST => {
                let end = take_end(rest).ok_or_else(|| self.corrupt("the end mark makes no sense"))?;
                if (end.total, end.measured) != (self.good, self.measured) {
                    return Err(self.corrupt("the end mark counts other probes than there are"));
                }
                self.end = Some(end);
                rest = &[];
            }
            _ => return Err(self.corrupt("it is of no known kind")),
        }
        if !rest.is_empty() {
            return Err(self.corrupt("there is more than it counts"));
        }
        self.payload = payload;
        Ok(kind)
    }

    /// Marks what the steady-state test left out, and counts the measured.
    fn mark(&mut self) {
        let (from, to) = self.known.map_or((0, u64::MAX), |e| (e.warmup, e.measured - e.cooldown));
        for p in &mut self.probes {
            if !p.flags.has(Flags::WARMUP) {
                if self.measured < from || self.measured >= to {
                    p.flags.set(Flags::UNSTEADY);
                }
                self.measured += 1;
            }
        }
    }
}

#[inline]
fn take_probe(from: &mut &[u8], before: u64) -> Option<Probe> {
    let planned = before.wrapping_add(varint::unzigzag(varint::take(from)?));
    let sent = planned.wrapping_add(varint::unzigzag(varint::take(from)?));
    let rtt = varint::take(from)?;
    let residence = varint::take(from)?.wrapping_sub(1);
    let duplicates = u16::try_from(varint::take(from)?).ok()?;
    let &flags = from.split_off_first()?;
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

/// One probe after the other; afters are passed over.
impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Probe, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next == self.probes.len() {
            match self.next_block() {
                Ok(Some(Block::Probes(_))) => self.next = 0,
                Ok(Some(Block::After(_))) => {}
                Ok(None) => {
                    self.next = 0;
                    return None;
                }
                Err(e) => {
                    self.next = 0;
                    return Some(Err(e));
                }
            }
        }
        let probe = self.probes[self.next];
        self.next += 1;
        Some(Ok(probe))
    }
}

/// A block that is on its way from the decoding thread to the counting one.
enum Passed {
    Probes(Vec<Probe>),
    After(Vec<(u64, bool)>),
}

/// Blocks that may wait between the two threads: some 200 KiB each.
const PASSED: usize = 8;

/// Counts and figures of a whole log. One of up to `keep` probes is kept probe by probe; of a longer one nothing is
/// kept, and memory stays flat. `planned` says whether there was a plan apart from the answers.
///
/// One thread reads, checks and decodes, this one counts: each takes about half of the time.
pub fn samples<R: Read + Send>(reader: &mut Reader<R>, planned: bool, keep: usize) -> Result<Samples, LogError> {
    let keep = if reader.known.is_some_and(|e| e.total > keep as u64) { 0 } else { keep };
    let mut samples = Samples::replayed(planned, keep);
    let decoded: Result<(), LogError> = std::thread::scope(|scope| {
        let (send, receive) = sync_channel(PASSED);
        // Emptied blocks come back to be filled again.
        let (empty, refill) = sync_channel::<Vec<Probe>>(PASSED);
        let decoder = &mut *reader;
        let thread = scope.spawn(move || -> Result<(), LogError> {
            while let Some(block) = decoder.next_block()? {
                let passed = match block {
                    Block::Probes(_) => {
                        let next = refill.try_recv().unwrap_or_default();
                        Passed::Probes(std::mem::replace(&mut decoder.probes, next))
                    }
                    Block::After(afters) => Passed::After(afters.to_vec()),
                };
                if send.send(passed).is_err() {
                    break;
                }
            }
            Ok(())
        });
        for passed in receive {
            match passed {
                Passed::Probes(probes) => {
                    for probe in &probes {
                        samples.book(probe);
                    }
                    let _ = empty.try_send(probes);
                }
                Passed::After(afters) => {
                    for (index, late) in afters {
                        samples.book_again(index, late);
                    }
                }
            }
        }
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the decoding thread panicked").into()))
    });
    decoded?;
    if reader.end().is_some_and(|e| e.interrupted) {
        samples.interrupt();
    }
    Ok(samples)
}
