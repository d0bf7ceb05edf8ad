//! Pages by words, and names that are nearly the one that was given.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lowlat_model::answer::FoundPage;

use super::{NoPage, all, find};

/// Pages that are shown, at most.
const MOST: usize = 20;
/// Names that are suggested, at most.
const SUGGESTED: usize = 5;
/// Two words are near from here on: one letter of five is wrong, or two change places (Damerau-Levenshtein, of 1).
const NEAR: f64 = 0.7;

/// The pages that hold every word, whatever the case: those with more of the words in their names first, then those that
/// hold them more often.
///
/// # Errors
/// No words, or no page holds all of them; it names words that are near.
pub fn search(text: &str) -> Result<Vec<FoundPage>, NoPage> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return Err(NoPage("search the pages: no words; give some, as in --search udp buffer".to_owned()));
    }
    let mut found: Vec<((usize, usize), FoundPage)> = Vec::new();
    for (group, names) in all() {
        for name in names {
            let Some(page) = find(name) else { continue };
            let lower = page.to_lowercase();
            if !words.iter().all(|w| lower.contains(w.as_str())) {
                continue;
            }
            let named = words.iter().filter(|w| name.to_lowercase().contains(w.as_str())).count();
            let often = words.iter().map(|w| lower.matches(w.as_str()).count()).sum();
            let line = line(&page, &words);
            found.push(((named, often), FoundPage { name: name.to_owned(), group: group.to_owned(), line }));
        }
    }
    if found.is_empty() {
        return Err(NoPage(format!("search the pages for {text:?}: none holds all of it; {}", hint(&words))));
    }
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
    Ok(found.into_iter().map(|(_, f)| f).collect())
}

/// The first line below the title that holds a word.
fn line(page: &str, words: &[String]) -> String {
    let holds = |l: &&str| {
        let l = l.to_lowercase();
        words.iter().any(|w| l.contains(w.as_str()))
    };
    page.lines()
        .skip(1)
        .find(holds)
        .or_else(|| page.lines().next())
        .unwrap_or_default()
        .trim_start_matches(['#', '-', ' '])
        .to_owned()
}

/// What to do about words that no page holds: those of the pages that are near to them, or fewer words.
fn hint(words: &[String]) -> String {
    let pages: String =
        all().into_iter().flat_map(|(_, names)| names).filter_map(find).collect::<Vec<_>>().join(" ").to_lowercase();
    let vocabulary: BTreeSet<&str> =
        pages.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).filter(|w| w.len() > 2).collect();
    let unknown: Vec<&String> = words.iter().filter(|w| !pages.contains(w.as_str())).collect();
    if unknown.is_empty() {
        return "each word alone is on some page, so give fewer".to_owned();
    }
    let near: Vec<&str> = unknown.iter().flat_map(|w| nearest(w, vocabulary.iter().copied())).collect();
    if near.is_empty() {
        let words: Vec<String> = unknown.iter().map(|w| w.escape_debug().to_string()).collect();
        format!("no page knows {}; `lowlat explain` lists the names", words.join(", "))
    } else {
        format!("did you mean {}", near.join(", "))
    }
}

/// Names of pages that are nearly this one, or of which a part is.
pub(super) fn near(name: &str) -> Vec<&'static str> {
    nearest(&name.to_lowercase(), super::names::words().into_iter())
}

fn nearest<'a>(word: &str, among: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    // One letter is near to every other, and the comparison takes time by the square of the length.
    if !(3..=64).contains(&word.chars().count()) {
        return Vec::new();
    }
    let likeness = |other: &str| {
        let other = other.to_lowercase();
        let whole = strsim::normalized_damerau_levenshtein(word, &other);
        let parts = other.split(['.', '/']).map(|part| strsim::normalized_damerau_levenshtein(word, part));
        parts.fold(whole, f64::max)
    };
    let mut near: Vec<(f64, &str)> = among.map(|other| (likeness(other), other)).filter(|(l, _)| *l >= NEAR).collect();
    near.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.cmp(y)));
    near.into_iter().take(SUGGESTED).map(|(_, other)| other).collect()
}

/// One line for each page found, as text; the first twenty of them.
pub fn list(found: &[FoundPage]) -> String {
    let width = found.iter().take(MOST).map(|f| f.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for f in found.iter().take(MOST) {
        let _ = writeln!(out, "{:width$}  {}: {}", f.name, f.group, f.line);
    }
    if found.len() > MOST {
        let _ = writeln!(out, "and {} more; more words find fewer", found.len() - MOST);
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        search(text).unwrap().into_iter().map(|f| f.name).collect()
    }

    #[test]
    fn a_name_stands_before_a_mention() {
        let found = names("busy poll");
        assert!(found.len() > 3 && found[0].contains("busy"), "{found:?}");
        assert!(names("RcvbufErrors").contains(&"receive-buffer-errors".to_owned()));
        assert!(names("connectx").iter().any(|n| n.contains("mlx5") || n == "connectx"), "{:?}", names("connectx"));
    }

    #[test]
    fn near_misses_are_suggested() {
        assert!(near("buzy_poll").contains(&"sysctl.net.core.busy_poll"), "{:?}", near("buzy_poll"));
        assert!(near("recieve-buffer-errors").contains(&"receive-buffer-errors"));
        assert_eq!(near("x"), Vec::<&str>::new());
        assert_eq!(near(&"x".repeat(100_000)), Vec::<&str>::new());
        let why = |text: &str| search(text).unwrap_err().to_string();
        assert!(why("coalecsing").contains("did you mean coalescing"), "{}", why("coalecsing"));
        assert!(why("qqqqqqqq").contains("no page knows qqqqqqqq"));
        assert!(why("  ").contains("no words"));
        assert!(!why("a\nb\u{1b}[2J").contains(['\n', '\u{1b}']));
    }
}
