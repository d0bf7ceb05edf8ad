//! Hosts of public reports, and variants of them: what an expert would answer is what the rules answer.
//!
//! A case (`fixtures/cases/NAME/`) is another stored host with a few files changed. `case.json` says which (`base`, one of
//! `fixtures/roots` or another case), what is left out of it (`removed`), and the right answer: lines that must be
//! there (`finds`), that must not (`never`), and the rule of the first finding (`first`).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lowlat_model::{Facts, Severity};
use lowlat_rules::{Input, Seen, check_all};
use lowlat_sys::Captured;

/// The goal the hosts are judged by.
const GOAL_NS: u64 = 50_000;

/// What is known of a case.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    base: String,
    iface: String,
    source: String,
    says: String,
    finds: Vec<String>,
    never: Vec<String>,
    #[serde(default)]
    first: Option<String>,
    #[serde(default)]
    removed: Vec<String>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn case(name: &str) -> Case {
    let at = fixtures().join("cases").join(name).join("case.json");
    serde_json::from_str(&fs::read_to_string(&at).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", at.display()))
}

/// Every file beneath a folder, by its path within.
fn files(dir: &Path, within: &Path, all: &mut BTreeMap<PathBuf, PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let within = within.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), &within, all);
        } else {
            all.insert(within, entry.path());
        }
    }
}

/// The files of a host: a root as it is stored, or a case over its base.
fn tree(name: &str) -> BTreeMap<PathBuf, PathBuf> {
    let dir = fixtures().join("cases").join(name);
    let mut all = BTreeMap::new();
    if !dir.is_dir() {
        files(&fixtures().join("roots").join(name), Path::new(""), &mut all);
        return all;
    }
    let case = case(name);
    all = tree(&case.base);
    for gone in &case.removed {
        let before = all.len();
        all.retain(|path, _| !path.starts_with(gone));
        assert!(all.len() < before, "{name} removes {gone}, which {} does not have", case.base);
    }
    files(&dir.join("root"), Path::new(""), &mut all);
    all
}

/// Lays them out where a captured tree can be read.
fn build(name: &str, to: &Path) {
    for (within, from) in tree(name) {
        let to = to.join(within);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // A second name of the file is quicker than a copy, where one file system holds both.
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn answer(facts: &Facts) -> (Seen, String) {
    let seen = check_all(&Input { facts, baseline: None, goal_ns: Some(GOAL_NS) });
    let mut lines = Vec::new();
    for f in &seen.findings {
        lines.push(format!("{:?} {}: {}", f.severity, f.rule, f.title));
        lines.extend(f.evidence.iter().map(|e| format!("    {e}")));
        lines.extend(f.remedy.settings.iter().map(|s| format!("    try {} on {}: {}", s.knob, s.target, s.value)));
    }
    lines.extend(seen.not_seen.iter().map(|n| format!("not seen: {}: {}", n.fact, n.why)));
    (seen, lines.join("\n"))
}

#[test]
fn every_case_is_answered_rightly() {
    let mut names: Vec<String> = fs::read_dir(fixtures().join("cases"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    assert!(names.len() >= 40, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let case = case(&name);
        assert!(!case.source.is_empty() && !case.says.is_empty(), "{name}");
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        build(&name, dir.path());
        let facts = lowlat_collect::gather(&Captured::open(dir.path()).unwrap(), Some(&case.iface), Some(1));
        let (seen, text) = answer(&facts);
        let mut say = |what: String| wrong.push(format!("{name} ({}): {what}\n{text}\n", case.says));
        for wanted in case.finds.iter().filter(|w| !text.contains(w.as_str())) {
            say(format!("does not say {wanted:?}"));
        }
        for unwanted in case.never.iter().filter(|u| text.contains(u.as_str())) {
            say(format!("says {unwanted:?}"));
        }
        let first = seen.findings.first().filter(|f| f.severity > Severity::Info).map(|f| f.rule.clone());
        if case.first.is_some() && first != case.first {
            say(format!("{first:?} stands first, not {:?}", case.first));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n\n{}", wrong.len(), wrong.join("\n"));
}
