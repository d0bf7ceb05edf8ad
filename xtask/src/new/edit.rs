//! Edits of a file by its content, never by line number.

/// One change of a text.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// `mod x;` behind the last of the declarations that stand together, the first of them after this text.
    Module(&'static str, String),
    /// An entry at the end of the list that this text opens.
    Entry(&'static str, String),
    /// Lines before the only line that begins so, leading blanks aside.
    Before(&'static str, String),
    /// Lines after the only line that begins so.
    After(&'static str, String),
    /// In the only line that begins so, text before the last of these words.
    Within(&'static str, &'static str, String),
    /// At the end of the file.
    End(String),
    /// None: this text may not be there.
    Not(String),
}

impl Edit {
    /// The text after it; as text, why there is none and what to do.
    pub(super) fn of(&self, text: &str) -> Result<String, String> {
        match self {
            Self::Module(after, line) => module(text, after, line),
            Self::Entry(open, entry) => list_entry(text, open, entry),
            Self::Before(start, lines) => {
                let (begin, _) = line(text, start)?;
                Ok(insert(text, begin, &format!("{lines}\n")))
            }
            Self::After(start, lines) => {
                let (_, end) = line(text, start)?;
                Ok(insert(text, end, &format!("{lines}\n")))
            }
            Self::Within(start, word, more) => {
                let (begin, end) = line(text, start)?;
                let at =
                    text[begin..end].rfind(word).ok_or_else(|| lacks(&format!("{word:?} in its line {start:?}")))?;
                Ok(insert(text, begin + at, more))
            }
            Self::End(lines) => Ok(format!("{}\n{lines}", text.trim_end_matches('\n').to_owned() + "\n")),
            Self::Not(there) if text.contains(there.as_str()) => {
                Err(format!("it has {:?} already; choose another name", there.trim()))
            }
            Self::Not(_) => Ok(text.to_owned()),
        }
    }
}

fn lacks(what: &str) -> String {
    format!("it has not {what}; fix xtask/src/new/kinds.rs")
}

fn insert(text: &str, at: usize, more: &str) -> String {
    format!("{}{more}{}", &text[..at], &text[at..])
}

/// Where it stands, once and no more.
fn once(text: &str, wanted: &str) -> Result<usize, String> {
    match (text.find(wanted), text.matches(wanted).count()) {
        (Some(at), 1) => Ok(at),
        (_, n) => Err(lacks(&format!("{wanted:?} once, but {n} times"))),
    }
}

/// Begin and end, its newline included, of the only line that begins so.
fn line(text: &str, start: &str) -> Result<(usize, usize), String> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with(start) {
            found.push((at, at + line.len()));
        }
        at += line.len();
    }
    match found[..] {
        [one] => Ok(one),
        _ => Err(lacks(&format!("one line that begins with {start:?}, but {}", found.len()))),
    }
}

/// rustfmt puts it at its place among those that stand together.
fn module(text: &str, after: &str, declaration: &str) -> Result<String, String> {
    let declares = |l: &str| l.starts_with("mod ") || l.starts_with("pub mod ");
    let mut at = text.find(after).ok_or_else(|| lacks(&format!("{after:?}")))?;
    let mut end = None;
    for line in text[at..].split_inclusive('\n') {
        at += line.len();
        if declares(line) {
            end = Some(at);
        } else if end.is_some() {
            break;
        }
    }
    let end = end.ok_or_else(|| lacks(&format!("module declarations after {after:?}")))?;
    Ok(insert(text, end, &format!("{declaration}\n")))
}

fn list_entry(text: &str, open: &str, entry: &str) -> Result<String, String> {
    let begin = once(text, open)? + open.len();
    let end = begin + text[begin..].find(']').ok_or_else(|| lacks(&format!("the end of {open:?}")))?;
    let comma =
        if text[begin..end].trim_end().ends_with(',') || text[begin..end].trim().is_empty() { "" } else { ", " };
    Ok(insert(text, end, &format!("{comma}{entry},")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edit_goes_where_it_should() {
        let (begin, text) =
            ("//! x\n\nmod a;\npub mod c;\n\nmod tests;\n", "L: &[A] = &[one, two];\nL2: &[A] = &[\n    a,\n];\n");
        let done = |edit: Edit, text: &str| edit.of(text).unwrap();
        assert_eq!(done(Edit::Module("", "mod b;".into()), begin), begin.replace("c;\n", "c;\nmod b;\n"));
        assert_eq!(done(Edit::Entry("L: &[A] = &[", "x".into()), text), text.replace("two]", "two, x,]"));
        assert_eq!(done(Edit::Entry("L2: &[A] = &[", "x".into()), text), text.replace("a,\n", "a,\nx,"));
        assert_eq!(done(Edit::Before("pub mod c", "y".into()), begin), begin.replace("pub", "y\npub"));
        assert_eq!(done(Edit::After("pub mod c", "y".into()), begin), begin.replace("c;\n", "c;\ny\n"));
        assert_eq!(done(Edit::Within("L:", "two", "2 ".into()), text), text.replace("two", "2 two"));
        assert_eq!(done(Edit::End("[x]\n".into()), "a\n\n"), "a\n\n[x]\n");
        assert_eq!(done(Edit::Not("three".into()), text), text);
    }

    #[test]
    fn a_place_that_is_not_there_or_twice_is_said() {
        for (edit, said) in [
            (Edit::Module("no such", "mod b;".into()), "no such"),
            (Edit::Entry("L", "x".into()), "2 times"),
            (Edit::Before("x", "y".into()), "but 0"),
            (Edit::After("L", "y".into()), "but 2"),
            (Edit::Within("L:", "z", "y".into()), "\"z\""),
            (Edit::Not("L2".into()), "already"),
        ] {
            let wrong = edit.of("L: [o]\nL2: [o]\n").unwrap_err();
            assert!(wrong.contains(said), "{edit:?}: {wrong}");
        }
    }
}
