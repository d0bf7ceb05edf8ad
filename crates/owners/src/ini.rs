//! Files of sections and assignments, as systemd.syntax(7) and NetworkManager's and tuned's have them.

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: String,
    /// From 1.
    pub(crate) line: usize,
}

/// Every assignment of a file, in order. What is none is passed over.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut out = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            out.push(Entry { section: section.clone(), key, value, line: n + 1 });
        }
    }
    out
}

/// The last value of a key: a later assignment stands.
pub(crate) fn last<'a>(entries: &'a [Entry], section: &str, key: &str) -> Option<&'a Entry> {
    entries.iter().rev().find(|e| e.section == section && e.key == key)
}

/// `yes`, `true`, `on`, `1` as on, and their opposites as off.
pub(crate) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "y" | "t" => Some(true),
        "no" | "false" | "off" | "0" | "n" | "f" => Some(false),
        _ => None,
    }
}

/// `on` or `off`, as offloads and pause are told.
pub(crate) fn on_off(value: &str) -> Option<String> {
    truth(value).map(|on| if on { "on" } else { "off" }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_assignment_stands_and_comments_do_not() {
        let all = parse("[Link]\n# RxBufferSize=1\nRxBufferSize=2\n[Other]\nx\n[Link]\nRxBufferSize = 3\n");
        assert_eq!(last(&all, "Link", "RxBufferSize").map(|e| (e.value.as_str(), e.line)), Some(("3", 7)));
        assert_eq!(last(&all, "Other", "x"), None);
    }
}
