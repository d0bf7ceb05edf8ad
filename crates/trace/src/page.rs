//! One page of the kernel's trace ring, as `trace_pipe_raw` gives it, to records with their time.
//!
//! A page begins with the time of its first record and the length of its data; each record adds the time since the one
//! before (include/linux/ring_buffer.h, kernel/trace/ring_buffer.c). Whatever the bytes are, nothing panics: a page that
//! does not make sense is read up to there, and said to be garbled.

use crate::layout::{Field, PageForm};

/// Bits of a record's time: the rest of a longer time stands in a record of its own (`TS_SHIFT`, ring_buffer.c).
const TIME_BITS: u32 = 27;
/// Events were lost before this page (`RB_MISSED_EVENTS`, ring_buffer.c).
const LOST: u64 = 1 << 31;
/// How many stands behind the data (`RB_MISSED_STORED`).
const LOST_COUNTED: u64 = 1 << 30;
/// The rest is the length (libtraceevent, kbuffer-parse.c, `COMMIT_MASK`).
const LENGTH: u64 = (1 << 27) - 1;
/// An absolute time has 59 bits; those above are of the time before (`rb_fix_abs_ts`).
const ABSOLUTE_BITS: u32 = 59;

/// What a page held besides its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// The kernel says that events before this page were overwritten.
    pub lost: bool,
    /// How many, where it says so.
    pub counted: Option<u64>,
    /// The page did not make sense to its end.
    pub garbled: bool,
}

/// The word that a record begins with: what it is, and its time.
fn head(bytes: &[u8], at: usize) -> Option<(u32, u64)> {
    let word = word(bytes, at)?;
    // A bit field begins at the low bits on a little-endian machine, at the high ones on the others.
    let (kind, delta) = if cfg!(target_endian = "little") {
        (word & 31, word >> 5)
    } else {
        (word >> TIME_BITS, word & ((1 << TIME_BITS) - 1))
    };
    Some((kind, u64::from(delta)))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Field { offset: at, size: 4 }.number(bytes).and_then(|w| u32::try_from(w).ok())
}

/// Reads a page and gives each record's time, ns on the trace's clock, and its bytes.
pub fn records<'a>(form: &PageForm, page: &'a [u8], each: &mut dyn FnMut(u64, &'a [u8])) -> PageEnd {
    let garbled = PageEnd { garbled: true, ..PageEnd::default() };
    let (Some(mut time), Some(commit)) = (form.stamp.number(page), form.commit.number(page)) else { return garbled };
    let Some(data) = page.get(form.data.offset..) else { return garbled };
    let length = usize::try_from(commit & LENGTH).unwrap_or(usize::MAX);
    let mut end = PageEnd { lost: commit & LOST > 0, ..PageEnd::default() };
    if length > data.len() {
        return PageEnd { garbled: true, ..end };
    }
    if end.lost && commit & LOST_COUNTED > 0 {
        // An unsigned long, of the size of the commit.
        end.counted = Field { offset: length, size: form.commit.size }.number(data);
    }
    let data = &data[..length];
    let mut at = 0;
    while at < data.len() {
        let Some(next) = record(form, data, at, &mut time, each) else {
            end.garbled = true;
            break;
        };
        at = next;
    }
    end
}

/// Reads one record; gives where the next begins, the data's length at the page's end, `None` where it makes no sense.
fn record<'a>(
    form: &PageForm,
    data: &'a [u8],
    at: usize,
    time: &mut u64,
    each: &mut dyn FnMut(u64, &'a [u8]),
) -> Option<usize> {
    let (kind, delta) = head(data, at)?;
    let after = at + 4;
    if kind == form.padding {
        if delta == 0 {
            return Some(data.len());
        }
        // A discarded record. 1 stands for no time at all (`check_buffer`, ring_buffer.c).
        *time = time.wrapping_add(if delta == 1 { 0 } else { delta });
        return after.checked_add(usize::try_from(word(data, after)?).ok()?);
    }
    if kind == form.extend || kind == form.absolute {
        let value = (u64::from(word(data, after)?) << TIME_BITS).wrapping_add(delta);
        *time = if kind == form.extend { time.wrapping_add(value) } else { absolute(value, *time) };
        return Some(after + 4);
    }
    *time = time.wrapping_add(delta);
    let (from, length) = if kind == 0 {
        let counted = usize::try_from(word(data, after)?).ok()?;
        (after + 4, counted.checked_sub(4)?)
    } else if kind <= form.longest {
        (after, usize::try_from(kind).ok()? * 4)
    } else {
        return None;
    };
    each(*time, data.get(from..from.checked_add(length)?)?);
    from.checked_add(length.checked_add(3)? & !3)
}

/// An absolute time with the high bits of the one before.
fn absolute(value: u64, before: u64) -> u64 {
    let high = before & !((1 << ABSOLUTE_BITS) - 1);
    let time = value & ((1 << ABSOLUTE_BITS) - 1) | high;
    if high > 0 && time < before { time.wrapping_add(1 << ABSOLUTE_BITS) } else { time }
}
