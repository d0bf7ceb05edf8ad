//! `docs/reference/`: pages made from the catalogue's own doc comments, never edited by hand.

mod defaults;
mod guides;
mod planted;
mod record;
mod resets;
mod safety;
mod text;
mod units;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::tree::Tree;

/// Where the pages go.
pub(crate) const FOLDER: &str = "docs/reference";

/// The one file outside [`FOLDER`] of which a part is made.
pub(crate) const README: &str = "README.md";

/// Where a page stands in the tree.
fn place(name: &str) -> String {
    if name == README { name.to_owned() } else { format!("{FOLDER}/{name}") }
}

/// File name within [`FOLDER`], or [`README`], and text.
pub(crate) type Pages = BTreeMap<String, String>;

/// Every page.
pub(crate) fn pages(tree: &Tree) -> Result<Pages> {
    let mut pages = Pages::new();
    units::knobs(tree, &mut pages);
    units::rules(tree, &mut pages);
    units::collectors(&mut pages);
    units::families(&mut pages);
    units::engines(tree, &mut pages)?;
    units::peers(tree, &mut pages)?;
    guides::optimization_patterns(tree, &mut pages);
    guides::kernel_bypass(tree, &mut pages);
    guides::nic_tuning(tree, &mut pages);
    record::knobs_on_kernels(tree, &mut pages)?;
    resets::resets(&mut pages);
    defaults::defaults(&mut pages);
    safety::safety(tree, &mut pages)?;
    planted::planted(tree, &mut pages)?;
    pages.insert("index.md".to_owned(), guides::index());
    Ok(pages)
}

/// Writes what differs and removes what is not a page any more; gives how many files changed.
pub(crate) fn write(tree: &Tree, pages: &Pages) -> Result<usize> {
    let folder = tree.root.join(FOLDER);
    let mut changed = 0;
    for (name, text) in pages {
        let path = tree.root.join(place(name));
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        changed += 1;
    }
    for name in present(tree).filter(|name| !pages.contains_key(*name)) {
        let path = folder.join(name);
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        changed += 1;
    }
    Ok(changed)
}

/// What is stale, missing or surplus, one line each.
pub(crate) fn check(tree: &Tree, pages: &Pages) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say =
        |name: &str, what: &str| wrong.push(format!("{}: {what}; run `cargo run -p xtask -- gen`", place(name)));
    for (name, text) in pages {
        match tree.text(&place(name)) {
            None => say(name, "missing"),
            Some(old) if old != text => say(name, "stale"),
            Some(_) => {}
        }
    }
    for name in present(tree).filter(|name| !pages.contains_key(*name)) {
        say(name, "surplus: nothing in the catalogue has this page");
    }
    wrong
}

fn present(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.files(|path| path.starts_with(FOLDER)).filter_map(|(path, _)| path.strip_prefix(FOLDER)?.strip_prefix('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_those_of_the_catalogue() {
        let tree = Tree::load().unwrap();
        let wrong = check(&tree, &pages(&tree).unwrap());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_stale_a_missing_and_a_surplus_page_are_each_named() {
        let pages: Pages = [("a.md", "1"), ("b.md", "2")].map(|(n, t)| (n.to_owned(), t.to_owned())).into();
        let tree = Tree::of(&[("docs/reference/a.md", "0"), ("docs/reference/c/d.md", "3"), ("docs/other.md", "")]);
        let said = check(&tree, &pages).join("\n");
        for part in ["reference/a.md: stale", "reference/b.md: missing", "reference/c/d.md: surplus"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert_eq!(said.lines().count(), 3, "{said}");
    }
}
