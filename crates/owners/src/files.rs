//! Folders of configuration files of which those of one name replace each other.

use std::collections::BTreeMap;

use lowlat_sys::Sys;

/// The files with an ending, by their names in the order in which they are read: of one name the file in the folder that is
/// named first here.
pub(crate) fn layered(sys: &dyn Sys, folders: &[&str], ending: &str) -> Vec<(String, String)> {
    let mut out = BTreeMap::new();
    for folder in folders {
        for name in sys.list(folder).into_value().unwrap_or_default() {
            if name.ends_with(ending) {
                let path = format!("{folder}/{name}");
                out.entry(name).or_insert(path);
            }
        }
    }
    out.into_iter().collect()
}

/// A file's text; empty where it cannot be read, as a mask (a link to `/dev/null`) is.
pub(crate) fn text(sys: &dyn Sys, path: &str) -> String {
    if sys.link_target(path).value().is_some_and(|to| to == "/dev/null") {
        return String::new();
    }
    sys.read(path).into_value().unwrap_or_default()
}
