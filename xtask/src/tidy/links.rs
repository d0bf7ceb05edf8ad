//! Relative links of every Markdown file lead to a file or folder of the repository.

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

/// Links that lead nowhere.
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
}
