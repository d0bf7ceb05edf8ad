//! The project's language: what `docs/glossary.md` lists under "Not used" occurs nowhere; a unit, a negative share and a
//! switch have one form.
//!
//! The page is the only list. A term is a sequence of words, matched without case across line breaks, comment markers
//! and the parts of an identifier, so that `fn told_apart` and a wrapped comment are read like a sentence.

use std::collections::HashMap;

use crate::tree::{Tree, is};

/// The page with the list.
const PAGE: &str = "docs/glossary.md";

/// The first block of the report spells microseconds with U+03BC; these files print, test or show it, or read it as
/// input.
const SEED_FORMAT: &[&str] =
    &["README.md", "crates/report/", "crates/cli/tests/", "crates/assess/", "crates/model/src/units.rs"];

/// Text of ours: not captured hosts, fuzz inputs, licences, the lock file, or the list itself and its test.
fn ours(path: &str) -> bool {
    const FOREIGN: &[&str] = &["fixtures/roots/", "fuzz/corpus/", "LICENSE", "Cargo.lock", PAGE, file!()];
    const TEXT: &[&str] = &["rs", "md", "sh", "txt", "toml", "json", "html", "css", "snap", "yml"];
    !FOREIGN.iter().any(|f| path.starts_with(f))
        && (TEXT.iter().any(|e| is(path, e)) || path.starts_with("bench/") || path.starts_with("scripts/"))
}

/// A term that is not used, and the longer phrases and the files in which it is.
struct Term {
    words: Vec<String>,
    instead: String,
    except: Vec<Vec<String>>,
    /// Files in which it stays.
    files: Vec<String>,
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The rows below the heading "Not used": terms in backticks, what to use, exceptions in backticks.
fn terms(page: &str) -> Vec<Term> {
    let rows = page.lines().skip_while(|l| !l.starts_with("## Not used")).filter(|l| l.starts_with("| `"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let (files, phrases): (Vec<&str>, Vec<&str>) =
            cells.get(2).map(|c| quoted(c).partition(|e| e.contains('/'))).unwrap_or_default();
        let except: Vec<Vec<String>> = phrases.into_iter().map(plain).collect();
        let files: Vec<String> = files.into_iter().map(ToOwned::to_owned).collect();
        let instead = cells.get(1).map_or("", |c| c.trim()).to_owned();
        let terms = cells.first().map(|c| quoted(c).map(plain).collect::<Vec<_>>()).unwrap_or_default();
        terms.into_iter().map(move |words| Term {
            words,
            instead: instead.clone(),
            except: except.clone(),
            files: files.clone(),
        })
    })
    .collect()
}

fn plain(text: &str) -> Vec<String> {
    words(text).into_iter().map(|w| w.text).collect()
}

struct Word {
    text: String,
    line: usize,
    /// Something other than space, a comment marker or a line's continuation stands before it.
    apart: bool,
}

/// The words of a text in lower case; an identifier is the words it is made of.
fn words(text: &str) -> Vec<Word> {
    let (mut out, mut line, mut apart, mut lower): (Vec<Word>, usize, bool, bool) = (Vec::new(), 1, false, false);
    let mut open = false;
    for c in text.chars() {
        if c.is_alphabetic() || c == '\'' && open {
            if open && !(lower && c.is_uppercase()) {
                out.last_mut().into_iter().for_each(|w| w.text.extend(c.to_lowercase()));
            } else {
                out.push(Word { text: c.to_lowercase().collect(), line, apart });
            }
            (open, apart, lower) = (true, false, c.is_lowercase());
            continue;
        }
        open = false;
        line += usize::from(c == '\n');
        apart |= !(c.is_whitespace() || matches!(c, '_' | '/' | '!' | '\\' | '#' | '-'));
    }
    out
}

fn at(words: &[Word], start: usize, term: &[String]) -> bool {
    let Some(part) = words.get(start..start + term.len()) else { return false };
    part.iter().zip(term).all(|(w, t)| w.text == *t) && part.iter().skip(1).all(|w| !w.apart)
}

/// Whether a longer phrase that is in use covers the `len` words at `start`.
fn excused(words: &[Word], start: usize, len: usize, except: &[Vec<String>]) -> bool {
    except.iter().any(|phrase| {
        (0..=phrase.len().saturating_sub(len)).any(|shift| shift <= start && at(words, start - shift, phrase))
    })
}

/// The terms by their first word: each word of a text is looked up once.
type ByFirst<'a> = HashMap<&'a str, Vec<&'a Term>>;

fn by_first(terms: &[Term]) -> ByFirst<'_> {
    let mut by = ByFirst::new();
    for term in terms {
        if let Some(first) = term.words.first() {
            by.entry(first).or_default().push(term);
        }
    }
    by
}

fn unused_terms(path: &str, text: &str, terms: &ByFirst<'_>) -> Vec<String> {
    let words = words(text);
    let mut wrong = Vec::new();
    for start in 0..words.len() {
        for term in terms.get(words[start].text.as_str()).into_iter().flatten() {
            if !term.files.iter().any(|f| f == path)
                && at(&words, start, &term.words)
                && !excused(&words, start, term.words.len(), &term.except)
            {
                let name = term.words.join(" ");
                wrong.push(format!("{path}:{}: {name:?}: use {}", words[start].line, term.instead));
            }
        }
    }
    wrong
}

