//! The architecture, checked: each check gives one line per fault, and none when all is well.
//!
//! A check takes the tree and no more, so that its test can hand it a tree with one fault planted and see it found.

mod arrows;
mod cited;
mod doors;
mod facts;
mod filled;
mod glossary;
mod invariants;
mod licences;
mod links;
mod lints;
mod lists;
mod room;
mod types;
mod unsafety;
mod words;

use crate::tree::Tree;

/// Gives one line per fault.
type Check = fn(&Tree) -> Vec<String>;

/// The checks, with the word that opens their lines.
const CHECKS: &[(&str, Check)] = &[
    ("arrows", arrows::check),
    ("lists", lists::check),
    ("unsafe", unsafety::check),
    ("doors", doors::check),
    ("types", types::check),
    ("room", room::check),
    ("words", words::check),
    ("glossary", glossary::check),
    ("links", links::check),
    ("open", filled::check),
    ("invariants", invariants::check),
    ("licences", licences::check),
    ("cited", cited::check),
    ("facts", facts::check),
    ("lints", lints::check),
];

/// Every check.
pub(crate) fn all(tree: &Tree) -> Vec<String> {
    CHECKS.iter().flat_map(|(name, check)| check(tree).into_iter().map(move |line| format!("{name}: {line}"))).collect()
}

/// Asserts that a fault planted in this repository is found, in a line that holds `part`.
#[cfg(test)]
fn proves(check: Check, planted: impl Fn(&Tree) -> Tree, part: &str) {
    static TREE: std::sync::OnceLock<Tree> = std::sync::OnceLock::new();
    let wrong = check(&planted(TREE.get_or_init(|| Tree::load().unwrap())));
    assert!(wrong.iter().any(|w| w.contains(part)), "the planted fault ({part}) was not found: {wrong:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let wrong = all(&Tree::load().unwrap());
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}
