//! Lines broken at blanks, never inside a word.

/// Writes `lead` and `text`, broken before `width` columns; later lines begin with `hang` blanks.
pub(crate) fn fill(out: &mut String, lead: &str, text: &str, hang: usize, width: usize) {
    let mut line = lead.to_owned();
    let mut fresh = true;
    for word in words(text) {
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
    words(text).map(|w| w.chars().count()).max().unwrap_or(0)
}

/// The words of a text. A figure and its unit are one.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut all: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
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