/// `5 us` for `5 µs`, U+03BC outside the seed format.
fn units(path: &str, text: &str) -> Vec<String> {
    let seed = SEED_FORMAT.iter().any(|p| path.starts_with(p));
    let ascii = |line: &str| {
        line.match_indices(" us").any(|(at, _)| {
            line[..at].ends_with(|c: char| c.is_ascii_digit() || c == '}')
                && !line[at + 3..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    };
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if ascii(line) {
            wrong.push(format!("{path}:{}: \" us\" behind a number: use µs", number + 1));
        }
        if line.contains("\u{3bc}s") && !seed {
            wrong.push(format!("{path}:{}: U+03BC: use U+00B5 (µs)", number + 1));
        }
    }
    wrong
}

/// `-5.0 %` for `−5.0 %`. A hyphen behind a figure or a letter makes a range or a compound.
fn signs(path: &str, text: &str) -> Vec<String> {
    let share = |rest: &str| {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        rest.starts_with(|c: char| c.is_ascii_digit()) && number.starts_with(" %")
    };
    let joined = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '}' | '_'));
    let wrong = |line: &str| line.match_indices('-').any(|(at, _)| !joined(&line[..at]) && share(&line[at + 1..]));
    let lines = text.lines().enumerate().filter(|(_, line)| wrong(line));
    lines.map(|(n, _)| format!("{path}:{}: a hyphen before a share: use U+2212 (−)", n + 1)).collect()
}

/// A switch is `on` or `off`, in lower case; what is written otherwise belongs to the kernel or a tool.
fn switches(path: &str, text: &str) -> Vec<String> {
    const OTHER: &[&str] = &["ON", "OFF", "On", "Off"];
    let wrong = |line: &str| {
        OTHER.iter().any(|word| line.contains(&format!("\"{word}\"")) || line.contains(&format!("`{word}`")))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| wrong(line));
    lines.map(|(n, _)| format!("{path}:{}: a switch is `on` or `off`", n + 1)).collect()
}

/// Terms that are not used, and figures and switches in another form.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let terms = terms(tree.text(PAGE).unwrap_or_default());
    let by_first = by_first(&terms);
    if terms.is_empty() {
        return vec![format!("{PAGE}: the section \"Not used\" has no row")];
    }
    let files = tree.files(|path| ours(path) && !UNEDITED.iter().any(|u| path.starts_with(u)));
    files
        .flat_map(|(path, text)| {
            [unused_terms(path, text, &by_first), units(path, text), signs(path, text), switches(path, text)].concat()
        })
        .collect()
}

/// Paths whose text is not edited yet.
const UNEDITED: &[&str] = &[];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    const LIST: &str = "## Used\n| `told` | x |\n## Not used\n| not used | use | except |\n|---|---|---|\n\
                        | `told`, `tells` | reported | `told apart` |\n| `in the midst` | midway | |\n";

    fn found(text: &str) -> Vec<String> {
        check(&Tree::of(&[(PAGE, LIST), ("a.md", text)]))
    }

    #[test]
    fn a_term_is_found_in_prose_identifiers_and_over_a_line_break() {
        assert_eq!(found("x\nIs Told."), ["a.md:2: \"told\": use reported"]);
        for planted in ["fn is_told()", "struct NotTold;", "it tells", "in\n/// the midst", "\"in the \\\n   midst\""] {
            assert_eq!(found(planted).len(), 1, "{planted}");
        }
    }

    #[test]
    fn an_exception_and_words_that_belong_to_two_sentences_pass() {
        for fine in ["they are told apart", "fn told_apart()", "in. The midst", "retold", "in the, midst"] {
            assert_eq!(found(fine), [""; 0], "{fine}");
        }
        assert_eq!(found("told apart and told").len(), 1);
    }

    #[test]
    fn a_unit_has_one_form() {
        for planted in ["5 us", "{x} us", "5 \u{3bc}s"] {
            assert_eq!(found(planted).len(), 1, "{planted}");
        }
        assert_eq!(found("50us, 5 µs, 5 users"), [""; 0]);
        assert_eq!(check(&Tree::of(&[(PAGE, LIST), ("README.md", "5\u{3bc}s")])), [""; 0]);
    }

    #[test]
    fn a_negative_share_has_a_minus_and_a_switch_one_form() {
        for planted in ["-5.0 %", "[-14 %, 3 %]", "x (-0.4 %)", "\"ON\"", "`Off`"] {
            assert_eq!(found(planted).len(), 1, "{planted}");
        }
        assert_eq!(found("−5.0 %, 5-10 %, x-5 %, --50 %, {a}-5 %, -5, ON, `off`, \"on\""), [""; 0]);
    }

    #[test]
    fn a_file_may_be_excused() {
        let list = format!("{LIST}| `seat` | socket | `crates/a.rs` |\n");
        let found = |path: &str| check(&Tree::of(&[(PAGE, list.as_str()), (path, "\"seat\"")])).len();
        assert_eq!((found("crates/a.rs"), found("crates/b.rs")), (0, 1));
    }

    #[test]
    fn a_page_without_its_list_is_named_and_the_real_one_finds_a_fault() {
        proves(check, |t| t.without(PAGE), "has no row");
        proves(check, |t| t.with("a.md", "the quantile is borne"), "a.md:1: \"borne\"");
    }
}
