//! The walks of CONTRIBUTING.md against what the scaffolds do.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::tree::Tree;

/// Words of a walk that stand for a name, and the name.
type Words = [(&'static str, &'static str)];

/// For each kind a name that no unit has, and what the walk's words stand for then.
const NAMES: &[(&str, &str, &Words)] = &[
    ("rule", "fresh-fault", &[("NAME", "fresh_fault")]),
    ("knob", "nic.fresh-knob", &[("FAMILY", "nic"), ("NAME", "fresh_knob")]),
    ("knob", "boot.fresh", &[("FAMILY", "boot"), ("NAME", "fresh")]),
    ("knob", "sysctl.net.core.fresh_knob", &[("FAMILY", "sysctl"), ("NAME", "fresh_knob")]),
    ("collector", "fresh_facts", &[("NAME", "fresh_facts")]),
    ("kind", "fresh-kind", &[("NAME", "fresh_kind")]),
    ("peer", "fresh", &[("NAME", "fresh")]),
    ("engine", "fresh-engine", &[("NAME", "fresh_engine")]),
    ("command", "fresh", &[("NAME", "fresh")]),
    ("fuzz", "fresh_bytes", &[("NAME", "fresh_bytes")]),
    ("fault", "fresh-fault", &[("NAME", "fresh_fault")]),
    ("family", "fresh-nic", &[("NAME", "fresh_nic")]),
];

/// Where paths of the repository begin.
const ROOTS: &[&str] = &["crates/", "xtask/", "docs/", "fixtures/", "fuzz/", "scripts/", "README.md", "CHANGELOG.md"];

fn tree() -> &'static Tree {
    static TREE: std::sync::OnceLock<Tree> = std::sync::OnceLock::new();
    TREE.get_or_init(|| Tree::load().unwrap())
}

fn contributing() -> &'static str {
    tree().text("CONTRIBUTING.md").unwrap()
}

/// The numbered steps under a heading, each as one line.
fn steps(heading: &str) -> Vec<String> {
    let title = format!("\n### {heading}\n");
    let (_, rest) = contributing().split_once(&title).unwrap_or_else(|| panic!("no walk {heading:?}"));
    let walk = rest.split("\n#").next().unwrap_or_default();
    let mut steps: Vec<String> = Vec::new();
    for line in walk.lines() {
        let numbered = line.split_once(". ").filter(|(n, _)| n.bytes().all(|b| b.is_ascii_digit()));
        match (numbered, steps.last_mut()) {
            (Some((_, step)), _) => steps.push(step.to_owned()),
            (None, Some(step)) if line.starts_with("   ") => *step = format!("{step} {}", line.trim()),
            _ => {}
        }
    }
    steps
}

/// Paths in back-ticks.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|c| !c.contains(' ') && ROOTS.iter().any(|root| c.starts_with(root)))
}

/// What the walk says that every unit of this name changes. A step that begins with *If* is for some alone; that it is
/// for sysctls the name shows.
fn said(heading: &str, given: &str, words: &Words) -> BTreeSet<String> {
    let sysctl = given.starts_with("sysctl.");
    let all = steps(heading);
    let whose = |s: &&String| !s.starts_with("If ") || (sysctl && s.starts_with("If it is a sysctl"));
    let with_names = |path: &str| words.iter().fold(path.to_owned(), |path, (word, name)| path.replace(word, name));
    all.iter().filter(whose).flat_map(|s| paths(s)).map(with_names).collect()
}

/// A folder with the repository's files under these paths.
fn copy(files: &BTreeSet<String>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in files.iter().map(String::as_str).chain(["rustfmt.toml"]) {
        if let Some(text) = tree().text(path) {
            let there = folder.path().join(path);
            std::fs::create_dir_all(there.parent().unwrap()).unwrap();
            std::fs::write(there, text).unwrap();
        }
    }
    // The folder that a new file goes into is there in any case.
    for path in files {
        std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
    }
    folder
}

