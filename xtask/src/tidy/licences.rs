//! Licences of every dependency against the list in deny.toml, where each has its reason.
//!
//! What is looked at is what a Linux build can pull in, tests included, as the lock file fixes it: lowlat is built for
//! nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::tree::Tree;

const LIST: &str = "deny.toml";

/// The licences allowed, and a line for each that has no reason next to it.
fn allowed(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
    let list = table.get("licenses").and_then(|l| l.get("allow")).and_then(toml::Value::as_array);
    let names: Vec<String> =
        list.ok_or("no licenses.allow")?.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    let unexplained = names
        .iter()
        .filter(|n| {
            !text
                .lines()
                .any(|l| l.trim().strip_prefix(&format!("\"{n}\",")).is_some_and(|r| r.trim().starts_with("# ")))
        })
        .map(|n| format!("{LIST}: {n} is allowed without a reason next to it"))
        .collect();
    Ok((names, unexplained))
}

/// Whether an SPDX expression can be satisfied; `/` is the `OR` of old manifests.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = either(&words, &mut at, allowed);
    answer && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut any = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        any |= both(words, at, allowed);
    }
    any
}

fn both(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut all = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        all &= one(words, at, allowed);
    }
    all
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let answer = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return answer && closed;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).copied().unwrap_or_default());
        *at += 2;
    }
    allowed.contains(&name)
}

/// Foreign packages, `name version` to licence.
fn packages(tree: &Tree) -> Result<BTreeMap<String, Option<String>>, String> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let out = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &platform])
        .current_dir(&tree.root)
        .output()
        .map_err(|e| format!("start cargo metadata: {e}"))?;
    if !out.status.success() {
        return Err(format!(
            "cargo metadata: {}; run `cargo fetch --locked`",
            String::from_utf8_lossy(&out.stderr).trim()
        ));
    }
    let metadata: Value = serde_json::from_slice(&out.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let all = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    // A package whose optional feature nobody turns on is listed and never built: no other package depends on it.
    let needed: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .ok_or("cargo metadata resolves nothing")?
        .iter()
        .flat_map(|node| node["deps"].as_array().into_iter().flatten())
        .filter_map(|dependency| dependency["pkg"].as_str())
        .collect();
    let text = |v: &Value| v.as_str().map(str::to_owned);
    Ok(all
        .iter()
        .filter(|p| !p["source"].is_null() && p["id"].as_str().is_some_and(|id| needed.contains(id)))
        .map(|p| {
            (
                format!("{} {}", text(&p["name"]).unwrap_or_default(), text(&p["version"]).unwrap_or_default()),
                text(&p["license"]),
            )
        })
        .collect())
}

/// Packages against the list; a name in the list that no package needs is named too.
fn compare(packages: &BTreeMap<String, Option<String>>, allowed: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, licence) in packages {
        match licence {
            None => wrong.push(format!("{name}: its manifest names no licence")),
            Some(l) if !satisfied(l, allowed) => wrong.push(format!("{name}: {l} is not allowed by {LIST}")),
            Some(_) => {}
        }
    }
    for name in allowed {
        let rest: Vec<String> = allowed.iter().filter(|n| *n != name).cloned().collect();
        if packages.values().flatten().all(|l| satisfied(l, &rest)) {
            wrong.push(format!("{LIST}: {name} is allowed and nothing needs it: take it out"));
        }
    }
    wrong
}

/// The whole check.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(list) = tree.text(LIST) else { return vec![format!("{LIST}: is not there")] };
    let (allowed, mut wrong) = match allowed(list) {
        Ok(both) => both,
        Err(e) => return vec![format!("{LIST}: {e}")],
    };
    match packages(tree) {
        Ok(packages) if packages.is_empty() => wrong.push("cargo metadata names no dependency at all".to_owned()),
        Ok(packages) => wrong.extend(compare(&packages, &allowed)),
        Err(e) => wrong.push(e),
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    #[test]
    fn expressions_are_read_as_spdx_says() {
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for (expression, want) in [
            ("MIT", true),
            ("GPL-2.0-only", false),
            ("GPL-2.0-only OR MIT", true),
            ("MIT AND GPL-2.0-only", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("MIT OR Apache-2.0 AND GPL-2.0-only", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("Apache-2.0/MIT", true),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(satisfied(expression, &allowed), want, "{expression}");
        }
    }

    #[test]
    fn a_forbidden_licence_a_missing_one_and_a_needless_leave_are_named() {
        let packages = [("a 1", Some("GPL-3.0-only")), ("b 1", None), ("c 1", Some("MIT"))];
        let packages = packages.map(|(n, l)| (n.to_owned(), l.map(str::to_owned))).into();
        let said = compare(&packages, &["MIT".to_owned()]);
        assert_eq!(said, ["a 1: GPL-3.0-only is not allowed by deny.toml", "b 1: its manifest names no licence"]);
        let packages = [("c 1".to_owned(), Some("MIT".to_owned()))].into();
        let said = compare(&packages, &["MIT".to_owned(), "Zlib".to_owned()]);
        assert_eq!(said, ["deny.toml: Zlib is allowed and nothing needs it: take it out"]);
    }

    #[test]
    fn the_real_dependencies_are_looked_at() {
        proves(check, |t| t.with(LIST, "[licenses]\nallow = [\n\"MIT\", # a\n]\n"), "is not allowed");
        proves(check, |t| t.with(LIST, "[licenses]\nallow = [\n\"MIT\",\n]\n"), "without a reason");
    }
}
