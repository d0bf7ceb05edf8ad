//! Captures, piece by piece: the classic file of libpcap (pcap-savefile(5)) and pcapng
//! (draft-ietf-opsawg-pcapng), either byte order, stamps of any resolution.
//!
//! The reader holds one record at a time, of at most [`MOST_RECORD`] bytes, whatever the file says of its length.

/// The longest record: libpcap's largest block (`MAX_BLOCKSIZE`, sf-pcapng.c).
pub const MOST_RECORD: usize = 16 << 20;
/// Interfaces of one section at most.
const MOST_INTERFACES: usize = 4_096;

const SECTION: u32 = 0x0a0d_0d0a;
const ORDER: u32 = 0x1a2b_3c4d;

/// One packet of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturedPacket<'a> {
    /// When it was seen, ns since the epoch; `None` where the record carries no time.
    pub at_ns: Option<u64>,
    /// LINKTYPE of its interface.
    pub link: u32,
    /// What was kept of it, from the link's header on.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub length: u32,
}

/// Reads a capture that comes in pieces.
#[derive(Debug, Default)]
pub struct CaptureReader {
    rest: Vec<u8>,
    form: Form,
    records: u64,
}

#[derive(Debug, Default)]
enum Form {
    /// Its first bytes have not come.
    #[default]
    Unknown,
    Classic {
        order: ByteOrder,
        nanos: bool,
        link: u32,
    },
    Next {
        order: ByteOrder,
        interfaces: Vec<Interface>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

/// What a section says of an interface.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    per_second: u64,
    offset_s: i64,
}

/// One step: how many bytes it took; `None` where more have to come.
type Step = Result<Option<usize>, String>;

impl ByteOrder {
    fn four(self, bytes: &[u8], at: usize) -> Option<u32> {
        let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self == Self::Big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    fn two(self, bytes: &[u8], at: usize) -> Option<u16> {
        let two: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self == Self::Big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }
}

impl CaptureReader {
    /// Takes the next piece of the file, and hands each packet that is whole to `each`.
    ///
    /// The error says what the file has instead of a capture; what came before it was handed over.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&CapturedPacket<'_>)) -> Result<(), String> {
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(taken) = self.step(&rest[at..], each)? {
            at += taken;
        }
        rest.drain(..at);
        self.rest = rest;
        Ok(())
    }

    /// The file has ended. Gives whether it ended within a record, as a capture that was killed does.
    ///
    /// The error says that it was too short to be a capture at all.
    pub fn finish(&self) -> Result<bool, String> {
        match self.form {
            Form::Unknown => Err(NOT_ONE.to_owned()),
            _ => Ok(!self.rest.is_empty()),
        }
    }

    /// Records so far, packets and others.
    pub fn records(&self) -> u64 {
        self.records
    }

