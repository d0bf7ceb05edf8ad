//! Which crate may import which: the normal dependencies of every manifest against a table.
//!
//! The table is exact, so it always says what is true. [`LAWS`] are what the table itself may never come to say.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::Tree;

/// Manifest folder, and the workspace crates (without `lowlat-`) that it imports.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("os", &[]),
    ("netlink", &["os"]),
    ("sys", &["model", "netlink", "os"]),
    // The kinds of settings: they read through the reading door and give each write as data. Without netlink they send
    // nothing.
    ("settings", &["model", "sys"]),
    // The writing door performs what a kind describes, and shares the reading door's text forms: hexadecimal, interface
    // and interrupt names.
    ("sysmut", &["model", "netlink", "os", "settings", "sys"]),
    ("collect", &["model", "sys"]),
    ("knobs", &["model", "settings", "sys"]),
    // Who else sets a setting: it reads as the kinds do, and decides nothing.
    ("owners", &["model", "settings", "sys"]),
    ("rules", &["model"]),
    ("plan", &["model"]),
    ("verdict", &["model"]),
    ("assess", &["model"]),
    ("families", &["model"]),
    ("report", &["model"]),
    ("trace", &["model"]),
    ("watch", &["model"]),
    ("shape", &["model"]),
    ("apply", &["knobs", "model", "os", "owners", "settings", "sys", "sysmut"]),
    ("transport", &["model", "os"]),
    ("transport-uring", &["model", "transport"]),
    ("transport-xdp", &["model", "netlink", "os", "transport"]),
    // The way and the headers of a flow are those of the engine next to it.
    ("transport-dpdk", &["netlink", "transport", "transport-xdp"]),
    ("peers", &["model", "os", "transport", "transport-uring"]),
    ("measure", &["model", "os", "peers", "transport"]),
    // It names causes: interrupts and idle states, read through the reading door.
    ("noise", &["measure", "model", "sys", "transport"]),
    ("samplelog", &["measure", "model"]),
    ("lab", &["netlink", "os"]),
    // The loop carries values between the stages it alternates, as the command line does for the others.
    ("tune", &["apply", "model", "sys", "verdict"]),
    ("testkit", &["model", "sys"]),
    (
        "live",
        &[
            "apply",
            "assess",
            "knobs",
            "measure",
            "model",
            "os",
            "peers",
            "plan",
            "collect",
            "rules",
            "samplelog",
            "shape",
            "sys",
            "transport",
            "transport-uring",
            "transport-xdp",
            "transport-dpdk",
            "trace",
            "tune",
            "verdict",
            "watch",
        ],
    ),
    // Projects to begin a program with: text.
    ("starters", &[]),
    // The main job on the lab.
    ("demo", &["collect", "lab", "live", "model", "peers", "sys", "transport", "tune"]),
    // The pages of every unit of the catalogue, by name and by words.
    ("reference", &["collect", "families", "knobs", "live", "model", "rules"]),
    // What the command line prints and asks.
    ("terminal", &["knobs", "live", "model", "report", "tune"]),
    (
        "cli",
        &[
            "apply",
            "knobs",
            "demo",
            "live",
            "measure",
            "model",
            "noise",
            "peers",
            "plan",
            "collect",
            "reference",
            "report",
            "rules",
            "samplelog",
            "starters",
            "sys",
            "terminal",
            "transport",
            "transport-xdp",
            "tune",
            "verdict",
        ],
    ),
    (
        "xtask",
        &[
            "families",
            "knobs",
            "model",
            "owners",
            "peers",
            "collect",
            "rules",
            "settings",
            "transport",
            "transport-uring",
            "transport-xdp",
            "transport-dpdk",
        ],
    ),
];

/// Crates that compute on stored values: they import the data and nothing else, so that each replays from a file.
const PURE: &[&str] = &["rules", "plan", "verdict", "assess", "families", "report", "trace", "watch", "shape"];

/// Crates that alone know many others.
const WIRING: &[&str] = &["cli", "demo", "live", "reference", "terminal", "tune", "xtask"];

/// Stages: none imports another, since the command line passes them stored values.
const STAGES: &[&str] = &["collect", "rules", "plan", "apply", "measure", "verdict", "assess", "report"];

/// Parts of a stage that are crates of their own, next to the stage they belong to.
const PARTS: &[(&str, &str)] = &[("noise", "measure"), ("samplelog", "measure")];

