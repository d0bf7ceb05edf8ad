//! Reference pages (Markdown) in the terminal.

use std::fmt::Write as _;

/// Columns at which paragraphs are broken.
const WIDTH: usize = 80;

/// A page as plain text: headings stand out, paragraphs are filled to 80 columns, code keeps its lines. With `styled`,
/// headings are bold and code is coloured by ANSI sequences; without, not one is written.
pub fn terminal(page: &str, styled: bool) -> String {
    let mut out = String::new();
    let mut paragraph = String::new();
    let mut within_code = false;
    for raw in page.lines() {
        let fence = raw.trim_start().starts_with("```");
        let heading = raw.trim_start_matches('#');
        let is_heading = !within_code && heading.len() < raw.len() && heading.starts_with(' ');
        let is_item = raw.trim_start().starts_with("- ") || raw.trim_start().starts_with('|');
        if fence || within_code || is_heading || is_item || raw.trim().is_empty() {
            flush(&mut out, &mut paragraph, styled);
        }
        if fence {
            within_code = !within_code;
        } else if within_code {
            let _ = writeln!(out, "    {raw}");
        } else if is_heading {
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push('\n');
            }
            let title = inline(heading.trim(), false);
            let (bold, plain) = if styled { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            let _ = writeln!(out, "{bold}{title}{plain}");
        } else if raw.trim().is_empty() {
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push('\n');
            }
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(if paragraph.is_empty() { raw.trim_end() } else { raw.trim() });
        }
    }
    flush(&mut out, &mut paragraph, styled);
    out
}

/// Breaks a paragraph at blanks; a list item's later lines hang under its text.
fn flush(out: &mut String, paragraph: &mut String, styled: bool) {
    if paragraph.is_empty() {
        return;
    }
    if paragraph.trim_start().starts_with('|') {
        out.push_str(&inline(paragraph, styled));
        out.push('\n');
        paragraph.clear();
        return;
    }
    let lead = paragraph.len() - paragraph.trim_start().len();
    let hang = lead + if paragraph.trim_start().starts_with("- ") { 2 } else { 0 };
    let mut line = " ".repeat(lead);
    let mut filled = String::new();
    for word in paragraph.split_whitespace() {
        let fresh = line.trim().is_empty();
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            filled.push_str(&line);
            filled.push('\n');
            line = " ".repeat(hang);
        } else if !fresh {
            line.push(' ');
        }
        line.push_str(word);
    }
    filled.push_str(&line);
    filled.push('\n');
    out.push_str(&inline(&filled, styled));
    paragraph.clear();
}

/// `code` coloured (or left in its backticks), `**bold**` without its stars.
fn inline(text: &str, styled: bool) -> String {
    let text = text.replace("**", "");
    if !styled {
        return text;
    }
    let mut out = String::new();
    for (n, piece) in text.split('`').enumerate() {
        if n % 2 == 1 {
            let _ = write!(out, "\x1b[36m{piece}\x1b[0m");
        } else {
            out.push_str(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# busy_read\n\n## What it does\nMicroseconds a `read` spins on the device queue before it sleeps, \
                        which takes the wake-up out of the path.\n\n```sh\nsysctl -w a=1\n```\n- one\n- two\n";

    #[test]
    fn plain_has_no_escape_and_keeps_its_words() {
        let text = terminal(PAGE, false);
        assert!(!text.contains('\x1b'));
        assert!(text.contains("What it does\nMicroseconds a `read` spins"), "{text}");
        assert!(text.contains("    sysctl -w a=1\n- one\n- two\n"), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn styled_colours_code_and_heads() {
        let text = terminal(PAGE, true);
        assert!(text.contains("\x1b[1mWhat it does\x1b[0m"));
        assert!(text.contains("\x1b[36mread\x1b[0m"), "{text:?}");
    }
}
