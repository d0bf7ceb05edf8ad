//! What a page or a comment refers to is there: relative links of every Markdown file, and every document and path of the
//! repository that is named.

use crate::tree::{Tree, is};

/// The targets of `[text](target)` outside code, with their line.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Odd pieces between back-ticks are code.
        let mut code = false;
        let mut at = 0;
        while let Some(next) = line[at..].find(['`', ']']) {
            at += next + 1;
            if line.as_bytes()[at - 1] == b'`' {
                code = !code;
            } else if !code
                && let Some(rest) = line[at..].strip_prefix('(')
                && let Some(end) = rest.find(')')
            {
                found.push((number + 1, &rest[..end]));
            }
        }
    }
    found
}

/// `target` as seen from the folder of `path`; `None` if it leaves the repository.
fn resolve(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Folders at the top whose files are named by their paths.
const FOLDERS: &[&str] = &["bench/", "crates/", "docs/", "fixtures/", "fuzz/", "scripts/", "xtask/"];

/// What a line says to a reader: all of it in a page; in code what follows a comment marker.
fn prose<'a>(path: &str, line: &'a str) -> &'a str {
    let marker = match path {
        _ if is(path, "md") => return line,
        _ if is(path, "rs") => "//",
        _ => "#",
    };
    line.find(marker).map_or("", |at| &line[at..])
}

/// Documents (`*.md`) and paths below [`FOLDERS`] that a line names. Not those of an address, nor patterns: `NAME`,
/// `*`, `{a,b}`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let part_of = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '*' | '{' | '}' | '…');
    line.split(move |c: char| !part_of(c)).map(|w| w.trim_end_matches(['.', ':', '/', '…'])).filter(|word| {
        let stem = word.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
        let placeholder = |part: &str| part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let wild = word.contains(['*', '{', '}', '…', ':']);
        let pattern = word.split(['/', '.', '-']).any(placeholder);
        // A page's own name may be in capitals: README.md.
        let page = is(word, "md") && !stem.is_empty() && !(pattern && word.contains('/'));
        let of_ours = FOLDERS.iter().any(|f| word.starts_with(f) && word.len() > f.len()) && !pattern;
        !wild && (page || of_ours)
    })
}

/// Documents and paths that are named and not there; tests plant some.
fn lost(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let read = |p: &str| p != "CHANGELOG.md" && !p.starts_with("fixtures/") && !p.starts_with("fuzz/corpus/");
    let known =
        |p: &str| is(p, "md") || is(p, "rs") || is(p, "toml") || p.starts_with("bench/") || p.starts_with("scripts/");
    for (path, text) in tree.files(|p| read(p) && known(p)) {
        // Those are links, and named as such.
        let links: Vec<&str> =
            if is(path, "md") { targets(text).into_iter().map(|(_, to)| to).collect() } else { Vec::new() };
        for (number, line) in crate::tree::product(text).lines().enumerate() {
            for word in named(prose(path, line)).filter(|word| !links.contains(word)) {
                let there = tree.has(word) || resolve(path, word).is_some_and(|at| tree.has(&at));
                let page = !word.contains('/') && tree.files(|p| p.ends_with(&format!("/{word}"))).next().is_some();
                if !there && !page {
                    wrong.push(format!("{path}:{}: {word} is not in the repository", number + 1));
                }
            }
        }
    }
    wrong
}

/// Links that lead nowhere, and what is named and not there.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree.files(|p| is(p, "md")) {
        for (line, target) in targets(text) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !resolve(path, file).is_some_and(|at| tree.has(&at)) {
                wrong.push(format!("{path}:{line}: the link to {target} leads nowhere"));
            }
        }
    }
    wrong.extend(lost(tree));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_named_and_live_ones_are_not() {
        let text = "[a](b.md#x) [c](../LICENSE) [d](https://x/y) [e](#f) `[g](h)` [i](sub)\n```\n[j](k)\n```\n[l](../../m) [`n`](o.md)";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("LICENSE", ""), ("docs/sub/x", "")]);
        assert_eq!(
            check(&tree),
            ["docs/a.md:5: the link to ../../m leads nowhere", "docs/a.md:5: the link to o.md leads nowhere"]
        );
    }

    #[test]
    fn what_is_named_and_not_there_is_found_in_pages_and_comments() {
        let found =
            |path: &str, text: &str| check(&Tree::of(&[(path, text), ("docs/a/b.md", ""), ("crates/x/y.rs", "")]));
        for text in ["see docs/b.md", "the row of plan.md,", "`crates/x/z.rs`:", "docs/a/c.md."] {
            assert_eq!(found("p.md", text).len(), 1, "{text}");
            assert_eq!(found("crates/p.rs", &format!("let x = 1; // {text}")).len(), 1, "{text}");
            assert_eq!(found("scripts/p", &format!("# {text}")).len(), 1, "{text}");
        }
        let fine =
            "docs/a/b.md, b.md, crates/x/y.rs; crates/NAME.rs crates/*/z.rs https://x/docs/q.md fixtures/{a,b}/c docs/";
        assert_eq!(found("p.md", fine), [""; 0]);
        assert_eq!(found("crates/p.rs", "let x = \"docs/b.md\";"), [""; 0]);
    }
}