/// A law: a sentence, and whether the arrow `from → to` breaks it.
type Law = (&'static str, fn(&str, &str) -> bool);

/// What no arrow may be, whatever the table says.
const LAWS: &[Law] = &[
    ("a pure stage imports the data alone", |from, to| PURE.contains(&from) && to != "model"),
    ("only apply obtains the writing door", |from, to| to == "sysmut" && from != "apply"),
    ("a kind of setting describes its write and sends nothing", |from, to| from == "settings" && to == "netlink"),
    ("stages do not import each other", |from, to| {
        STAGES.contains(&to) && !WIRING.contains(&from) && !PARTS.contains(&(from, to))
    }),
    ("measure names no engine of its own", |from, to| from == "measure" && to.starts_with("transport-")),
    ("fakes stay in tests", |_, to| to == "testkit"),
    ("the lab is the demo's and the tests'", |from, to| to == "lab" && from != "demo"),
    ("nothing imports the command line", |_, to| to == "cli"),
];

/// The normal dependencies of a manifest, also those under `[target.*]` and `[build-dependencies]`.
fn imports(manifest: &str) -> Result<BTreeSet<String>, String> {
    let manifest: toml::Table = manifest.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = std::iter::once(&manifest)
        .chain(targets.into_iter().flat_map(|t| t.values().filter_map(toml::Value::as_table)));
    let named = tables
        .flat_map(|t| ["dependencies", "build-dependencies"].map(|kind| t.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|t| t.keys());
    Ok(named
        .filter_map(|name| if name == "lowlat" { Some("cli") } else { name.strip_prefix("lowlat-") })
        .map(str::to_owned)
        .collect())
}

/// Each manifest against the table, and the table against the laws.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let table: BTreeMap<&str, BTreeSet<String>> =
        ARROWS.iter().map(|(from, to)| (*from, to.iter().map(|t| (*t).to_owned()).collect())).collect();
    // The fuzz targets are tests in a workspace of their own: nothing can import them, and they reach what tests reach.
    for (path, text) in tree.files(|p| p.ends_with("/Cargo.toml") && p != "fuzz/Cargo.toml") {
        let folder = path.strip_suffix("/Cargo.toml").unwrap_or_default();
        let name = folder.strip_prefix("crates/").unwrap_or(folder);
        let imports = match imports(text) {
            Ok(imports) => imports,
            Err(e) => {
                wrong.push(format!("{path}: {e}"));
                continue;
            }
        };
        for to in &imports {
            for (law, _) in LAWS.iter().filter(|(_, breaks)| breaks(name, to)) {
                wrong.push(format!("{path}: {name} → {to}: {law}"));
            }
        }
        match table.get(name) {
            None => wrong.push(format!("{path}: the crate is not in the table of xtask/src/tidy/arrows.rs")),
            Some(may) => {
                for to in imports.difference(may) {
                    wrong.push(format!("{path}: {name} → {to} is not in the table of xtask/src/tidy/arrows.rs"));
                }
                for to in may.difference(&imports) {
                    wrong.push(format!("{path}: {name} → {to} is in the table and no longer needed: take it out"));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    fn adding(folder: &str, dependency: &str) -> impl Fn(&Tree) -> Tree {
        let path = format!("crates/{folder}/Cargo.toml");
        let line = format!("[dependencies]\n{dependency}.workspace = true");
        move |tree| tree.with(&path, &tree.text(&path).unwrap().replacen("[dependencies]", &line, 1))
    }

    #[test]
    fn each_forbidden_arrow_is_refused() {
        for (from, to, law) in [
            ("rules", "lowlat-sys", "the data alone"),
            ("cli", "lowlat-sysmut", "the writing door"),
            ("settings", "lowlat-netlink", "sends nothing"),
            ("knobs", "lowlat-rules", "each other"),
            ("measure", "lowlat-transport-xdp", "no engine"),
            ("collect", "lowlat-testkit", "fakes"),
            ("measure", "lowlat-lab", "the demo's"),
            ("sys", "lowlat", "the command line"),
            ("sys", "lowlat-knobs", "not in the table"),
        ] {
            proves(check, adding(from, to), law);
        }
    }

    #[test]
    fn an_arrow_that_hides_or_is_gone_and_a_new_crate_are_named() {
        let hidden = "[target.'cfg(unix)'.dependencies]\nlowlat-sys.workspace = true\n[dependencies]\nlowlat-model = 1";
        proves(check, |t| t.with("crates/plan/Cargo.toml", hidden), "plan → sys");
        proves(check, |t| t.with("crates/plan/Cargo.toml", "[package]"), "no longer needed");
        proves(check, |t| t.with("crates/new/Cargo.toml", "[package]"), "not in the table");
    }
}
