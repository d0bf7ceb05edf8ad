//! Colour for a finished text report: the marks that this crate sets at the start of a line, and nothing within one.

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// What begins a line, and its style: marks of an item, labels of the verdict.
const MARKS: &[(&str, &str)] = &[
    ("- [critical]", RED),
    ("- [warning]", YELLOW),
    ("- [x]", GREEN),
    ("Cause:", BOLD),
    ("Changed:", BOLD),
    ("Gain:", BOLD),
    ("Goal:", BOLD),
    ("Next:", BOLD),
];

/// A title: `GOALS:`, `=== Network Latency Optimization Report ===`.
fn is_title(line: &str) -> bool {
    let words = line.strip_suffix(':').unwrap_or_default();
    let capitals = words.chars().any(char::is_uppercase) && !words.chars().any(char::is_lowercase);
    capitals || (line.starts_with("=== ") && line.ends_with(" ==="))
}

/// A text report with bold titles, and with colour at its marks. Taken out again, the escape sequences leave the text as it was.
pub fn coloured(text: &str) -> String {
    let line = |line: &str| {
        if is_title(line) {
            return format!("{BOLD}{line}{PLAIN}");
        }
        match MARKS.iter().find_map(|(mark, colour)| Some((mark, colour, line.strip_prefix(mark)?))) {
            Some((mark, colour, rest)) => format!("{colour}{mark}{PLAIN}{rest}"),
            None => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str) -> String {
        [BOLD, RED, YELLOW, GREEN, PLAIN].iter().fold(text.to_owned(), |t, code| t.replace(code, ""))
    }

    #[test]
    fn titles_are_bold_and_marks_have_a_colour() {
        let text = "Gain: x\n=== Report ===\n\nFINDINGS:\n- [critical] a: b\n- [warning] c\n- [info] d: WARNING:\nplain: no\n:\n";
        let got = coloured(text);
        assert_eq!(
            got,
            "\x1b[1mGain:\x1b[0m x\n\x1b[1m=== Report ===\x1b[0m\n\n\x1b[1mFINDINGS:\x1b[0m\n\x1b[31m- [critical]\x1b[0m a: b\n\
             \x1b[33m- [warning]\x1b[0m c\n- [info] d: WARNING:\nplain: no\n:\n"
        );
        assert_eq!(without(&got), text);
    }
}
