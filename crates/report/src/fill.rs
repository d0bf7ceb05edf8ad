//! Lines broken at blanks, never inside a word.

/// Writes `lead` and `text`, broken before `width` columns; later lines begin with `hang` blanks.
pub(crate) fn fill(out: &mut String, lead: &str, text: &str, hang: usize, width: usize) {
    let mut line = lead.to_owned();
    let mut fresh = true;
    // A command that fits on no line of its own is broken at its blanks like other words.
    for word in words(text, COMMAND.min(width.saturating_sub(hang.max(line.chars().count())))) {
        if !fresh && line.chars().count() + 1 + word.chars().count() > width {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(hang);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(&word);
        fresh = false;
    }
    // An empty text leaves its lead as it is: `- [ ] ` stays one.
    out.push_str(if fresh { &line } else { line.trim_end() });
    out.push('\n');
}

/// `text` in lines of at most `width` columns, where its words allow.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut out = String::new();
    fill(&mut out, "", text, 0, width);
    out.lines().map(ToOwned::to_owned).collect()
}

/// Columns of the longest word.
pub(crate) fn longest_word(text: &str) -> usize {
    words(text, COMMAND).map(|w| w.chars().count()).max().unwrap_or(0)
}

/// Commands in backticks stay on one line up to this length, so that they can be copied.
const COMMAND: usize = 60;

/// The words of a text. A figure and its unit are one, and so is a command in backticks of up to `longest` columns.
fn words(text: &str, longest: usize) -> impl Iterator<Item = String> {
    let mut all: Vec<String> = Vec::new();
    let parts: Vec<&str> = text.split(' ').filter(|w| !w.is_empty()).collect();
    let mut at = 0;
    while at < parts.len() {
        let length = command(&parts[at..], longest);
        if length > 1 {
            all.push(parts[at..at + length].join(" "));
            at += length;
            continue;
        }
        let word = parts[at];
        at += 1;
        let unit = word.trim_end_matches([',', ';', '.', ')', ':']);
        let behind_figure = all.last().is_some_and(|last| last.ends_with(|c: char| c.is_ascii_digit()));
        match all.last_mut() {
            Some(last) if behind_figure && matches!(unit, "ns" | "µs" | "ms" | "s" | "%" | "B") => {
                last.push(' ');
                last.push_str(word);
            }
            _ => all.push(word.to_owned()),
        }
    }
    all.into_iter()
}

/// How many words from the first on are a command: those up to the closing backtick. 0 where none opens, none closes or
/// it is too long.
fn command(parts: &[&str], longest: usize) -> usize {
    let odd = |w: &str| w.matches('`').count() % 2 == 1;
    if !parts.first().is_some_and(|w| odd(w)) {
        return 0;
    }
    let mut length = 0;
    for (n, word) in parts.iter().enumerate() {
        length += usize::from(n > 0) + word.chars().count();
        if length > longest {
            return 0;
        }
        if n > 0 && odd(word) {
            return n + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_broken_and_a_figure_keeps_its_unit() {
        assert_eq!(wrap("the median is 80.0 µs, which is low", 16), ["the median is", "80.0 µs, which", "is low"]);
        assert_eq!(wrap("averyveryverylongword x", 8), ["averyveryverylongword", "x"]);
        assert_eq!((wrap("", 8), longest_word("a 12.0 % b")), (vec![String::new()], 6));
    }

    #[test]
    fn a_command_stays_on_one_line_where_it_can() {
        assert_eq!(wrap("see why: `lowlat explain x`; then", 20), ["see why:", "`lowlat explain x`;", "then"]);
        let long = format!("`{}`", "word ".repeat(20));
        assert!(wrap(&long, 20).len() > 3);
        let mut out = String::new();
        fill(&mut out, "- ", "`lowlat explain x`", 2, 18);
        assert_eq!(out, "- `lowlat explain\n  x`\n", "one that fits on no line");
        assert_eq!(wrap("a ` b c", 3), ["a `", "b c"], "one that never closes is none");
    }

    #[test]
    fn a_line_keeps_its_indent_and_hangs_behind_it() {
        assert_eq!(crate::wrapped("  - one two three four", 11), "  - one two\n    three\n    four");
        assert_eq!((crate::wrapped("", 10), crate::wrapped("  x", 10)), (String::new(), "  x".to_owned()));
    }

    #[test]
    fn an_empty_text_keeps_its_lead() {
        let mut out = String::new();
        fill(&mut out, "- [ ] ", "", 6, 80);
        assert_eq!(out, "- [ ] \n");
    }

    #[test]
    fn later_lines_hang() {
        let mut out = String::new();
        fill(&mut out, "- ", "one two three", 2, 9);
        assert_eq!(out, "- one two\n  three\n");
    }
}