/// Every file below a folder with its text.
fn all(folder: &Path) -> BTreeMap<String, String> {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut files = BTreeMap::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else {
                let path = entry.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(path, std::fs::read_to_string(&entry).unwrap());
            }
        }
    }
    files
}

/// Either may drift: a file that the walk does not name is not there to be changed, or is one too many; one that the
/// scaffold leaves alone is one too few.
#[test]
fn a_walk_names_the_files_that_its_scaffold_touches() {
    for (kind, given, words) in NAMES {
        let walk = KINDS.iter().find(|k| k.name == *kind).unwrap().walk;
        let said = said(walk, given, words);
        let folder = copy(&said);
        let before = all(folder.path());
        run(folder.path(), kind, given).unwrap_or_else(|why| panic!("{walk}: {why}; the walk names {said:?}"));
        let after = all(folder.path());
        let touched: BTreeSet<String> =
            after.iter().filter(|(path, text)| before.get(*path) != Some(text)).map(|(path, _)| path.clone()).collect();
        assert_eq!(touched, said, "{walk} {given}: the scaffold touches the first, CONTRIBUTING.md names the second");
    }
    let tried: BTreeSet<&str> = NAMES.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(tried, KINDS.iter().map(|k| k.name).collect(), "a kind is not tried");
}

/// Every new file has a test or a page that is red, says what is to be filled in, and lies as rustfmt wants it.
#[test]
fn what_a_scaffold_makes_is_marked_and_formatted() {
    for (kind, given, words) in NAMES {
        let kind = KINDS.iter().find(|k| k.name == *kind).unwrap();
        let folder = copy(&said(kind.walk, given, words));
        let files = make(folder.path(), kind, given).unwrap();
        let all: Vec<&String> = files.iter().filter(|(path, _)| tree().text(path).is_none()).map(|(_, t)| t).collect();
        let new = all.iter().map(|text| text.as_str()).collect::<String>();
        assert!(new.matches(MARK).count() > 3, "{given}: {new}");
        let left = ["NewUnit", "NEW_UNIT", "new_unit", "new-unit", "new.unit", "new.key"];
        assert!(!left.iter().any(|word| files.values().any(|text| text.contains(word))), "{given}: {new}");
        // A page's sources and the tests of a file are what its crate's tests are red for.
        let red = files.values().any(|text| text.contains(&format!(", \"{MARK}: ")));
        assert!(red || new.contains(&format!("{MARK}: where each fact")), "{given}");
    }
    for (path, text) in tree().files(|path| path.starts_with("xtask/templates/") && crate::tree::is(path, "rs")) {
        assert_eq!(formatted(&tree().root, text).as_deref(), Ok(text), "{path} is not as rustfmt writes it");
    }
}

#[test]
fn a_name_that_is_bad_or_taken_is_one_line_and_changes_nothing() {
    let sources =
        tree().files(|path| path.starts_with("crates/") && crate::tree::is(path, "rs") || path.starts_with("fuzz/src"));
    let folder = copy(&sources.map(|(path, _)| path.to_owned()).chain(["README.md".to_owned()]).collect());
    let before = all(folder.path());
    for (kind, given, part) in [
        ("rule", "eee-active", "one of that name"),
        ("rule", "Eee", "dash"),
        ("rule", "tests", "crates/rules/src/tests.rs is there already"),
        ("rule", "seen", "type that the new file uses"),
        ("knob", "sysctl.net.core.busy_read", "one of that name"),
        ("knob", "sysctl.vm.busy_read", "busy_read.rs is there already"),
        ("knob", "nosuch.knob", "crates/knobs/src/nosuch/mod.rs"),
        ("collector", "cpus", "one of that name"),
        ("collector", "counters", "counters is there already"),
        ("collector", "window", "already"),
        ("kind", "ring", "already"),
        ("kind", "cpu-dma-latency", "already"),
        ("kind", "driver", "already"),
        ("kind", "file", "already"),
        ("peer", "irtt", "one of that name"),
        ("peer", "key", "key.rs is there already"),
        ("engine", "spin", "one of that name"),
        ("engine", "af-xdp", "already"),
        ("command", "noise", "noise.rs is there already"),
        ("command", "status", "already"),
        ("fuzz", "cmsg", "cmsg.rs is there already"),
        ("fuzz", "byte-stream", "underscore"),
        ("fault", "filter-chain", "filter_chain.rs is there already"),
        ("family", "igc", "one of that name"),
        ("family", "mlx5_core", "dash"),
        ("gadget", "x", "choose one of rule|knob"),
    ] {
        let why = run(folder.path(), kind, given).unwrap_err();
        assert!(why.contains(part) && !why.contains('\n'), "{kind} {given}: {why}");
    }
    assert!(all(folder.path()) == before, "a file was changed");
}

