//! Small pieces of Markdown.

/// First line of every page, so that nobody edits one.
pub(crate) const NOTE: &str = "<!-- Made by `cargo run -p xtask -- gen` from the catalogue. Do not edit. -->";

/// The text under `## title` of a page, blank when there is no such section.
pub(crate) fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let head = format!("## {title}\n");
    let start = if page.starts_with(&head) {
        Some(head.len())
    } else {
        page.find(&format!("\n{head}")).map(|i| i + head.len() + 1)
    };
    let Some(start) = start else { return "" };
    let rest = &page[start..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].trim()
}

/// The first sentence, on one line, fit for a table cell.
pub(crate) fn sentence(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end =
        flat.match_indices(". ").map(|(i, _)| i).find(|i| !flat[..*i].ends_with("e.g") && !flat[..*i].ends_with("i.e"));
    cell(&flat[..end.map_or(flat.len(), |i| i + 1)])
}

/// Text that cannot break out of its table cell.
pub(crate) fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// A heading and a list; nothing at all when the list is empty.
pub(crate) fn list(title: &str, items: impl IntoIterator<Item = String>) -> String {
    let lines: String = items.into_iter().fold(String::new(), |all, i| all + "- " + &i + "\n");
    if lines.is_empty() { lines } else { format!("\n## {title}\n{lines}") }
}

/// A source as a list item: a URL becomes a link.
pub(crate) fn source(source: &str) -> String {
    match source.split_once(' ') {
        _ if !source.starts_with("http") => source.to_owned(),
        None => format!("<{source}>"),
        Some((url, rest)) => format!("<{url}> {rest}"),
    }
}

/// The `//!` lines of a file as Markdown: links to Rust items become plain code, as a page has no items to link to.
pub(crate) fn module_docs(text: &str) -> String {
    let raw: String = text.lines().map_while(|l| l.strip_prefix("//!")).fold(String::new(), |all, l| {
        all + l.strip_prefix(' ').unwrap_or(l)
            + "
"
    });
    let mut out = String::new();
    let mut rest = raw.as_str();
    while let Some(start) = rest.find("[`") {
        let Some(end) = rest[start..].find("`]").map(|i| start + i + 1) else { break };
        out.push_str(&rest[..start]);
        out.push_str(&rest[start + 1..end]);
        rest = &rest[end + 1..];
        if rest.starts_with('(')
            && let Some(close) = rest.find(')')
        {
            rest = &rest[close + 1..];
        }
    }
    out.push_str(rest);
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let page = "## A\none\ntwo\n## B\nthree\n";
        assert_eq!([section(page, "A"), section(page, "B"), section(page, "C")], ["one\ntwo", "three", ""]);
    }

    #[test]
    fn a_sentence_is_the_first_and_one_line() {
        assert_eq!(sentence("Spins, e.g. for\n50 µs. Then | sleeps."), "Spins, e.g. for 50 µs.");
        assert_eq!(sentence("a | b"), "a \\| b");
    }

    #[test]
    fn links_to_items_become_code() {
        let text =
            "//! `x`: said in [`Caps::words`](a::Caps::words), [`Mode`].\n//!\n//! ## More\n\nuse a;\n//! not this\n";
        assert_eq!(module_docs(text), "`x`: said in `Caps::words`, `Mode`.\n\n## More");
    }
}
