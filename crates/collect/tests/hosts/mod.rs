//! Stored hosts, for the suites: a root as it is stored, or a case, which is another host with a few things changed.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)] // tests; not every suite needs all of it

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lowlat_model::{Facts, Severity};
use lowlat_rules::{Input, Seen, check_all};
use lowlat_sys::Captured;
use serde_json::Value;

/// The goal the hosts are judged by.
pub(crate) const GOAL_NS: u64 = 50_000;

/// What is known of a case.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) base: String,
    pub(crate) iface: String,
    pub(crate) source: String,
    pub(crate) says: String,
    pub(crate) finds: Vec<String>,
    pub(crate) never: Vec<String>,
    /// The rule of the first finding.
    #[serde(default)]
    pub(crate) first: Option<String>,
    /// An ordinary host of this kind: nothing at warning or above may be found.
    #[serde(default)]
    pub(crate) ordinary: Option<String>,
    /// Whoever set this ordinary host up wants latency: it is judged by the goal too. Others are asked without one, as
    /// their owners would ask.
    #[serde(default)]
    pub(crate) aims: bool,
    #[serde(default)]
    pub(crate) removed: Vec<String>,
    /// Path → text. `{0-3}` in a path stands for each of these numbers, and `{n}` in path and text for the number.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Reply or list → keys that are changed in it.
    #[serde(default)]
    pub(crate) replies: BTreeMap<String, Value>,
    /// File → what of it grows within the window. Counters are named as the facts name them: `TcpExt.ListenOverflows`,
    /// `pswpin`, `cpu0.steal`, `LOC.cpu2`; a column of `softnet_stat` is `cpu0.1`; a file with one number has ``.
    #[serde(default)]
    pub(crate) grows: BTreeMap<String, BTreeMap<String, u64>>,
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The names of a folder's folders, sorted.
pub(crate) fn folders(of: &str) -> Vec<String> {
    let entries = fs::read_dir(fixtures().join(of)).unwrap().map(|e| e.unwrap());
    let mut names: Vec<String> =
        entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn case(name: &str) -> Case {
    let at = fixtures().join("cases").join(name).join("case.json");
    serde_json::from_str(&fs::read_to_string(&at).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", at.display()))
}

/// Every file beneath a folder, by its path within.
pub(crate) fn files(dir: &Path, within: &Path, all: &mut BTreeMap<PathBuf, PathBuf>) {
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

/// Lays a host out where a captured tree can be read.
pub(crate) fn build(name: &str, to: &Path) {
    if !fixtures().join("cases").join(name).is_dir() {
        return lay(&fixtures().join("roots").join(name), to);
    }
    let case = case(name);
    build(&case.base, to);
    for gone in &case.removed {
        let at = to.join(gone);
        assert!(at.symlink_metadata().is_ok(), "{name} removes {gone}, which {} does not have", case.base);
        if at.is_dir() { fs::remove_dir_all(&at).unwrap() } else { fs::remove_file(&at).unwrap() }
    }
    let own = fixtures().join("cases").join(name).join("root");
    if own.is_dir() {
        lay(&own, to);
    }
    for (path, text) in &case.files {
        for (path, n) in each(path) {
            put(to, &path, &text.replace("{n}", &n));
        }
    }
    for (path, change) in &case.replies {
        let old = fs::read_to_string(to.join(path)).ok().and_then(|t| serde_json::from_str(&t).ok());
        let mut reply = old.unwrap_or_else(|| serde_json::json!({}));
        match (reply.as_object_mut(), change.as_object()) {
            (Some(reply), Some(change)) => reply.extend(change.clone()),
            _ => reply = change.clone(),
        }
        put(to, path, &reply.to_string());
    }
    for (path, counters) in &case.grows {
        for (path, _) in each(path) {
            let read = |at: &str| fs::read_to_string(to.join(at));
            let mut text =
                read(&format!("later/{path}")).or_else(|_| read(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
            for (counter, by) in counters {
                text = grown(&path, &text, counter, *by).unwrap_or_else(|| panic!("{name}: {path} has no {counter}"));
            }
            put(to, &format!("later/{path}"), &text);
        }
    }
}

/// `cpu{0-2}/x` → `cpu0/x`, `cpu1/x`, `cpu2/x`, each with its number.
fn each(path: &str) -> Vec<(String, String)> {
    let range = path.split_once('{').and_then(|(before, rest)| {
        let (range, after) = rest.split_once('}')?;
        let (from, to) = range.split_once('-')?;
        Some((before, from.parse::<u32>().ok()?..=to.parse::<u32>().ok()?, after))
    });
    match range {
        Some((before, range, after)) => {
            range.map(|n| (format!("{before}{n}{}", after.replace("{n}", &n.to_string())), n.to_string())).collect()
        }
        None => vec![(path.to_owned(), String::new())],
    }
}

/// The text with a counter that is larger by so much.
fn grown(path: &str, text: &str, counter: &str, by: u64) -> Option<String> {
    let more = |old: &str| old.parse::<u64>().ok().map(|n| (n + by).to_string());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // Changes one word of one line; the columns need not stay aligned.
    let mut change = |line: usize, word: usize, new: &dyn Fn(&str) -> Option<String>| -> Option<()> {
        let mut words: Vec<String> = lines[line].split_whitespace().map(str::to_owned).collect();
        let new = new(words.get(word)?)?;
        words[word] = new;
        lines[line] = words.join(" ");
        Some(())
    };
    let of = |start: &str| text.lines().position(|l| l.split_whitespace().next() == Some(start));
    let file = path.rsplit('/').next()?;
    match (file, counter.rsplit_once('.')) {
        ("snmp" | "netstat", Some((group, key))) => {
            let head = of(&format!("{group}:"))?;
            let at = text.lines().nth(head)?.split_whitespace().position(|w| w == key)?;
            change(head + 1, at, &more)?;
        }
        ("softnet_stat", Some((cpu, column))) => {
            let hex = |old: &str| u64::from_str_radix(old, 16).ok().map(|n| format!("{:08x}", n + by));
            change(cpu.strip_prefix("cpu")?.parse().ok()?, column.parse().ok()?, &hex)?;
        }
        ("stat", Some((cpu, state))) => {
            let states = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
            change(of(cpu)?, states.iter().position(|s| *s == state)? + 1, &more)?;
        }
        ("interrupts" | "softirqs", Some((row, cpu))) => {
            let at = text.lines().next()?.split_whitespace().position(|w| w.eq_ignore_ascii_case(cpu))?;
            change(of(&format!("{row}:"))?, at + 1, &more)?;
        }
        ("statistics.json", _) => {
            let mut all: BTreeMap<String, u64> = serde_json::from_str(text).ok()?;
            *all.entry(counter.to_owned()).or_default() += by;
            return serde_json::to_string(&all).ok();
        }
        _ if counter.is_empty() => change(0, 0, &more)?,
        _ => change(of(counter)?, 1, &more)?,
    }
    Some(lines.join("\n") + "\n")
}

/// A second name of each file is quicker than a copy, where one file system holds both.
fn lay(from: &Path, to: &Path) {
    let mut all = BTreeMap::new();
    files(from, Path::new(""), &mut all);
    for (within, from) in all {
        let to = to.join(within);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&to);
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Writes a file of its own: the one already there may be a hard link to a stored one.
fn put(root: &Path, path: &str, text: &str) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&at);
    let _ = fs::remove_file(root.join(format!("{path}.reading.json")));
    fs::write(&at, text).unwrap();
    // The stored lists of the folders above have to name what is new in them.
    for (at, above) in at.ancestors().zip(at.ancestors().skip(1)).take_while(|(_, above)| above.starts_with(root)) {
        let list = above.join(".list.json");
        let Ok(names) = fs::read_to_string(&list) else { continue };
        let mut names: Vec<String> = serde_json::from_str(&names).unwrap();
        let own = at.file_name().unwrap().to_str().unwrap().to_owned();
        if !names.contains(&own) {
            names.push(own);
            names.sort();
            fs::remove_file(&list).unwrap();
            fs::write(&list, serde_json::to_string(&names).unwrap()).unwrap();
        }
    }
}

/// A folder for a tree, on the file system of the build.
pub(crate) fn room() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The facts of a host, over the window that its tree has.
pub(crate) fn facts(root: &Path, iface: Option<&str>, window_ns: Option<u64>) -> Facts {
    lowlat_collect::gather(&Captured::open(root).unwrap(), iface, window_ns)
}

/// What the rules say, and the same as text.
pub(crate) fn answer(facts: &Facts, goal_ns: Option<u64>) -> (Seen, String) {
    let seen = check_all(&Input { facts, baseline: None, goal_ns });
    let mut lines = Vec::new();
    for f in &seen.findings {
        lines.push(format!("{:?} {}: {}", f.severity, f.rule, f.title));
        lines.extend(f.evidence.iter().map(|e| format!("    {e}")));
        lines.extend(f.remedy.settings.iter().map(|s| format!("    try {} on {}: {}", s.knob, s.target, s.value)));
    }
    lines.extend(seen.not_seen.iter().map(|n| format!("not seen: {}: {}", n.fact, n.why)));
    (seen, lines.join("\n"))
}

/// The rules of the findings at warning or above.
pub(crate) fn weighty(seen: &Seen) -> Vec<String> {
    seen.findings.iter().filter(|f| f.severity > Severity::Info).map(|f| f.rule.clone()).collect()
}
