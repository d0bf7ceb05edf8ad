//! The repository's files: what git tracks, and what it would track if it were added.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The files of a working tree, by their path from its root.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// The root.
    pub(crate) root: PathBuf,
    files: BTreeMap<String, String>,
}

impl Tree {
    /// This repository as it lies on the disk.
    pub(crate) fn load() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no workspace")?.to_owned();
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .context("list the files: start git")?;
        ensure!(listed.status.success(), "list the files: {}", String::from_utf8_lossy(&listed.stderr).trim());
        let mut files = BTreeMap::new();
        for path in String::from_utf8(listed.stdout).context("a file name is not text")?.split_terminator('\0') {
            // A file that is deleted and not yet committed is still listed; links and binaries hold no prose of ours.
            if let Ok(bytes) = std::fs::read(root.join(path)) {
                files.insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Ok(Self { root, files })
    }

    /// Files whose path satisfies `wanted`, in order.
    pub(crate) fn files<'a>(&'a self, wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).filter(move |(path, _)| wanted(path))
    }

    /// One file's text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or folder is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.contains_key(path) || self.files.keys().any(|f| f.starts_with(&folder))
    }

    /// This tree with one file more, or another text in it.
    #[cfg(test)]
    pub(crate) fn with(&self, path: &str, text: &str) -> Self {
        let mut tree = self.clone();
        tree.files.insert(path.to_owned(), text.to_owned());
        tree
    }

    /// This tree without a file.
    #[cfg(test)]
    pub(crate) fn without(&self, path: &str) -> Self {
        let mut tree = self.clone();
        assert!(tree.files.remove(path).is_some(), "{path} is not there");
        tree
    }

    /// A tree of nothing but these.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { root: PathBuf::new(), files }
    }
}

/// Whether a path ends in `.extension`.
pub(crate) fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|e| e == extension)
}

/// The part of a source file that is built into the program: up to its test module.
pub(crate) fn product(text: &str) -> &str {
    match text.find("#[cfg(test)]\nmod ") {
        Some(end) => &text[..end],
        None => text,
    }
}
