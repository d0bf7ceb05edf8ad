//! No lint is lifted without a reason next to it.

use crate::tree::{Tree, is};

/// Every `#[allow(…)]` and `#[expect(…)]` without a comment on its line or next to it.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.files(|p| is(p, "rs")) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let lifted = ["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|a| line.starts_with(a));
            let said = |line: Option<&&str>| line.is_some_and(|l| l.starts_with("// "));
            let reason = line.contains("// ") || line.contains("reason = ");
            let beside = number.checked_sub(1).is_some_and(|n| said(lines.get(n))) || said(lines.get(number + 1));
            if lifted && !reason && !beside {
                wrong.push(format!("{path}:{}: {line} without a reason next to it", number + 1));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lint_lifted_without_a_reason_is_named() {
        let bare = "//! A module.\n\n    #[allow(dead_code)]\nfn a() {}\n";
        let said = "#![allow(dead_code)] // each test uses its part\n// as above\n#[allow(dead_code)]\nfn a() {}\n";
        let tree = Tree::of(&[("crates/a/src/bare.rs", bare), ("crates/a/src/said.rs", said)]);
        assert_eq!(check(&tree), ["crates/a/src/bare.rs:3: #[allow(dead_code)] without a reason next to it"]);
    }
}
