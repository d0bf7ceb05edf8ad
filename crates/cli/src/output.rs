//! What commands print for people goes to stdout, progress and warnings to stderr; with `--json` stdout holds one
//! document and nothing else.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Prints text, with exactly one newline at its end.
pub fn text(text: &str) {
    // A reader that went away has read what it wanted.
    let _ = writeln!(std::io::stdout().lock(), "{}", lowlat_report::visible(text.trim_end_matches('\n')));
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
    let escape = |c: char| if lowlat_report::is_hidden(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    page(&text.chars().map(escape).collect::<String>());
    Ok(())
}

/// A line of progress on stderr.
pub fn progress(line: &str) {
    let mut err = std::io::stderr().lock();
    // Nobody may be listening; progress is not worth failing for.
    let _ = writeln!(err, "{}", lowlat_report::visible(line));
}

/// Whether ANSI styles may be used on stdout.
pub fn styled() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
