//! Doc comments as data: the page that `cargo doc` shows and `lowlat explain` prints is one text.
//!
//! `#[doc]` keeps the blank after `///`, so each line of the raw text begins with one. [`doc_page!`](crate::doc_page)
//! takes it off while compiling, which leaves the Markdown as it was written.

/// Length of `raw` without the one leading blank of each line.
pub const fn stripped_len(raw: &str) -> usize {
    let bytes = raw.as_bytes();
    let (mut i, mut n, mut at_start) = (0, 0, true);
    while i < bytes.len() {
        if !(at_start && bytes[i] == b' ') {
            n += 1;
        }
        at_start = bytes[i] == b'\n';
        i += 1;
    }
    n
}

/// `raw` without the one leading blank of each line; `N` is [`stripped_len`] of it.
pub const fn strip<const N: usize>(raw: &str) -> [u8; N] {
    let bytes = raw.as_bytes();
    let mut out = [0; N];
    let (mut i, mut n, mut at_start) = (0, 0, true);
    while i < bytes.len() {
        if !(at_start && bytes[i] == b' ') {
            out[n] = bytes[i];
            n += 1;
        }
        at_start = bytes[i] == b'\n';
        i += 1;
    }
    out
}

/// The doc lines of an item as one `&'static str` of Markdown: `doc_page!(" # Title" " text")`.
#[macro_export]
macro_rules! doc_page {
    ($($line:literal)+) => {{
        const RAW: &str = concat!($($line, "\n"),+);
        const BYTES: [u8; $crate::page::stripped_len(RAW)] = $crate::page::strip(RAW);
        // Only single ASCII blanks were taken out, so what was UTF-8 stays UTF-8 and the other arm is never met.
        const PAGE: &str = match core::str::from_utf8(&BYTES) {
            Ok(page) => page,
            Err(_) => RAW,
        };
        PAGE
    }};
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_line_loses_one_blank_and_no_more() {
        assert_eq!(doc_page!(" ## Title µ" "" "   - nested" "bare"), "## Title µ\n\n  - nested\nbare\n");
    }
}
