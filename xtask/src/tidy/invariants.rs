//! The tests that ARCHITECTURE.md names are there.

use crate::tree::{Tree, is};

const MAP: &str = "ARCHITECTURE.md";

/// Words in back-ticks that can only be a test's name: lower case, and three words or more.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split('`').skip(1).step_by(2);
    words.filter(|w| {
        w.matches('_').count() > 1 && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    })
}

/// Tests that are named and not there.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    // Blocks hold drawings, and their back-ticks would be counted.
    let text = tree.text(MAP).unwrap_or_default().replace("```", "");
    let there = |name: &str| {
        let head = format!("fn {name}(");
        tree.files(|p| is(p, "rs")).any(|(_, code)| code.contains(&head))
    };
    let mut wrong: Vec<String> =
        named(&text).filter(|name| !there(name)).map(|name| format!("{MAP}: there is no test {name}")).collect();
    if named(&text).next().is_none() {
        wrong.push(format!("{MAP}: names no test"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_gone_is_named() {
        let code = ("a.rs", "fn it_is_there() {}");
        assert_eq!(check(&Tree::of(&[(MAP, "`it_is_there`, `kernel_cli`"), code])), [""; 0]);
        assert_eq!(check(&Tree::of(&[(MAP, "`it_is_gone`"), code])), ["ARCHITECTURE.md: there is no test it_is_gone"]);
        assert_eq!(check(&Tree::of(&[(MAP, "nothing")])), ["ARCHITECTURE.md: names no test"]);
    }
}