/// Paths without a placeholder, and the files to begin from.
#[test]
fn what_a_walk_names_is_there() {
    let open = |path: &&str| !path.contains(['*', '{', '}']) && !path.bytes().any(|b| b.is_ascii_uppercase());
    let mut lost: Vec<&str> =
        paths(contributing()).filter(open).filter(|p| !tree().has(p.trim_end_matches('/'))).collect();
    let code = contributing().split('`').skip(1).step_by(2);
    let short = code.filter(|c| crate::tree::is(c, "rs") && !ROOTS.iter().any(|root| c.starts_with(root)));
    lost.extend(short.filter(open).filter(|c| tree().files(|p| p.ends_with(&format!("/{c}"))).next().is_none()));
    assert!(lost.is_empty(), "CONTRIBUTING.md names what is not there: {lost:?}");
}

/// One of each kind, all in one copy of the repository, by the lints that every change has to pass: the libraries and
/// programs, and the tests that stand in the changed ones. The copy lies at one place and keeps what did not change, and
/// the dependencies are those that the repository's own check has compiled, so that this costs our own crates once.
#[test]
fn what_a_scaffold_makes_compiles() {
    let folder = tree().root.join("target/scaffolds");
    let before = if folder.exists() { all(&folder) } else { BTreeMap::new() };
    let scratch = copy(&tree().files(|_| true).map(|(path, _)| path.to_owned()).collect());
    for (kind, given, _) in NAMES {
        run(scratch.path(), kind, given).unwrap();
    }
    let mut after = all(scratch.path());
    // cargo names what it compiles by package, version and place within the workspace: with the version of the repository
    // the copy's libraries would replace the repository's own in the target directory that they share.
    let manifest = after.get_mut("Cargo.toml").unwrap();
    *manifest = manifest.replacen("\nversion = \"", "\nversion = \"0.0.0-scaffold.", 1);
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        std::fs::remove_file(folder.join(path)).unwrap();
    }
    for (path, text) in after.iter().filter(|(path, text)| before.get(*path) != Some(text)) {
        let there = folder.join(path);
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        std::fs::write(there, text).unwrap();
    }
    let changed: BTreeSet<&str> = after
        .iter()
        .filter(|(path, text)| tree().text(path) != Some(text))
        .filter_map(|(path, _)| path.strip_prefix("crates/")?.split('/').next())
        .collect();
    let of = |name: &&str| ["-p".to_owned(), format!("lowlat-{name}").replace("lowlat-cli", "lowlat")];
    let done = Command::new(env!("CARGO"))
        .args(["clippy", "--quiet", "--offline", "--profile", "test", "--lib", "--bins"])
        .args(changed.iter().flat_map(of))
        .args(["--", "-D", "warnings"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", tree().root.join("target"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // The fuzz targets are a workspace of their own with a C++ compiler; their file needs nothing but the language.
    let target = folder.join("fuzz/src/fresh_bytes.rs");
    let done = Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "-D", "warnings", "-o"])
        // Not /dev/null: rustc renames a file of its own to the output, and as root that replaces the device.
        .arg(scratch.path().join("fresh_bytes.rmeta"))
        .arg(target)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
