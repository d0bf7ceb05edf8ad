//! What commands print for people goes to stdout, progress and warnings to stderr; with `--json` stdout holds one
//! document and nothing else.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use lowlat_live::Failure;

/// Prints text, with exactly one newline at its end.
pub fn text(text: &str) {
    // A reader that went away has read what it wanted.
    let _ = writeln!(std::io::stdout().lock(), "{}", lowlat_report::visible(text.trim_end_matches('\n')));
}

/// Prints a text report, with colour where the terminal has it.
pub fn report(report: &str) {
    let plain = lowlat_report::visible(report.trim_end_matches('\n'));
    page(&if styled() { lowlat_report::coloured(&plain) } else { plain });
}

/// Prints a page that lowlat made itself, with its styles.
pub fn page(page: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", page.trim_end_matches('\n'));
}

/// Prints one JSON document.
pub fn json<T: Serialize>(document: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Failure::new(format!("write JSON: {e}; report this as a bug")))?;
    // Within a string of JSON, which alone can hold them, as escapes: the document stays what it is.
    page(&escaped(&text));
    Ok(())
}

/// A document of 10,000 sockets has 28 million characters: one without any that are hidden is passed on as it is, and what lies
/// between them is copied whole.
fn escaped(text: &str) -> Cow<'_, str> {
    let Some(mut next) = hidden(text) else { return Cow::Borrowed(text) };
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    loop {
        let (at, c) = next;
        let _ = write!(out, "{}\\u{:04x}", &rest[..at], u32::from(c));
        rest = &rest[at + c.len_utf8()..];
        match hidden(rest) {
            Some(found) => next = found,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The first character that is hidden, and where it is. Bytes are looked at, and characters where they are not plain.
fn hidden(text: &str) -> Option<(usize, char)> {
    let plain = |b: &u8| matches!(b, b' '..=b'~' | b'\n');
    let mut from = 0;
    loop {
        let at = from + text.as_bytes()[from..].iter().position(|b| !plain(b))?;
        let c = text[at..].chars().next()?;
        if lowlat_report::is_hidden(c) {
            return Some((at, c));
        }
        from = at + c.len_utf8();
    }
}

/// A line of progress on stderr, on a terminal broken at its blanks.
pub fn progress(line: &str) {
    let line = lowlat_report::visible(line);
    let stderr = std::io::stderr();
    let line = if stderr.is_terminal() { lowlat_report::wrapped(&line, columns_of(&stderr)) } else { line };
    crate::progress::above(Some(&line));
}

/// Why a command failed, in one line wherever it goes: it may name a command that is to be copied.
pub fn failure(line: &str) {
    crate::progress::above(Some(&lowlat_report::visible(line)));
}

/// No report is made narrower: its prescribed lines would not fit.
const NARROWEST: usize = 60;

/// Columns of what is printed on stdout: those that COLUMNS names, else the terminal's, and [`lowlat_report::WIDTH`]
/// where it is none, so that a file is the same wherever it was written.
pub fn width() -> usize {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return lowlat_report::WIDTH;
    }
    columns_of(&stdout).max(NARROWEST)
}

/// Columns of the terminal behind a stream.
pub fn columns_of(terminal: &impl std::os::fd::AsFd) -> usize {
    let reported = rustix::termios::tcgetwinsize(terminal).ok().map(|size| size.ws_col);
    columns(reported, std::env::var("COLUMNS").ok().as_deref())
}

/// The columns of a terminal that reports `reported`; a new pseudo-terminal reports 0. COLUMNS comes first: it is the
/// user's wish (POSIX.1-2017, XBD 8.3).
fn columns(reported: Option<u16>, named: Option<&str>) -> usize {
    let named = named.and_then(|text| text.trim().parse().ok()).filter(|columns| *columns > 0);
    let reported = reported.filter(|columns| *columns > 0).map(usize::from);
    named.or(reported).unwrap_or(lowlat_report::WIDTH)
}

/// Whether ANSI styles may be used on stdout: it is a terminal, TERM does not call it `dumb`, and the user does not want
/// none (no-color.org: an empty NO_COLOR is none).
pub fn styled() -> bool {
    let set = |name| std::env::var_os(name).unwrap_or_default();
    std::io::stdout().is_terminal() && allows_styles(&set("TERM"), &set("NO_COLOR"))
}

fn allows_styles(term: &std::ffi::OsStr, no_color: &std::ffi::OsStr) -> bool {
    term != "dumb" && no_color.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_terminal_and_who_wants_no_colour_get_none() {
        let allows = |term: &str, no_color: &str| allows_styles(term.as_ref(), no_color.as_ref());
        assert!(allows("xterm", "") && allows("", ""));
        assert!(!allows("dumb", "") && !allows("xterm", "1"));
    }

    #[test]
    fn the_columns_are_those_named_or_the_terminal_s() {
        assert_eq!((columns(Some(132), Some("100")), columns(None, Some("100"))), (100, 100));
        for nothing in [None, Some(""), Some("0"), Some("0x50"), Some("-1")] {
            assert_eq!((columns(Some(132), nothing), columns(Some(0), nothing)), (132, 80), "{nothing:?}");
        }
        assert_eq!((columns(Some(20), None), columns(None, Some("20"))), (20, 20));
    }

    #[test]
    fn what_is_hidden_becomes_an_escape_and_all_else_stays() {
        assert_eq!(escaped("{\n\t\"µs\"}"), "{\n\t\"µs\"}");
        assert_eq!(escaped("a\u{1b}[2J\u{202e}b\u{7f}"), "a\\u001b[2J\\u202eb\\u007f");
        assert_eq!(escaped(""), "");
    }
}
