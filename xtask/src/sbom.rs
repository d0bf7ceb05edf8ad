//! What the program is made of: every package that is built into it for one target, or runs while it is built, as CycloneDX
//! 1.5 JSON (ECMA-424; <https://cyclonedx.org/docs/1.5/json/>).
//!
//! Nothing in it depends on when or where it was made, so that the same lock file gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::tree::Tree;

/// The package that is shipped.
const PROGRAM: &str = "lowlat";

/// The document for a target triple, one line at its end.
pub(crate) fn document(tree: &Tree, target: &str) -> Result<String> {
    let out = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .current_dir(&tree.root)
        .output()
        .context("start cargo metadata")?;
    ensure!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr).trim());
    let metadata: Value = serde_json::from_slice(&out.stdout).context("cargo metadata")?;
    let lock = tree.text("Cargo.lock").context("there is no Cargo.lock")?;
    let made = make(&metadata, &checksums(lock)?, target)?;
    serde_json::to_string_pretty(&made).context("write it")
}

/// `name version` of each package of a registry, and the SHA-256 of its archive.
fn checksums(lock: &str) -> Result<BTreeMap<String, String>> {
    let table: toml::Table = lock.parse().context("Cargo.lock")?;
    let all = table.get("package").and_then(toml::Value::as_array).context("Cargo.lock names no packages")?;
    let of = |p: &toml::Value, key: &str| p.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let one = |p: &toml::Value| Some((format!("{} {}", of(p, "name")?, of(p, "version")?), of(p, "checksum")?));
    Ok(all.iter().filter_map(one).collect())
}

/// How a package gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// It runs while the program is built: a build script's dependency or a macro.
    Build,
    /// It is linked into the program.
    Linked,
}

fn make(metadata: &Value, checksums: &BTreeMap<String, String>, target: &str) -> Result<Value> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?
        .iter()
        .filter_map(|p| Some((p["id"].as_str()?, p)))
        .collect();
    let root = packages.iter().find(|(_, p)| p["name"] == PROGRAM).context("the program is not a package")?.0;
    let edges = edges(metadata, &packages)?;
    let parts = reach(root, &edges);
    let reference = |id: &str| packages.get(id).map(|p| purl(p)).unwrap_or_default();
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for (id, part) in &parts {
        let package = packages.get(id).with_context(|| format!("{id} is not a package"))?;
        if id != root {
            components.push(component(package, *part, checksums)?);
        }
        let needs: BTreeSet<String> = edges
            .get(id)
            .into_iter()
            .flatten()
            .filter(|(to, _)| parts.contains_key(to))
            .map(|(to, _)| reference(to))
            .collect();
        dependencies.push(json!({ "ref": purl(package), "dependsOn": needs }));
    }
    let by = |key: &'static str| move |v: &Value| v[key].as_str().unwrap_or_default().to_owned();
    components.sort_by_key(by("bom-ref"));
    dependencies.sort_by_key(by("ref"));
    let mut program = component(packages[root], Part::Linked, checksums)?;
    program["type"] = json!("application");
    program["properties"] = json!([{ "name": "cargo:target", "value": target }]);
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": program },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// From each package to what it needs to be built for the target, tests left out.
fn edges<'a>(
    metadata: &'a Value,
    packages: &BTreeMap<&str, &Value>,
) -> Result<BTreeMap<&'a str, Vec<(&'a str, Part)>>> {
    let is_macro = |id: &str| {
        let targets = packages.get(id).and_then(|p| p["targets"].as_array());
        targets.into_iter().flatten().any(|t| t["kind"].as_array().is_some_and(|k| k.iter().any(|k| k == "proc-macro")))
    };
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves nothing")?;
    let mut edges: BTreeMap<&str, Vec<(&str, Part)>> = BTreeMap::new();
    for node in nodes {
        let Some(from) = node["id"].as_str() else { continue };
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let Some(to) = dependency["pkg"].as_str() else { continue };
            let kinds: Vec<Option<&str>> =
                dependency["dep_kinds"].as_array().into_iter().flatten().map(|k| k["kind"].as_str()).collect();
            let part = if kinds.contains(&None) && !is_macro(to) {
                Part::Linked
            } else if kinds.iter().any(|k| *k != Some("dev")) {
                Part::Build
            } else {
                continue;
            };
            edges.entry(from).or_default().push((to, part));
        }
    }
    Ok(edges)
}

/// Everything that the program needs; what both is linked and runs while building counts as linked.
fn reach<'a>(root: &'a str, edges: &BTreeMap<&'a str, Vec<(&'a str, Part)>>) -> BTreeMap<&'a str, Part> {
    let mut found = BTreeMap::new();
    let mut open = vec![(root, Part::Linked)];
    while let Some((id, part)) = open.pop() {
        if found.get(id).is_some_and(|had| *had >= part) {
            continue;
        }
        found.insert(id, part);
        // What a macro or a build script needs runs while building, too.
        open.extend(edges.get(id).into_iter().flatten().map(|(to, next)| (*to, part.min(*next))));
    }
    found
}

