//! The tests that ARCHITECTURE.md names are there.

use crate::tree::{Tree, is};

const MAP: &str = "ARCHITECTURE.md";

/// A test that is named, and the crate it is said to be in: `` `cli`: `a_test`, `another_one` ``.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    of: Option<&'a str>,
    test: &'a str,
}

/// Words in back-ticks that can only be a test's name: lower case, and three words or more. A word in back-ticks that a
/// colon follows is the crate of those behind it, to the end of the line.
fn named(text: &str) -> Vec<Named<'_>> {
    let is_test = |w: &str| {
        w.matches('_').count() > 1 && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let mut all = Vec::new();
    for line in text.lines() {
        let mut of = None;
        let parts: Vec<&str> = line.split('`').collect();
        for at in (1..parts.len()).step_by(2) {
            if parts.get(at + 1).is_some_and(|after| after.starts_with(':')) {
                of = Some(parts[at]);
            } else if is_test(parts[at]) {
                all.push(Named { of, test: parts[at] });
            }
        }
    }
    all
}

/// Tests that are named and not there, or not in the crate they are said to be in.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    // Blocks hold drawings, and their back-ticks would be counted.
    let text = tree.text(MAP).unwrap_or_default().replace("```", "");
    let there = |n: &Named<'_>| {
        let head = format!("fn {}(", n.test);
        let inside = |path: &str| {
            n.of.is_none_or(|of| path.starts_with(&format!("crates/{of}/")) || path.starts_with(&format!("{of}/")))
        };
        tree.files(|p| is(p, "rs")).any(|(path, code)| inside(path) && code.contains(&head))
    };
    let all = named(&text);
    let mut wrong: Vec<String> = all
        .iter()
        .filter(|n| !there(n))
        .map(|n| match n.of {
            Some(of) => format!("{MAP}: {of} has no test {}", n.test),
            None => format!("{MAP}: there is no test {}", n.test),
        })
        .collect();
    if all.is_empty() {
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
        let code = ("crates/a/src/b.rs", "fn it_is_there() {}");
        let of = |text: &str| check(&Tree::of(&[(MAP, text), code]));
        assert_eq!(of("| x | `a`: `it_is_there`; on a real kernel, `kernel_a` |"), [""; 0]);
        assert_eq!(of("| x | `b`: `it_is_there` |"), ["ARCHITECTURE.md: b has no test it_is_there"]);
        assert_eq!(of("| `b`: x |\n| y | `it_is_there` |"), [""; 0]);
        assert_eq!(check(&Tree::of(&[(MAP, "nothing")])), ["ARCHITECTURE.md: names no test"]);
    }
}
