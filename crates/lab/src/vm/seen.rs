//! Where a guest has a file of the host.
//!
//! Most of the host's root is at its own path there, but `/tmp`, `/run` and some others are the guest's own and hide what the
//! host has below them: a checkout, or the folder that cargo builds into. So the host's root is there once more, as it is.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::VmError;

/// Where `init.sh` puts the host's root again, read-only and hidden by nothing.
const HOST: &str = "/run/lowlat/host";

/// The path in a guest of a file or folder that the host has.
pub fn in_guest(path: &Path) -> Result<String, VmError> {
    // Links are followed here: an absolute one would lead out of that folder.
    let path = fs::canonicalize(path).map_err(VmError::io("resolve", path))?;
    below_host(&path).ok_or(VmError::BadGuest { detail: format!("path {} is not UTF-8; use another", path.display()) })
}

fn below_host(path: &Path) -> Option<String> {
    Some(format!("{HOST}{}", path.to_str()?))
}

/// A word as a shell takes it: whole, whatever is in it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The running program's folder, to be shared with a guest, and its name there.
pub fn this_program() -> Result<(PathBuf, String), VmError> {
    let exe = std::env::current_exe()
        .map_err(|e| VmError::BadGuest { detail: format!("find this program's file: {e}; call it by its path") })?;
    split(&exe)
}

/// A file's folder and its name.
pub(super) fn split(file: &Path) -> Result<(PathBuf, String), VmError> {
    let bad = || VmError::BadGuest { detail: format!("program {} is not a file of a folder", file.display()) };
    let dir = file.parent().ok_or_else(bad)?;
    let name = file.file_name().and_then(|n| n.to_str()).ok_or_else(bad)?;
    Ok((dir.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_path_of_the_host_is_below_one_folder_and_links_are_followed() {
        let init = include_str!("init.sh");
        assert!(init.contains(&format!("mount --bind /host /root{HOST} ")), "init.sh puts it elsewhere");
        let dir = std::env::temp_dir().join(format!("lowlat seen, {}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("file"), "").unwrap();
        std::os::unix::fs::symlink(dir.join("file"), dir.join("link")).unwrap();
        let real = fs::canonicalize(&dir).unwrap();
        assert_eq!(in_guest(&dir.join("link")).unwrap(), format!("{HOST}{}/file", real.display()));
        assert_eq!(in_guest(&dir.join("absent")).unwrap_err().to_string().lines().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(below_host(Path::new(OsStr::from_bytes(b"/\xff"))), None);
    }

    #[test]
    fn a_quoted_word_comes_out_of_a_shell_as_it_was() {
        for word in ["low lat", "it's", "a,b", "$HOME `id` \"x\" \\", "-n", "*"] {
            let printed = Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(word))).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), word);
        }
    }
}