fn component(package: &Value, part: Part, checksums: &BTreeMap<String, String>) -> Result<Value> {
    let text = |key: &str| package[key].as_str().with_context(|| format!("a package without {key}"));
    let (name, version) = (text("name")?, text("version")?);
    let licence = text("license").with_context(|| format!("{name} {version}"))?.replace('/', " OR ");
    let mut made = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
        "scope": if part == Part::Linked { "required" } else { "excluded" },
        "licenses": [{ "expression": licence }],
    });
    if package["source"].is_string() {
        let sum =
            checksums.get(&format!("{name} {version}")).with_context(|| format!("{name} {version} is not locked"))?;
        made["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    Ok(made)
}

/// <https://github.com/package-url/purl-spec/blob/main/types-doc/cargo-definition.md>; `+` of a version is escaped.
fn purl(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version").replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "x86_64-unknown-linux-gnu";

    fn package(name: &str, more: &Value) -> Value {
        let mut made = json!({
            "id": name, "name": name, "version": "1.0.0+x", "license": "MIT/Apache-2.0", "source": "registry",
            "targets": [{ "kind": ["lib"] }],
        });
        for (key, value) in more.as_object().unwrap() {
            made[key] = value.clone();
        }
        made
    }

    fn node(from: &str, needs: &[(&str, Option<&str>)]) -> Value {
        let needs: Vec<Value> =
            needs.iter().map(|(to, kind)| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] })).collect();
        json!({ "id": from, "deps": needs })
    }

    #[test]
    fn what_is_linked_what_only_builds_and_what_only_tests_are_told_apart() {
        let metadata = json!({
            "packages": [
                package("lowlat", &json!({ "source": null })), package("linked", &json!({})), package("both", &json!({})),
                package("macro", &json!({ "targets": [{ "kind": ["proc-macro"] }] })), package("parser", &json!({})),
                package("script", &json!({})), package("tester", &json!({})),
            ],
            "resolve": { "nodes": [
                node("lowlat", &[("linked", None), ("tester", Some("dev")), ("macro", None)]),
                node("linked", &[("script", Some("build")), ("both", None)]),
                node("macro", &[("parser", None), ("both", None)]),
            ]},
        });
        let sums = ["linked", "both", "macro", "parser", "script"].map(|n| (format!("{n} 1.0.0+x"), "0".repeat(64)));
        let made = make(&metadata, &sums.clone().into(), TARGET).unwrap();
        let scopes: Vec<(&str, &str)> = made["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["name"].as_str().unwrap(), c["scope"].as_str().unwrap()))
            .collect();
        let wanted = [
            ("both", "required"),
            ("linked", "required"),
            ("macro", "excluded"),
            ("parser", "excluded"),
            ("script", "excluded"),
        ];
        assert_eq!(scopes, wanted);
        assert_eq!(made["components"][0]["purl"], "pkg:cargo/both@1.0.0%2Bx");
        assert_eq!(made["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        // A package of a registry that the lock file does not know is not to be reported without its checksum.
        let lacking = sums.into_iter().skip(1).collect();
        assert!(make(&metadata, &lacking, TARGET).unwrap_err().to_string().contains("linked 1.0.0+x is not locked"));
    }

    #[test]
    fn the_program_s_own_is_whole_and_the_same_twice() {
        let tree = Tree::load().unwrap();
        let text = document(&tree, TARGET).unwrap();
        assert_eq!(text, document(&tree, TARGET).unwrap());
        let made: Value = serde_json::from_str(&text).unwrap();
        let components = made["components"].as_array().unwrap();
        let of = |c: &Value, key: &str| c[key].as_str().unwrap().to_owned();
        let names: Vec<String> = components.iter().map(|c| of(c, "name")).collect();
        for linked in ["lowlat-model", "clap", "libc"] {
            assert!(names.iter().any(|n| n == linked), "{linked} is not in {names:?}");
        }
        for no_part in ["proptest", "lowlat-testkit", "xtask", "clap_mangen"] {
            assert!(!names.iter().any(|n| n == no_part), "{no_part} is in {names:?}");
        }
        let mut refs: BTreeSet<String> = components.iter().map(|c| of(c, "bom-ref")).collect();
        assert_eq!(refs.len(), components.len(), "two have one name");
        refs.insert(of(&made["metadata"]["component"], "bom-ref"));
        let dependencies = made["dependencies"].as_array().unwrap();
        assert_eq!(dependencies.iter().map(|d| of(d, "ref")).collect::<BTreeSet<_>>(), refs);
        for to in dependencies.iter().flat_map(|d| d["dependsOn"].as_array().unwrap()) {
            assert!(refs.contains(to.as_str().unwrap()), "{to} is not a component");
        }
        for c in components.iter().filter(|c| !of(c, "name").starts_with("lowlat-")) {
            assert_eq!(c["hashes"][0]["content"].as_str().unwrap().len(), 64, "{c}");
        }
    }
    /// The schemas by the names under which they refer to each other.
    struct Stored;

    impl jsonschema::Retrieve for Stored {
        fn retrieve(&self, uri: &jsonschema::Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
            let name = uri.as_str().rsplit('/').next().unwrap_or_default();
            Ok(schema(name))
        }
    }

    fn schema(name: &str) -> Value {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/cyclonedx").join(name);
        serde_json::from_slice(&std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))).unwrap()
    }

    #[test]
    fn it_is_what_the_schema_of_cyclonedx_says() {
        let validator = jsonschema::options().with_retriever(Stored).build(&schema("bom-1.5.schema.json")).unwrap();
        let text = document(&Tree::load().unwrap(), TARGET).unwrap();
        let mut made: Value = serde_json::from_str(&text).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&made).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        // A licence that SPDX does not know, and a component without a name.
        made["components"][0]["licenses"] = json!([{ "license": { "id": "no such licence" } }]);
        if let Some(component) = made["components"][1].as_object_mut() {
            component.remove("name");
        }
        assert_eq!(validator.iter_errors(&made).count(), 2);
    }
}
