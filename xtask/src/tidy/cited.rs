//! What the pages cite of the kernel is where they say: every symbol and heading is in the stored extract, from the named
//! release on.

use crate::cited::{Citation, EXTRACT, Extract, Known, Release, Said, citations};
use crate::tree::Tree;

/// Things that are cited and were not looked up: of releases newer or between those of the extract, and those that it
/// marks. The number may only fall.
const UNCHECKED: usize = 1;

/// Citations that the extract contradicts or does not know, and a number of unchecked ones that is not [`UNCHECKED`].
pub(super) fn check(tree: &Tree) -> Vec<String> {
    judged(tree, UNCHECKED)
}

fn judged(tree: &Tree, allowed: usize) -> Vec<String> {
    let extract = match tree.text(EXTRACT).map(Extract::parse) {
        Some(Ok(extract)) => extract,
        Some(Err(e)) => return vec![format!("{e:#}")],
        None => return vec![format!("{EXTRACT} is not there; `cargo run -p xtask -- extract` writes it")],
    };
    let (mut wrong, mut unchecked) = (Vec::new(), 0);
    for citation in citations(tree) {
        for said in &citation.said {
            for release in &citation.releases {
                match verdict(&extract, &citation, said, *release) {
                    Verdict::Right => {}
                    Verdict::Unchecked => unchecked += 1,
                    Verdict::Wrong(why) => wrong.push(why),
                }
            }
        }
    }
    if unchecked != allowed {
        wrong.push(format!("{EXTRACT}: {unchecked} citations are unchecked, xtask/src/tidy/cited.rs says {allowed}"));
    }
    wrong
}

enum Verdict {
    Right,
    Unchecked,
    Wrong(String),
}

fn verdict(extract: &Extract, citation: &Citation, said: &Said, release: Release) -> Verdict {
    let Citation { at, file, .. } = citation;
    let what = &said.what;
    let newest = extract.releases.last().copied().unwrap_or_default();
    let looked_at = extract.releases.contains(&release);
    let there = match extract.of(file, what) {
        None => {
            return Verdict::Wrong(format!(
                "{at}: {what} of {file} was not looked up; write the extract anew with `cargo run -p xtask -- extract`"
            ));
        }
        Some(Known::Unchecked) => return Verdict::Unchecked,
        Some(Known::Since(since)) if since <= release => true,
        Some(Known::Since(_)) if !looked_at => return Verdict::Unchecked,
        Some(Known::Nowhere) if release > newest => return Verdict::Unchecked,
        Some(_) => false,
    };
    let (major, minor) = release;
    match (there, said.absent) {
        (true, false) | (false, true) => Verdict::Right,
        (false, false) => Verdict::Wrong(format!("{at}: {file} of linux {major}.{minor} has no {what}")),
        (true, true) => Verdict::Wrong(format!("{at}: {file} of linux {major}.{minor} has {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::proves;
    use super::*;

    const STORED: &str = "releases 6.1 6.12\na/d.c\n  6.1 a_b\n  6.12 c_d\n  - d_e\n  ? f_g\n";

    fn found(source: &str, allowed: usize) -> Vec<String> {
        let code = format!("const X: &str = \"{source}\";");
        judged(&Tree::of(&[("crates/x/src/lib.rs", &code), (EXTRACT, STORED)]), allowed)
    }

    #[test]
    fn a_symbol_that_is_not_there_is_red() {
        for fine in ["a/d.c in linux 6.1, 6.12: a_b", "a/d.c in linux 6.12: c_d, no d_e", "a/d.c in linux 6.1: no c_d"]
        {
            assert_eq!(found(fine, 0), [""; 0], "{fine}");
        }
        for (bad, why) in [
            ("a/d.c in linux 6.12: d_e", "a/d.c of linux 6.12 has no d_e"),
            ("a/d.c in linux 6.1: c_d", "a/d.c of linux 6.1 has no c_d"),
            ("a/d.c in linux 6.12: no a_b", "a/d.c of linux 6.12 has a_b"),
            ("a/d.c in linux 6.12: a_z", "a_z of a/d.c was not looked up"),
            ("a/e.c in linux 6.12: a_b", "a_b of a/e.c was not looked up"),
        ] {
            assert!(found(bad, 0).iter().any(|w| w.contains(why)), "{bad}: {:?}", found(bad, 0));
        }
    }

    #[test]
    fn the_number_of_unchecked_ones_is_held() {
        for unchecked in ["a/d.c in linux 6.18: d_e", "a/d.c in linux 6.12: f_g", "a/d.c in linux 6.6: c_d"] {
            assert_eq!(found(unchecked, 1), [""; 0], "{unchecked}");
            assert_eq!(found(unchecked, 0).len(), 1, "{unchecked}");
            assert_eq!(found(unchecked, 2).len(), 1, "one was looked up: the number has to fall");
        }
    }

    #[test]
    fn a_wrong_symbol_of_a_rule_is_found() {
        let planted = "const X: &str = \"net/core/dev.c in linux 6.12: napi_complete_undone\";";
        proves(check, |t| t.with("crates/rules/src/planted.rs", planted), "napi_complete_undone");
    }

    #[test]
    fn a_tree_without_the_extract_is_named() {
        proves(check, |t| t.without(EXTRACT), "is not there");
    }
}