    fn step(&mut self, bytes: &[u8], each: &mut dyn FnMut(&CapturedPacket<'_>)) -> Step {
        match &mut self.form {
            Form::Unknown => self.begin(bytes),
            Form::Classic { order, nanos, link } => {
                let taken = classic(bytes, *order, (*nanos, *link), each)?;
                self.records += u64::from(taken.is_some());
                Ok(taken)
            }
            Form::Next { order, interfaces } => {
                let taken = block(bytes, order, interfaces, each)?;
                self.records += u64::from(taken.is_some());
                Ok(taken)
            }
        }
    }

    fn begin(&mut self, bytes: &[u8]) -> Step {
        let Some(magic) = ByteOrder::Big.four(bytes, 0) else { return Ok(None) };
        let (order, nanos) = match magic {
            0xa1b2_c3d4 => (ByteOrder::Big, false),
            0xd4c3_b2a1 => (ByteOrder::Little, false),
            0xa1b2_3c4d => (ByteOrder::Big, true),
            0x4d3c_b2a1 => (ByteOrder::Little, true),
            SECTION => {
                self.form = Form::Next { order: ByteOrder::Little, interfaces: Vec::new() };
                return Ok(Some(0));
            }
            _ => return Err(NOT_ONE.to_owned()),
        };
        let (Some(major), Some(link)) = (order.two(bytes, 4), order.four(bytes, 20)) else { return Ok(None) };
        if major != 2 {
            return Err(format!("it is a capture of version {major}, and version 2 is read"));
        }
        // The upper bits say how long the frames' check sequence is.
        self.form = Form::Classic { order, nanos, link: link & 0xffff };
        Ok(Some(24))
    }
}

const NOT_ONE: &str = "it is not a capture (neither pcap nor pcapng)";

fn too_long(length: u64) -> String {
    format!("it has a record of {length} bytes, and the longest that is read has {MOST_RECORD}")
}

/// One record of a classic file: seconds, their fraction, length that was kept, length on the wire, bytes.
fn classic(
    bytes: &[u8],
    order: ByteOrder,
    (nanos, link): (bool, u32),
    each: &mut dyn FnMut(&CapturedPacket<'_>),
) -> Step {
    let word = |n: usize| order.four(bytes, n * 4);
    let (Some(s), Some(fraction), Some(kept), Some(length)) = (word(0), word(1), word(2), word(3)) else {
        return Ok(None);
    };
    let end = 16 + kept as usize;
    if end > MOST_RECORD {
        return Err(too_long(u64::from(kept)));
    }
    let Some(packet) = bytes.get(16..end) else { return Ok(None) };
    let ns = u64::from(fraction) * if nanos { 1 } else { 1_000 };
    each(&CapturedPacket { at_ns: Some(u64::from(s) * 1_000_000_000 + ns), link, bytes: packet, length });
    Ok(Some(end))
}

/// One block of pcapng: type, length, body, length.
fn block(
    bytes: &[u8],
    order: &mut ByteOrder,
    interfaces: &mut Vec<Interface>,
    each: &mut dyn FnMut(&CapturedPacket<'_>),
) -> Step {
    let Some(kind) = order.four(bytes, 0) else { return Ok(None) };
    // The same in either order; what follows says which one its section has.
    if kind == SECTION {
        *order = match (ByteOrder::Little.four(bytes, 8), ByteOrder::Big.four(bytes, 8)) {
            (Some(ORDER), _) => ByteOrder::Little,
            (_, Some(ORDER)) => ByteOrder::Big,
            (None, _) => return Ok(None),
            _ => return Err("a section of it names no byte order".to_owned()),
        };
        interfaces.clear();
    }
    let Some(length) = order.four(bytes, 4) else { return Ok(None) };
    let length = length as usize;
    if length > MOST_RECORD {
        return Err(too_long(length as u64));
    }
    if length < 12 || !length.is_multiple_of(4) {
        return Err(format!("it has a block of {length} bytes, which no block has"));
    }
    let Some(whole) = bytes.get(..length) else { return Ok(None) };
    let body = &whole[8..length - 4];
    match kind {
        1 => interfaces.push(interface(body, *order, interfaces.len())?),
        2 | 3 | 6 => packet(body, *order, kind, interfaces, each)?,
        _ => {}
    }
    Ok(Some(length))
}

/// An interface description: link, room, length that is kept, options.
fn interface(body: &[u8], order: ByteOrder, before: usize) -> Result<Interface, String> {
    let garbled = || "the description of an interface in it is cut".to_owned();
    if before >= MOST_INTERFACES {
        return Err(format!("it has more than {MOST_INTERFACES} interfaces in one section"));
    }
    let link = order.two(body, 0).ok_or_else(garbled)?;
    let mut out = Interface { link: u32::from(link), per_second: 1_000_000, offset_s: 0 };
    let mut at = 8;
    while let (Some(code), Some(length)) = (order.two(body, at), order.two(body, at + 2)) {
        let length = usize::from(length);
        let value = body.get(at + 4..at + 4 + length).ok_or_else(garbled)?;
        match (code, value) {
            (0, _) => break,
            // if_tsresol: a power of ten, or with the highest bit of two.
            (9, [resolution, ..]) => {
                let power = u32::from(resolution & 0x7f);
                let of = if resolution & 0x80 == 0 { 10u64.checked_pow(power) } else { 2u64.checked_pow(power) };
                out.per_second =
                    of.ok_or_else(|| format!("an interface of it counts time in parts of {power} powers of a second"))?;
            }
            (14, _) => {
                let eight: [u8; 8] = value.try_into().map_err(|_| garbled())?;
                out.offset_s =
                    if order == ByteOrder::Big { i64::from_be_bytes(eight) } else { i64::from_le_bytes(eight) };
            }
            _ => {}
        }
        at += 4 + length.next_multiple_of(4);
    }
    Ok(out)
}

/// A packet of an enhanced (6), a simple (3) or an old (2) block.
fn packet(
    body: &[u8],
    order: ByteOrder,
    kind: u32,
    interfaces: &[Interface],
    each: &mut dyn FnMut(&CapturedPacket<'_>),
) -> Result<(), String> {
    let garbled = || "a packet of it is longer than its block".to_owned();
    let word = |n: usize| order.four(body, n * 4).ok_or_else(garbled);
    let number = match kind {
        6 => word(0)?,
        2 => u32::from(order.two(body, 0).ok_or_else(garbled)?),
        _ => 0,
    };
    let of = usize::try_from(number).ok().and_then(|n| interfaces.get(n));
    let of = of.ok_or_else(|| format!("a packet of it came by interface {number}, which it does not describe"))?;
    if kind == 3 {
        let length = word(0)?;
        // What was kept is as long as the block has room for, with up to three bytes of padding.
        let kept = body.get(4..).unwrap_or_default();
        let bytes = &kept[..kept.len().min(length as usize)];
        each(&CapturedPacket { at_ns: None, link: of.link, bytes, length });
        return Ok(());
    }
    let stamp = u64::from(word(1)?) << 32 | u64::from(word(2)?);
    let kept = word(3)? as usize;
    let bytes = body.get(20..).and_then(|b| b.get(..kept)).ok_or_else(garbled)?;
    each(&CapturedPacket { at_ns: Some(of.ns(stamp)), link: of.link, bytes, length: word(4)? });
    Ok(())
}

impl Interface {
    fn ns(&self, stamp: u64) -> u64 {
        let ns = u128::from(stamp) * 1_000_000_000 / u128::from(self.per_second.max(1));
        let ns = i128::try_from(ns).unwrap_or(i128::MAX).saturating_add(i128::from(self.offset_s) * 1_000_000_000);
        u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Seen = Vec<(Option<u64>, u32, Vec<u8>, u32)>;

    fn read(pieces: &[&[u8]]) -> (Seen, Result<bool, String>) {
        let (mut reader, mut seen) = (CaptureReader::default(), Vec::new());
        for piece in pieces {
            let each = &mut |p: &CapturedPacket<'_>| seen.push((p.at_ns, p.link, p.bytes.to_vec(), p.length));
            if let Err(why) = reader.push(piece, each) {
                return (seen, Err(why));
            }
        }
        let end = reader.finish();
        (seen, end)
    }

    /// A classic file of two packets.
    fn old(nanos: bool, big: bool) -> Vec<u8> {
        let four = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let two = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut out = four(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
        out.extend([two(2), two(4)].concat());
        // Zone, precision, length that is kept; a check sequence of four bytes behind each frame.
        out.extend([0, 0, 262_144, 0x4400_0001].map(four).concat());
        for (s, fraction, bytes) in [(7u32, 5u32, &b"abc"[..]), (8, 0, b"")] {
            out.extend([s, fraction, u32::try_from(bytes.len()).unwrap(), 1_500].map(four).concat());
            out.extend(bytes);
        }
        out
    }

    fn section(big: bool, blocks: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let four = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut head = four(ORDER).to_vec();
        head.extend(four(if big { 0x0001_0000 } else { 1 }));
        head.extend([0xff; 8]);
        let mut out = Vec::new();
        for (kind, body) in std::iter::once(&(SECTION, head)).chain(blocks) {
            let mut body = body.clone();
            body.resize(body.len().next_multiple_of(4), 0);
            let length = four(u32::try_from(body.len()).unwrap() + 12);
            out.extend([&four(*kind)[..], &length, &body, &length].concat());
        }
        out
    }

    fn words(big: bool, all: &[u32]) -> Vec<u8> {
        all.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() }).collect()
    }

    /// An interface with stamps of 2^-10 s and an offset of 3 s, and a packet of it.
    fn new(big: bool) -> Vec<u8> {
        let two = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut about = [two(113), two(0)].concat();
        about.extend(words(big, &[0]));
        about.extend([&two(9)[..], &two(1), &[0x8a, 0, 0, 0]].concat());
        let offset = if big { 3i64.to_be_bytes() } else { 3i64.to_le_bytes() };
        about.extend([&two(14)[..], &two(8), &offset].concat());
        about.extend([0; 4]);
        let mut enhanced = words(big, &[0, 0, 2_048, 5, 60]);
        enhanced.extend(b"hello");
        let mut simple = words(big, &[3]);
        simple.extend(b"xyz");
        section(big, &[(1, about), (0xbad, vec![1; 8]), (6, enhanced), (3, simple)])
    }

    #[test]
    fn both_forms_are_read_in_either_order_and_resolution() {
        for big in [false, true] {
            let (micros, end) = read(&[&old(false, big)]);
            assert_eq!(micros[0], (Some(7_000_005_000), 1, b"abc".to_vec(), 1_500));
            assert_eq!((micros.len(), end), (2, Ok(false)));
            assert_eq!(read(&[&old(true, big)]).0[0].0, Some(7_000_000_005));
            let (next, end) = read(&[&new(big)]);
            assert_eq!(next[0], (Some(5_000_000_000), 113, b"hello".to_vec(), 60));
            assert_eq!(next[1], (None, 113, b"xyz".to_vec(), 3));
            assert_eq!((next.len(), end), (2, Ok(false)));
        }
        // A second section has an order of its own, and other interfaces.
        let (two, end) = read(&[&new(false), &new(true)]);
        assert_eq!((two.len(), end), (4, Ok(false)));
    }

    #[test]
    fn what_is_not_a_capture_is_named() {
        let why = |bytes: &[u8]| read(&[bytes]).1.unwrap_err();
        assert_eq!(why(b""), NOT_ONE);
        assert_eq!(why(b"\xa1\xb2"), NOT_ONE);
        assert_eq!(why(b"#!/bin/sh\n"), NOT_ONE);
        let mut bytes = old(false, false);
        bytes[4] = 7;
        assert!(why(&bytes).contains("version 7"));
        let mut bytes = old(false, false);
        bytes[35] = 0x7f;
        assert!(why(&bytes).contains("record of 2130706435 bytes"), "{}", why(&bytes));
        let mut bytes = section(false, &[]);
        bytes[8] = 0;
        assert!(why(&bytes).contains("byte order"));
        assert!(why(&section(false, &[(6, words(false, &[0, 0, 0, 0, 0]))])).contains("interface 0"));
        let about = (1, vec![1, 0, 0, 0, 0, 0, 0, 0]);
        let long = (6, words(false, &[0, 0, 0, 5, 5]));
        assert!(why(&section(false, &[about, long])).contains("longer than its block"));
        let mut bytes = section(false, &[]);
        bytes[4] = 13;
        assert!(why(&bytes).contains("block of 13 bytes"));
    }

    #[test]
    fn a_cut_file_gives_what_came_before() {
        let whole = old(false, false);
        let (seen, end) = read(&[&whole[..whole.len() - 5]]);
        assert_eq!((seen.len(), end), (1, Ok(true)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), form in 0usize..5) {
            let head = [old(false, false), old(true, true), new(false), new(true), Vec::new()][form].clone();
            let _ = read(&[&head, &bytes]);
        }

        #[test]
        fn pieces_are_one_file(cut in 0usize..200, other in 0usize..200, form in 0usize..3) {
            let whole = [old(false, false), new(false), new(true)][form].clone();
            let (a, b) = (cut.min(whole.len()), other.min(whole.len()));
            let (a, b) = (a.min(b), a.max(b));
            prop_assert_eq!(read(&[&whole[..a], &whole[a..b], &whole[b..]]), read(&[&whole]));
        }
    }
}
