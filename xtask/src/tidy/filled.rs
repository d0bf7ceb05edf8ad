//! What a scaffold left open is filled in.

use crate::new::MARK;
use crate::tree::Tree;

/// Lines that are marked, but for those of the scaffolds themselves.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.files(|path| !path.starts_with("xtask/")) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains(MARK)) {
            wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_line_is_named() {
        let page = format!("a\n    {MARK}: b\n");
        let tree = Tree::of(&[("crates/a/src/b.rs", &page), ("xtask/templates/rule.rs", &page), ("README.md", "c")]);
        assert_eq!(check(&tree), [format!("crates/a/src/b.rs:2: {MARK}: b")]);
    }
}
