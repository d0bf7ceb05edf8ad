//! Words that belong to a builder's own machine and to no file of the project.

use crate::tree::Tree;

/// Spelt in two parts, so that this file passes its own check.
const FORBIDDEN: &[(&[&str], &str)] = &[
    (&["/wo", "rk/"], "a path of one machine"),
    (&["/ho", "me/"], "a path of one machine"),
    (&["shared/", "spec"], "a folder outside the repository"),
    (&["shared/", "knowledge"], "a folder outside the repository"),
    (&["arti", "factory"], "a package mirror's host"),
    (&["nex", "us."], "a package mirror's host"),
    (&[".inter", "nal/"], "a host nobody else can reach"),
    (&[".co", "rp/"], "a host nobody else can reach"),
    (&[".la", "n/"], "a host nobody else can reach"),
    (&[".intra", "net"], "a host nobody else can reach"),
];

/// Lines that hold one of them.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let forbidden: Vec<(String, &str)> = FORBIDDEN.iter().map(|(parts, why)| (parts.concat(), *why)).collect();
    // Somebody else's text, word for word.
    for (path, text) in tree.files(|path| !path.starts_with("fixtures/cyclonedx/")) {
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            for (word, why) in forbidden.iter().filter(|(word, _)| line.contains(word.as_str())) {
                wrong.push(format!("{path}:{}: {word:?}: {why}", number + 1));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found() {
        for (parts, _) in FORBIDDEN {
            let word = parts.concat();
            let said = check(&Tree::of(&[("a.md", &format!("first\nb {} c", word.to_uppercase()))]));
            assert!(said.len() == 1 && said[0].starts_with(&format!("a.md:2: {word:?}")), "{said:?}");
        }
    }
}
