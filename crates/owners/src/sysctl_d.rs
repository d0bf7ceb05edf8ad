//! Files of sysctl.d, which systemd-sysctl reads at boot.

use lowlat_model::{Claim, Locus};

use crate::files::{layered, text};
use crate::{Host, Owner, SYSCTL_FILE, glob, sysctl_conf, sysctl_key};

#[derive(Debug)]
pub(crate) struct SysctlD;

/// sysctl.d(5); of files of one name the first folder's is read.
const FOLDERS: &[&str] =
    &["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

impl Owner for SysctlD {
    fn file(&self) -> &'static str {
        file!()
    }
    fn claims(&self, host: &Host<'_>, locus: &Locus) -> Vec<Claim> {
        let Some(key) = sysctl_key(locus) else { return Vec::new() };
        let later = layered(host.sys, FOLDERS, ".conf")
            .into_iter()
            .filter(|(name, path)| name.as_str() > SYSCTL_FILE && !sysctl_conf::is_link(host.sys, path));
        // Of several that set it the last one stands.
        let last = later.filter_map(|(_, path)| assigned(&text(host.sys, &path), &key).map(|a| (path, a))).last();
        let claim = last.map(|(path, (line, value))| Claim {
            by: "systemd-sysctl".to_owned(),
            file: Some(format!("{path}:{line}")),
            sets: Some(value),
            runs: false,
            wins: true,
            rule: format!(
                "files of sysctl.d are read in the order of their names, whatever folder they are in, and the last \
                 assignment stands: it is read after {SYSCTL_FILE} (sysctl.d(5))"
            ),
            remedy: format!(
                "change or remove that line, then run `lowlat persist` again; `grep -n {} {path}` shows it",
                key.replace('/', ".")
            ),
        });
        claim.into_iter().collect()
    }
}

/// The last assignment of a key in a file: its line and value. Patterns are passed over: a key that is assigned by its name,
/// as lowlat's is, is left out of every pattern (sysctl.d(5), "glob patterns").
pub(crate) fn assigned(text: &str, key: &str) -> Option<(usize, String)> {
    let mut found = None;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = slashed(name.trim().trim_start_matches('-').trim());
        if name == key && !name.contains('*') && glob::matches(&name, key) {
            found = Some((n + 1, value.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

/// A key as `/proc/sys` has it. The first separator decides: after a dot, dots and slashes change places (sysctl.d(5)).
pub(crate) fn slashed(name: &str) -> String {
    if name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'/') {
        return name.to_owned();
    }
    name.chars()
        .map(|c| {
            if c == '.' {
                '/'
            } else if c == '/' {
                '.'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use lowlat_model::State;
    use lowlat_testkit::FakeSys;

    use super::*;

    fn busy() -> Locus {
        Locus::File { path: "/proc/sys/net/core/busy_read".into() }
    }

    #[test]
    fn the_last_later_file_wins_and_an_earlier_one_does_not() {
        let host = |name: &str, text: &str| {
            let sys = FakeSys::new().file(&format!("/etc/sysctl.d/{name}"), text);
            Host::new(&sys).others(&busy(), &State::Text("50".into()))
        };
        let found = host("99-mine.conf", "# x\n-net/core/busy_read = 0\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].wins && found[0].sets.as_deref() == Some("0"));
        assert_eq!(found[0].file.as_deref(), Some("/etc/sysctl.d/99-mine.conf:2"));
        assert!(host("10-mine.conf", "net.core.busy_read = 0\n").is_empty());
        assert!(host("99-mine.conf", "net.core.busy_read = 50\n").is_empty(), "the same value");
        assert!(host("99-mine.conf", "net.core.* = 0\n").is_empty(), "a pattern yields");
        assert!(host("99-mine.conf", ";net.core.busy_read = 0\n").is_empty());
        assert!(host("99-mine.txt", "net.core.busy_read = 0\n").is_empty());
    }

    #[test]
    fn a_file_of_the_same_name_in_etc_hides_that_of_the_vendor() {
        let sys = FakeSys::new()
            .file("/usr/lib/sysctl.d/99-vendor.conf", "net.core.busy_read = 0\n")
            .link("/etc/sysctl.d/99-vendor.conf", "/dev/null");
        assert!(Host::new(&sys).others(&busy(), &State::Text("50".into())).is_empty());
    }

    #[test]
    fn dots_and_slashes_change_places_after_a_dot() {
        assert_eq!(slashed("net.ipv4.conf.eth0/5.forwarding"), "net/ipv4/conf/eth0.5/forwarding");
        assert_eq!(slashed("net/ipv4/conf/eth0.5/forwarding"), "net/ipv4/conf/eth0.5/forwarding");
    }
}
