//! What the pages cite of the kernel: file, release, and the symbols or words that are said to be there.
//!
//! `xtask extract 6.1=TREE 6.12=TREE` looks each of them up in unpacked kernel sources and writes [`EXTRACT`]: for each
//! file and symbol the oldest of these releases that has it, and no line of the kernel. `tidy` reads that file, so a
//! symbol that is not where a page says it is red without a kernel at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::tree::{Tree, is, product};

/// The stored answers.
pub(crate) const EXTRACT: &str = "xtask/data/kernel-extract.txt";

/// What a citation without a symbol says: that there is such a file.
const FILE: &str = "(the file)";

/// A release: `6.12` → (6, 12).
pub(crate) type Release = (u32, u32);

/// One thing that is said of a kernel file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    /// A symbol of a source file, a heading or word of a document.
    pub(crate) what: String,
    /// It is said not to be there.
    pub(crate) absent: bool,
}

/// One citation: `net/core/dev.c in linux 6.1, 6.12: napi_complete_done`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Citation {
    /// File of this repository and line.
    pub(crate) at: String,
    /// File of the kernel.
    pub(crate) file: String,
    /// Releases that are named.
    pub(crate) releases: Vec<Release>,
    /// What is said to be there.
    pub(crate) said: Vec<Said>,
}

/// `6.12`.
pub(crate) fn release(text: &str) -> Option<Release> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Every citation in a string of the product's sources.
pub(crate) fn citations(tree: &Tree) -> Vec<Citation> {
    let mut all = Vec::new();
    for (path, text) in tree.files(|p| p.starts_with("crates/") && p.contains("/src/") && is(p, "rs")) {
        for (number, line) in product(text).lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            // The odd pieces between quotation marks are strings; none of ours holds an escaped one and a citation.
            for string in line.split('"').skip(1).step_by(2) {
                all.extend(parse(string).map(|(file, releases, said)| Citation {
                    at: format!("{path}:{}", number + 1),
                    file: file.to_owned(),
                    releases,
                    said,
                }));
            }
        }
    }
    all
}

fn parse(source: &str) -> Option<(&str, Vec<Release>, Vec<Said>)> {
    let (file, rest) = source.split_once(" in linux ")?;
    let (releases, what) = rest.split_once(": ").unwrap_or((rest, ""));
    let releases: Option<Vec<Release>> = releases.split(", ").map(release).collect();
    let file = Some(file).filter(|f| f.contains('/') && !f.contains([' ', '{']))?;
    let code = is(file, "c") || is(file, "h");
    let mut said = if code { symbols(what) } else { phrases(what) };
    if said.is_empty() {
        said.push(Said { what: FILE.to_owned(), absent: false });
    }
    Some((file, releases?, said))
}

/// The symbols of a text about a source file. Words that may be prose are left out: a symbol has an underscore or is in
/// capitals, or follows `no`.
fn symbols(text: &str) -> Vec<Said> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let (mut at, mut before) = (0, "");
    while let Some(start) = text[at..].find(part).map(|n| n + at) {
        let end = text[start..].find(|c| !part(c)).map_or(text.len(), |n| n + start);
        let word = &text[start..end];
        // `rx_queue_%u_packets`: next to a format there is only a part of a word.
        let formatted =
            text[..start].ends_with('%') || text[end..].starts_with('%') || word.starts_with(char::is_numeric);
        let capitals = word.len() > 3 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let absent = before == "no" && word != "such";
        if !formatted && word.len() > 2 && (word.trim_matches('_').contains('_') || capitals || absent) {
            found.push(Said { what: word.to_owned(), absent });
        }
        (at, before) = (end, word);
    }
    found
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text without its parts in brackets, as [`phrases`] leaves them out.
fn without_asides(text: &str) -> String {
    let mut depth = 0_u32;
    let keep = |c: &char| {
        match c {
            '(' => depth += 1,
            ')' if depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0
    };
    text.chars().filter(keep).collect()
}

/// The headings and words of a text about a document, and the symbols that stand there in brackets.
fn phrases(text: &str) -> Vec<Said> {
    let mut found = Vec::new();
    let (mut depth, mut phrase, mut aside) = (0_u32, String::new(), String::new());
    let mut done = |phrase: &mut String| {
        let what = one_line(&std::mem::take(phrase));
        let (what, absent) = what.strip_prefix("no ").map_or((what.as_str(), false), |what| (what, true));
        if !what.is_empty() {
            found.push(Said { what: what.to_owned(), absent });
        }
    };
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                aside.push(' ');
            }
            ',' | ';' if depth == 0 => done(&mut phrase),
            c if depth == 0 => phrase.push(c),
            c => aside.push(c),
        }
    }
    done(&mut phrase);
    found.extend(symbols(&aside));
    found
}

