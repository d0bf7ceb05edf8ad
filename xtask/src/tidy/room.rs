//! The command line is arguments, wiring and words: what it computes belongs in a crate of its own, and it is seen first by
//! its size.

use crate::tree::{Tree, is};

/// Lines of the command line's sources, without tests.
const MOST: usize = 4_000;

/// The command line over its size.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let lines: usize = tree
        .files(|p| p.starts_with("crates/cli/src/") && is(p, "rs"))
        .map(|(_, text)| text.lines().take_while(|l| *l != "#[cfg(test)]").count())
        .sum();
    if lines <= MOST {
        return Vec::new();
    }
    vec![format!("crates/cli/src: {lines} lines without tests, {MOST} are allowed; move what it computes into a crate")]
}

#[cfg(test)]
mod tests {
    use super::super::proves;
    use super::check;

    #[test]
    fn a_command_line_that_grows_is_refused() {
        proves(check, |t| t.with("crates/cli/src/planted.rs", &"//! x\n".repeat(4_000)), "4000 are allowed");
    }
}
