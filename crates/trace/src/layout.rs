//! The kernel's own description of its trace: where the parts of a page and of an event lie.
//!
//! Nothing is known beforehand. `events/header_page` and `events/header_event` describe a page, `events/GROUP/NAME/format`
//! an event (Documentation/trace/events.rst, "TraceEvent formats"); all three differ between kernels and architectures.

use std::collections::BTreeMap;

/// No event is longer than a page, and no page than 64 KiB times the 64 of `buffer_subbuf_size_kb` at its most; what is
/// further off is not an offset.
const FURTHEST: usize = 4 << 20;

/// Where a value lies, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// From the start of the page or event.
    pub offset: usize,
    /// Its length.
    pub size: usize,
}

impl Field {
    /// The unsigned number there; `None` where the bytes end before it, or it has a size that no number has.
    pub fn number(self, bytes: &[u8]) -> Option<u64> {
        let raw = bytes.get(self.offset..self.offset.checked_add(self.size)?)?;
        Some(match self.size {
            1 => u64::from(raw[0]),
            2 => u64::from(u16::from_ne_bytes(raw.try_into().ok()?)),
            4 => u64::from(u32::from_ne_bytes(raw.try_into().ok()?)),
            8 => u64::from_ne_bytes(raw.try_into().ok()?),
            _ => return None,
        })
    }

    /// The text there, up to its zero.
    pub fn text(self, bytes: &[u8]) -> Option<String> {
        let raw = bytes.get(self.offset..self.offset.checked_add(self.size)?)?;
        let raw = raw.split(|b| *b == 0).next()?;
        Some(String::from_utf8_lossy(raw).into_owned())
    }

    /// Whether the text there, up to its zero, is this one.
    pub(crate) fn holds(self, bytes: &[u8], text: &str) -> bool {
        let raw = self.offset.checked_add(self.size).and_then(|end| bytes.get(self.offset..end));
        raw.and_then(|raw| raw.split(|b| *b == 0).next()) == Some(text.as_bytes())
    }

    /// The text that a `__data_loc` points at: its low half is the offset, its high half the length
    /// (Documentation/trace/events.rst; include/trace/stages/stage2_data_offsets.h).
    pub fn text_at(self, bytes: &[u8]) -> Option<String> {
        let place = self.number(bytes)?;
        let half = |n: u64| usize::try_from(n & 0xffff).ok();
        let place = Self { offset: half(place)?, size: half(place >> 16)? };
        place.text(bytes)
    }
}

/// One `field:` line: its name and its place.
fn field(line: &str) -> Option<(String, Field)> {
    let mut parts = line.trim().strip_prefix("field:")?.split(';').map(str::trim);
    let declared = parts.next()?;
    let of = |part: Option<&str>, key: &str| part?.strip_prefix(key)?.parse::<usize>().ok().filter(|n| *n <= FURTHEST);
    let place = Field { offset: of(parts.next(), "offset:")?, size: of(parts.next(), "size:")? };
    // `char comm[16]` has its name before the bracket, `__data_loc char[] name` behind it.
    let words = if declared.ends_with(']') { declared.split('[').next()? } else { declared };
    let name = words.split_whitespace().next_back()?.trim_start_matches('*');
    Some((name.to_owned(), place))
}

/// The fields of one event, by its `format` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventForm {
    /// The number that its records begin with.
    pub id: u16,
    fields: BTreeMap<String, Field>,
}

impl EventForm {
    /// Reads a `format` file; the error says what is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let id = text.lines().find_map(|l| l.strip_prefix("ID:")?.trim().parse().ok());
        let id = id.ok_or("it has no ID")?;
        let fields: BTreeMap<String, Field> = text.lines().filter_map(field).collect();
        if fields.is_empty() {
            return Err("it names no field".to_owned());
        }
        Ok(Self { id, fields })
    }

    /// Where a field lies; `None` where this kernel's event has none of that name.
    pub fn field(&self, name: &str) -> Option<Field> {
        self.fields.get(name).copied()
    }
}

/// A page of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageForm {
    pub(crate) stamp: Field,
    pub(crate) commit: Field,
    pub(crate) data: Field,
    pub(crate) padding: u32,
    pub(crate) extend: u32,
    pub(crate) absolute: u32,
    pub(crate) longest: u32,
}

impl PageForm {
    /// Reads `header_page` and `header_event`; the error says what is missing.
    pub fn parse(page: &str, event: &str) -> Result<Self, String> {
        let fields: BTreeMap<String, Field> = page.lines().filter_map(field).collect();
        let of = |name: &str| fields.get(name).copied().ok_or_else(|| format!("header_page names no {name}"));
        let number = |what: &str| {
            let line = event.lines().find(|l| l.trim_start().starts_with(what));
            let value = line.and_then(|l| l.rsplit(['=', ' ']).find(|w| !w.is_empty())?.trim().parse().ok());
            value.ok_or_else(|| format!("header_event names no {what}"))
        };
        let bits = |what: &str, bits: &str| {
            let line = event.lines().find(|l| l.trim_start().starts_with(what));
            let found = line.is_some_and(|l| l.split(':').nth(1).is_some_and(|b| b.trim().starts_with(bits)));
            if found { Ok(()) } else { Err(format!("header_event: {what} is not of {bits} bits")) }
        };
        bits("type_len", "5 ")?;
        bits("time_delta", "27 ")?;
        let form = Self {
            stamp: of("timestamp")?,
            commit: of("commit")?,
            data: of("data")?,
            padding: number("padding")?,
            extend: number("time_extend")?,
            absolute: number("time_stamp")?,
            longest: number("data max type_len")?,
        };
        if form.data.size == 0 {
            return Err("header_page: a page without data".to_owned());
        }
        Ok(form)
    }

    /// Bytes of a whole page: what one read of `trace_pipe_raw` gives.
    pub fn length(&self) -> usize {
        self.data.offset + self.data.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_behind_types_stars_and_brackets() {
        for (line, name) in [
            ("\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;", "common_type"),
            ("\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;", "skbaddr"),
            ("\tfield:__data_loc char[] name;\toffset:20;\tsize:4;\tsigned:0;", "name"),
            ("\tfield:char next_comm[16];\toffset:40;\tsize:16;\tsigned:0;", "next_comm"),
            ("\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;", "timestamp"),
        ] {
            assert_eq!(field(line).unwrap().0, name, "{line}");
        }
        assert_eq!(field("\tfield:int x;\toffset:99999999999;\tsize:4;\tsigned:1;"), None);
        assert_eq!(field("print fmt: \"x\""), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(EventForm::parse("name: x\nformat:\n").unwrap_err().contains("ID"));
        assert!(EventForm::parse("ID: 3\n").unwrap_err().contains("field"));
        assert!(PageForm::parse("", "").unwrap_err().contains("type_len"));
    }
}