/// What is stored of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// The oldest of the releases that has it.
    Since(Release),
    /// None of them has it.
    Nowhere,
    /// It could not be looked up: the file has it in a form that no search finds.
    Unchecked,
}

/// The stored extract.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Extract {
    /// Releases that were looked at, the oldest first.
    pub(crate) releases: Vec<Release>,
    /// File → thing → since when.
    pub(crate) files: BTreeMap<String, BTreeMap<String, Known>>,
}

impl Extract {
    /// Reads its text: a file, and below it, indented, `SINCE THING`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut extract = Self::default();
        let mut file = None;
        for line in text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
            if let Some(releases) = line.strip_prefix("releases ") {
                let read: Option<Vec<Release>> = releases.split(' ').map(release).collect();
                extract.releases = read.with_context(|| format!("{EXTRACT}: {line}"))?;
            } else if let Some(entry) = line.strip_prefix("  ") {
                let (since, what) = entry.split_once(' ').with_context(|| format!("{EXTRACT}: {line}"))?;
                let known = match since {
                    "-" => Known::Nowhere,
                    "?" => Known::Unchecked,
                    since => Known::Since(release(since).with_context(|| format!("{EXTRACT}: {line}"))?),
                };
                let file: &String = file.as_ref().with_context(|| format!("{EXTRACT}: {line} stands below no file"))?;
                extract.files.entry(file.clone()).or_default().insert(what.to_owned(), known);
            } else {
                file = Some(line.to_owned());
            }
        }
        Ok(extract)
    }

    fn text(&self) -> String {
        let releases: Vec<String> = self.releases.iter().map(|(a, b)| format!("{a}.{b}")).collect();
        let mut out = format!(
            "# Written by `cargo run -p xtask -- extract`. Of each kernel file that a page cites: what is cited of it, and the \
             oldest\n# of these releases that has it; `-` none of them, `?` set by hand: no search finds it.\nreleases {}\n",
            releases.join(" ")
        );
        for (file, things) in &self.files {
            let _ = writeln!(out, "{file}");
            for (what, known) in things {
                let since = match known {
                    Known::Since((a, b)) => format!("{a}.{b}"),
                    Known::Nowhere => "-".to_owned(),
                    Known::Unchecked => "?".to_owned(),
                };
                let _ = writeln!(out, "  {since} {what}");
            }
        }
        out
    }

    /// What is stored of a thing.
    pub(crate) fn of(&self, file: &str, what: &str) -> Option<Known> {
        self.files.get(file)?.get(what).copied()
    }
}

/// Looks everything that is cited up in these trees, `6.12=FOLDER` each, and writes the extract.
pub(crate) fn extract(tree: &Tree, trees: &[&str]) -> Result<String> {
    let mut sources: Vec<(Release, PathBuf)> = Vec::new();
    for named in trees {
        let (number, folder) =
            named.split_once('=').with_context(|| format!("extract: {named} is not RELEASE=FOLDER"))?;
        let folder = PathBuf::from(folder);
        ensure!(
            folder.join("Documentation").is_dir(),
            "extract {named}: no kernel sources there (no folder Documentation); unpack them, Debian: linux-source-{number}"
        );
        let release = release(number)
            .with_context(|| format!("extract {named}: {number} is no release; write 6.12 for example"))?;
        sources.push((release, folder));
    }
    sources.sort();
    let old = tree.text(EXTRACT).map(Extract::parse).transpose()?.unwrap_or_default();
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for citation in citations(tree) {
        wanted.entry(citation.file).or_default().extend(citation.said.into_iter().map(|s| s.what));
    }
    let mut new = Extract { releases: sources.iter().map(|(r, _)| *r).collect(), files: BTreeMap::new() };
    for (file, things) in wanted {
        let texts: Vec<(Release, String)> = sources.iter().map(|(r, dir)| (*r, read(dir, &file))).collect();
        let looked_up = |what: &String| {
            let since = texts.iter().find(|(_, text)| holds(text, &file, what)).map(|(r, _)| Known::Since(*r));
            let by_hand = old.of(&file, what).filter(|k| *k == Known::Unchecked);
            since.or(by_hand).unwrap_or(Known::Nowhere)
        };
        let entries = things.into_iter().map(|what| (what.clone(), looked_up(&what))).collect();
        new.files.insert(file, entries);
    }
    let at = tree.root.join(EXTRACT);
    std::fs::create_dir_all(at.parent().context("no folder")?)?;
    std::fs::write(&at, new.text()).with_context(|| at.display().to_string())?;
    let things: usize = new.files.values().map(BTreeMap::len).sum();
    Ok(format!("{EXTRACT}: {things} things of {} files", new.files.len()))
}

