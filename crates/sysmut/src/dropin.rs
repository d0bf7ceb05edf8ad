//! Configuration files that lowlat owns whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lowlat_settings::block;
use lowlat_sys::store;

use crate::WriteError;

/// Where a drop-in may be. Files of other programs are next to ours, so only a name with `lowlat` in it is ours.
pub const FOLDERS: &[&str] = &[
    "/etc/sysctl.d",
    "/etc/systemd/system",
    "/etc/systemd/network",
    "/etc/default/grub.d",
    "/etc/tmpfiles.d",
    "/etc/modprobe.d",
    "/etc/udev/rules.d",
    "/boot/loader/entries",
    "/efi/loader/entries",
    "/boot/efi/loader/entries",
];

/// The real path of a drop-in under a root, if it may be one.
fn place(root: &Path, path: &str, what: &str) -> Result<PathBuf, WriteError> {
    if block::is_shared(path) {
        return Ok(root.join(path.trim_start_matches('/')));
    }
    let folder = FOLDERS.iter().find(|f| path.strip_prefix(**f).is_some_and(|rest| rest.starts_with('/')));
    let Some(folder) = folder else {
        return Err(WriteError::not_allowed(what, format!("drop-ins are written in {} only", FOLDERS.join(", "))));
    };
    let rest = &path[folder.len() + 1..];
    // One level of folders: a unit's NAME.service.d/50-lowlat.conf.
    let plain = |c: &str| !c.is_empty() && c != "." && c != ".." && !c.contains('\0');
    if rest.split('/').count() > 2 || !rest.split('/').all(plain) {
        return Err(WriteError::not_allowed(what, "it is not a plain name in its folder"));
    }
    if !rest.contains("lowlat") {
        return Err(WriteError::not_allowed(what, "only files with lowlat in their name are ours"));
    }
    Ok(root.join(path.trim_start_matches('/')))
}

/// Writes a drop-in, whole or not at all, readable for everyone as such files are.
pub(crate) fn put(root: &Path, path: &str, text: &str) -> Result<(), WriteError> {
    let what = format!("write {path}");
    let at = place(root, path, &what)?;
    no_link(&at, &what)?;
    let fail = |e: io::Error| WriteError::from_io(what.clone(), e);
    if let Some(dir) = at.parent() {
        fs::create_dir_all(dir).map_err(fail)?;
    }
    let mut mode = 0o644;
    let text = if block::is_shared(path) {
        let (file, its_mode) = shared(&at).map_err(fail)?;
        mode = its_mode.unwrap_or(mode);
        block::merged(file.as_deref(), text)
    } else {
        text.to_owned()
    };
    store::write_config(&at, text.as_bytes(), mode).map_err(|e| match e {
        store::StoreError::Cannot { source, .. } => fail(source),
        other => fail(io::Error::other(other)),
    })
}

/// Removes a drop-in; one that is not there is removed already. A folder that this leaves empty stays: others may have
/// made it.
pub(crate) fn remove(root: &Path, path: &str) -> Result<(), WriteError> {
    let what = format!("remove {path}");
    let at = place(root, path, &what)?;
    if block::is_shared(path) {
        let fail = |e: io::Error| WriteError::from_io(what.clone(), e);
        let (Some(file), Some(mode)) = shared(&at).map_err(fail)? else { return Ok(()) };
        if let Some(rest) = block::without(&file) {
            return store::write_config(&at, rest.as_bytes(), mode)
                .map_err(|e| WriteError::from_io(what, io::Error::other(e)));
        }
    }
    store::remove_leftovers(&at).map_err(|e| WriteError::from_io(what.clone(), io::Error::other(e)))?;
    match fs::remove_file(&at) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(WriteError::from_io(what, e)),
        Ok(()) => {}
    }
    match at.parent() {
        Some(dir) => File::open(dir).and_then(|d| d.sync_all()).map_err(|e| WriteError::from_io(what, e)),
        None => Ok(()),
    }
}

/// A file that others write too, and its permissions; nothing where there is none.
fn shared(at: &Path) -> io::Result<(Option<String>, Option<u32>)> {
    match fs::read_to_string(at) {
        Ok(text) => Ok((Some(text), Some(fs::metadata(at)?.permissions().mode() & 0o7777))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok((None, None)),
        Err(e) => Err(e),
    }
}

/// `systemctl enable` makes links in these folders; one under our name is not ours to replace.
fn no_link(at: &Path, what: &str) -> Result<(), WriteError> {
    match fs::symlink_metadata(at) {
        Ok(m) if !m.is_file() => Err(WriteError::not_allowed(what, "something that is not a plain file has this name")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LiveMut;
    use lowlat_model::{Locus, Op, State};

    #[test]
    fn a_drop_in_is_written_and_removed_under_its_root() {
        let root = tempfile::tempdir().unwrap();
        let mut live = LiveMut::with_root(root.path());
        let locus = Locus::DropIn { path: "/etc/sysctl.d/90-lowlat.conf".into() };
        live.write(&Op::text(locus.clone(), "net.core.busy_read = 50\n")).unwrap();
        let at = root.path().join("etc/sysctl.d/90-lowlat.conf");
        assert_eq!(fs::read_to_string(&at).unwrap(), "net.core.busy_read = 50\n");
        assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o644);
        let gone = Op { locus, set: State::Nothing };
        live.write(&gone).unwrap();
        live.write(&gone).unwrap();
        assert!(!at.exists());
    }

    #[test]
    fn a_file_of_others_keeps_its_own_lines_and_its_permissions() {
        let root = tempfile::tempdir().unwrap();
        let mut live = LiveMut::with_root(root.path());
        let locus = Locus::DropIn { path: "/boot/grub/custom.cfg".into() };
        let at = root.path().join("boot/grub/custom.cfg");
        let gone = Op { locus: locus.clone(), set: State::Nothing };
        live.write(&gone).unwrap();
        live.write(&Op::text(locus.clone(), "menuentry x {\n}\n")).unwrap();
        live.write(&gone).unwrap();
        assert!(!at.exists(), "it was not there before");
        let own = "menuentry mine {\n}\nset a=b";
        fs::write(&at, own).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).unwrap();
        live.write(&Op::text(locus.clone(), "menuentry x {\n}\n")).unwrap();
        live.write(&Op::text(locus, "menuentry y {\n}\n")).unwrap();
        let text = fs::read_to_string(&at).unwrap();
        assert!(text.starts_with(own) && text.contains("menuentry y") && !text.contains("menuentry x"), "{text}");
        live.write(&gone).unwrap();
        assert_eq!(fs::read_to_string(&at).unwrap(), own);
        assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_is_written_outside_the_folders() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "/etc/passwd",
            "/etc/sysctl.d/../lowlat",
            "/etc/sysctl.d/99-mine.conf",
            "/etc/sysctl.dlowlat",
            "/etc/sysctl.d/",
            "/etc/systemd/system/a/b/lowlat",
            "/etc/default/lowlat",
            "etc/sysctl.d/90-lowlat.conf",
        ] {
            assert!(matches!(put(root.path(), path, ""), Err(WriteError::NotAllowed { .. })), "{path} was let through");
            assert!(matches!(remove(root.path(), path), Err(WriteError::NotAllowed { .. })), "{path} was let through");
        }
    }
}
