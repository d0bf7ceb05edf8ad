//! Words for a POSIX shell.

/// A text as one line of a comment.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text as a basic regular expression of `sed` that matches it alone.
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.*[]^$/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A word for the shell, as itself where it holds nothing special.
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-:=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn nothing_escapes_the_quotes() {
        assert_eq!(quote("eth0"), "eth0");
        assert_eq!(quote("a'; rm -rf /"), "'a'\\''; rm -rf /'");
    }
}