fn read(dir: &Path, file: &str) -> String {
    std::fs::read(dir.join(file)).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
}

/// Whether a file has it: a symbol as a whole word, a heading or word of a document in any case of letters and however its
/// line is broken.
fn holds(text: &str, file: &str, what: &str) -> bool {
    if what == FILE {
        return !text.is_empty();
    }
    if !is(file, "c") && !is(file, "h") {
        let plain = |t: &str| one_line(&t.replace('`', "")).to_lowercase();
        let (text, what) = (plain(text), plain(what));
        return text.contains(&what) || one_line(&without_asides(&text)).contains(&what);
    }
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(what).any(|(at, _)| !text[..at].ends_with(part) && !text[at + what.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(what: &str) -> Vec<String> {
        let (_, _, said) = parse(what).unwrap();
        said.into_iter().map(|s| if s.absent { format!("no {}", s.what) } else { s.what }).collect()
    }

    #[test]
    fn sources_that_are_not_there_are_named_in_one_line() {
        for (named, why) in [
            ("6.1=/no/such/tree", "no kernel sources there"),
            ("tree", "is not RELEASE=FOLDER"),
            ("six=/", "Documentation"),
        ] {
            let said = format!("{:#}", extract(&Tree::of(&[]), &[named]).unwrap_err());
            assert!(said.starts_with("extract") && said.contains(named) && said.contains(why), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn what_a_citation_says() {
        assert_eq!(
            said("net/core/dev.c in linux 6.1, 6.12: napi_complete_done (a second poll), STA_UNSYNC, no busy_x"),
            ["napi_complete_done", "STA_UNSYNC", "no busy_x"]
        );
        assert_eq!(said("a/b.c in linux 6.12: x_get_strings (rx_queue_%u_packets, C6 133 µs)"), ["x_get_strings"]);
        assert_eq!(
            said("Documentation/a.rst in linux 6.12: Groups, and (some)  more; The end (ETH_X, small print), no x"),
            ["Groups", "and more", "The end", "no x", "ETH_X"]
        );
        assert_eq!(said("Documentation/a.rst in linux 6.12"), [FILE]);
        assert!(parse("linux commit abc: x").is_none() && parse("a page in linux 6.12: x_y").is_none());
    }

    #[test]
    fn strings_of_the_product_alone_cite() {
        let text = "//! \"a/c.c in linux 6.12: a_b\"\nlet x = [\"a/d.c in linux 6.12: c_d\"];\n#[cfg(test)]\nmod t { const X: &str = \"a/e.c in linux 6.12: e_f\"; }";
        let tree = Tree::of(&[("crates/x/src/lib.rs", text)]);
        let all = citations(&tree);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].file.as_str(), all[0].at.as_str()), ("a/d.c", "crates/x/src/lib.rs:2"));
    }

    #[test]
    fn a_tree_is_looked_through_and_stored() {
        let dir = tempfile::tempdir().unwrap();
        for (release, text) in [("old", "int a_b;"), ("new", "int a_b; int c_d; int c_d_e;")] {
            let at = dir.path().join(release);
            std::fs::create_dir_all(at.join("Documentation")).unwrap();
            std::fs::write(at.join("Documentation/x.rst"), "The (very) long\n  ``Heading``").unwrap();
            std::fs::write(at.join("x.c"), "").unwrap();
            std::fs::create_dir_all(at.join("a")).unwrap();
            std::fs::write(at.join("a/d.c"), text).unwrap();
        }
        let cites = "const X: [&str; 2] = [\"a/d.c in linux 6.12: a_b, c_d, d_e\", \"Documentation/x.rst in linux 6.12: the long heading\"];";
        let mut tree = Tree::of(&[("crates/x/src/lib.rs", cites)]);
        tree.root = dir.path().to_owned();
        let named = |r: &str, d: &str| format!("{r}={}", dir.path().join(d).display());
        extract(&tree, &[&named("6.12", "new"), &named("6.1", "old")]).unwrap();
        let stored = Extract::parse(&std::fs::read_to_string(dir.path().join(EXTRACT)).unwrap()).unwrap();
        assert_eq!(stored.releases, [(6, 1), (6, 12)]);
        for (file, what, known) in [
            ("a/d.c", "a_b", Known::Since((6, 1))),
            ("a/d.c", "c_d", Known::Since((6, 12))),
            ("a/d.c", "d_e", Known::Nowhere),
            ("Documentation/x.rst", "the long heading", Known::Since((6, 1))),
        ] {
            assert_eq!(stored.of(file, what), Some(known), "{what}");
        }
        assert!(extract(&tree, &["6.12"]).is_err() && extract(&tree, &[&named("6.12", "nowhere")]).is_err());
    }
}
