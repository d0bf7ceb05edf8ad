//! No two public types of the library crates have one name, so that a name in a signature or a message says which it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Tree, is, product};

/// Names that two types may share, with the reason. A name belongs here only if both are best known by it.
const SHARED: &[(&str, &str)] = &[];

/// The modules of a crate that are public from its root, by file.
fn public_files<'a>(texts: &BTreeMap<&'a str, &'a str>, root: &'a str) -> BTreeSet<&'a str> {
    let mut public = BTreeSet::new();
    let mut open = vec![root];
    while let Some(file) = open.pop() {
        if !public.insert(file) {
            continue;
        }
        let folder = match file.strip_suffix("/lib.rs").or(file.strip_suffix("/mod.rs")) {
            Some(folder) => folder,
            None => file.trim_end_matches(".rs"),
        };
        let names = texts[file].lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'));
        for name in names {
            let places = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
            open.extend(texts.keys().filter(|f| places.iter().any(|p| p == *f)));
        }
    }
    public
}

/// Words of the crate's `pub use` declarations.
fn reexported(text: &str) -> impl Iterator<Item = &str> {
    let uses = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    uses.flat_map(|u| u.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

/// Types declared at the top of a file.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type ", "pub union "];
    let names = text.lines().filter_map(move |l| kinds.iter().find_map(|kind| l.strip_prefix(kind)));
    names.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

/// Public types of the library crates, by name, each with the files that declare it.
fn types(tree: &Tree) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (root, _) in tree.files(|p| p.starts_with("crates/") && p.ends_with("/src/lib.rs")) {
        let folder = root.trim_end_matches("lib.rs");
        let inside = tree.files(|p| p.starts_with(folder) && is(p, "rs"));
        let texts: BTreeMap<&str, &str> = inside.map(|(path, text)| (path, product(text))).collect();
        let public = public_files(&texts, root);
        let named: BTreeSet<&str> = texts.values().flat_map(|text| reexported(text)).collect();
        for (file, text) in &texts {
            for name in declared(text).filter(|name| public.contains(file) || named.contains(name)) {
                out.entry(name.to_owned()).or_default().push((*file).to_owned());
            }
        }
    }
    out
}

/// Names that several public types have.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let shared = |name: &str| SHARED.iter().any(|(s, _)| *s == name);
    let several = types(tree).into_iter().filter(|(name, files)| files.len() > 1 && !shared(name));
    several
        .map(|(name, files)| format!("{name}: {} public types of that name: {}", files.len(), files.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    #[test]
    fn a_second_type_of_a_name_is_named() {
        let text = "pub mod twice;\n\npub struct Plan;\n";
        proves(check, |tree| tree.with("crates/os/src/lib.rs", text), "Plan: 2 public types");
    }

    #[test]
    fn what_no_other_crate_sees_may_be_called_as_it_likes() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod hidden;\npub mod open;\npub struct A;\n"),
            ("crates/a/src/hidden.rs", "pub struct A;\npub(crate) struct B;\n"),
            ("crates/a/src/open.rs", "pub struct B;\n#[cfg(test)]\nmod tests {\npub struct A;\n}\n"),
        ]);
        assert!(check(&tree).is_empty());
        let shown = tree.with("crates/a/src/lib.rs", "mod hidden;\npub use hidden::A;\npub struct A;\n");
        assert_eq!(check(&shown).len(), 1);
    }
}
