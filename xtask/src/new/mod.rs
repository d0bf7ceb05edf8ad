//! `new`: a unit's file out of its template, and its entries, as the walks of CONTRIBUTING.md say.
//!
//! What it makes compiles. Its test is red, and `tidy` names every place marked for filling in, until both are done.

mod edit;
mod kinds;
mod name;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use kinds::{Change, KINDS, Kind};
use name::Name;

/// The placeholder for a text that is still to be written.
pub(crate) const MARK: &str = "FILL IN";

/// The kinds' names, for the usage.
pub(crate) fn kinds() -> String {
    KINDS.iter().map(|k| k.name).collect::<Vec<_>>().join("|")
}

/// Makes a unit and says what was made; in one line, why not, and then nothing is changed.
pub(crate) fn run(root: &Path, kind: &str, given: &str) -> Result<Vec<String>, String> {
    let found = KINDS.iter().find(|k| k.name == kind);
    let kind =
        found.ok_or_else(|| format!("make a {kind:?}: there is no such kind of unit; choose one of {}", kinds()))?;
    let files = make(root, kind, given).map_err(|why| format!("make the {} {given:?}: {why}", kind.name))?;
    for (path, text) in &files {
        // A corpus is a folder of its own.
        let folder = root.join(path).parent().map_or(Ok(()), std::fs::create_dir_all);
        folder
            .and_then(|()| std::fs::write(root.join(path), text))
            .map_err(|e| format!("write {path}: {e}; see `git status`"))?;
    }
    let mut said: Vec<String> = files.into_keys().collect();
    said.push(format!("now: fill in what `cargo run -p xtask -- tidy` names; {}; see CONTRIBUTING.md", kind.then));
    Ok(said)
}

/// Each file's text as it is to be.
fn make(root: &Path, kind: &Kind, given: &str) -> Result<BTreeMap<String, String>, String> {
    let name = Name::new(kind.form, given)?;
    if (kind.taken)(given) {
        return Err("there is one of that name; choose another".to_owned());
    }
    let mut files = BTreeMap::new();
    for change in (kind.changes)(&name) {
        let (path, text) = match change {
            Change::New(path, template) => {
                absent(root, &path)?;
                (path, name.fill(template)?)
            }
            Change::Edited(path, edits) => {
                let read = std::fs::read_to_string(root.join(&path));
                let mut text = read.map_err(|e| format!("{path}: {e}; name what is there"))?;
                for edit in &edits {
                    text = edit.of(&text).map_err(|why| format!("{path}: {why}"))?;
                }
                (path, text)
            }
        };
        let text = if crate::tree::is(&path, "rs") { formatted(root, &text)? } else { text };
        files.insert(path, text);
    }
    Ok(files)
}

/// Neither a file nor a folder of that module may be there.
fn absent(root: &Path, path: &str) -> Result<(), String> {
    for there in [path, path.trim_end_matches(".rs")] {
        if root.join(there).exists() {
            return Err(format!("{there} is there already; choose another name"));
        }
    }
    Ok(())
}

/// As rustfmt writes it.
fn formatted(root: &Path, text: &str) -> Result<String, String> {
    let start =
        |e: std::io::Error| format!("format it: start rustfmt: {e}; install it with `rustup component add rustfmt`");
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    // It reads all before it writes any, so neither waits for the other.
    let sent = rustfmt.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(text.as_bytes()));
    let done = rustfmt.wait_with_output().map_err(start)?;
    let wrong = String::from_utf8_lossy(&done.stderr);
    match (sent, done.status.success(), String::from_utf8(done.stdout)) {
        (Ok(()), true, Ok(text)) => Ok(text),
        _ => Err(format!("format it: {}; fix xtask/templates", wrong.lines().next().unwrap_or("rustfmt failed"))),
    }
}

#[cfg(test)]
mod tests;
