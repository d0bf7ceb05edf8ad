//! Every readable sysctl, and every feature of the path's interfaces, for what another program changes besides the watched
//! settings.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::{Locus, Reading};
use lowlat_sys::{Sys, query};

const ROOT: &str = "/proc/sys";
/// `/proc/sys/net/ipv4/conf/eth0/rp_filter` is five below the root; nothing is deeper than six.
const DEEPEST: u32 = 7;
/// Not walked: `binfmt_misc` is a mount point of its own, which a look may mount (systemd's automount); the others count what
/// the kernel has open, or are drawn anew for each reader (Documentation/admin-guide/sysctl/fs.rst, kernel.rst).
const SKIPPED: &[&str] = &[
    "/proc/sys/fs/binfmt_misc",
    "/proc/sys/fs/dentry-state",
    "/proc/sys/fs/file-nr",
    "/proc/sys/fs/inode-nr",
    "/proc/sys/fs/inode-state",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/pty/nr",
    "/proc/sys/kernel/random",
];

/// By file or name, without what is watched.
pub(super) fn all(sys: &dyn Sys, ifaces: &[&str], known: &BTreeSet<&Locus>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(sys, ROOT, DEEPEST, &mut found);
    found.retain(|path, _| !known.contains(&Locus::File { path: path.clone() }));
    for iface in ifaces {
        let Reading::Value(features) = query::features(sys, iface) else { continue };
        for (name, feature) in features {
            let locus = Locus::Feature { iface: (*iface).to_owned(), name };
            if !known.contains(&locus) {
                let switch = if feature.active { "on" } else { "off" };
                found.insert(lowlat_apply::words(&locus), switch.to_owned());
            }
        }
    }
    found
}

/// What is there before the program runs. `None` for what changes on its own between two looks: random numbers, counters and the
/// last process id do.
pub(super) fn steady(sys: &dyn Sys, ifaces: &[&str], known: &BTreeSet<&Locus>) -> BTreeMap<String, Option<String>> {
    let first = all(sys, ifaces, known);
    let second = all(sys, ifaces, known);
    let names: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let value = |path: &String| first.get(path).filter(|was| second.get(path) == Some(was)).cloned();
    names.into_iter().map(|path| (path.clone(), value(path))).collect()
}

/// Given as a value where there is no such file or feature.
const ABSENT: &str = "absent";

/// What differs, what is new and what is gone: its name, before, after. What changes on its own is left out.
pub(super) fn differences(
    before: &BTreeMap<String, Option<String>>,
    after: &BTreeMap<String, String>,
) -> Vec<(String, String, String)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let one = |path: &String| {
        let was = match before.get(path) {
            Some(None) => return None,
            Some(Some(was)) => was.as_str(),
            None => ABSENT,
        };
        let now = after.get(path).map_or(ABSENT, String::as_str);
        (now != was).then(|| (path.clone(), was.to_owned(), now.to_owned()))
    };
    names.into_iter().filter_map(one).collect()
}

fn walk(sys: &dyn Sys, dir: &str, left: u32, found: &mut BTreeMap<String, String>) {
    let Reading::Value(names) = sys.list(dir) else { return };
    for name in names {
        let path = format!("{dir}/{name}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        match sys.read(&path) {
            Reading::Value(text) => {
                found.insert(path, text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            // A folder, or a file that gives nothing.
            _ if left > 0 => walk(sys, &path, left - 1, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowlat_testkit::FakeSys;

    #[test]
    fn what_differs_is_named_and_what_is_watched_by_name_is_not() {
        let file = |path: &str| Locus::File { path: path.to_owned() };
        let host = |swappiness: &str, other: &str| {
            FakeSys::new()
                .file("/proc/sys/vm/swappiness", swappiness)
                .file("/proc/sys/vm/dirty_ratio", other)
                .file("/proc/sys/net/ipv4/conf/eth0/rp_filter", "1\n")
        };
        let watched = file("/proc/sys/vm/swappiness");
        let known = BTreeSet::from([&watched]);
        let before = steady(&host("60\n", "20\n"), &[], &known);
        assert_eq!(before.len(), 2, "{before:?}");
        let after = all(&host("10\n", "40\n"), &[], &known);
        assert_eq!(
            differences(&before, &after),
            [("/proc/sys/vm/dirty_ratio".to_owned(), "20".to_owned(), "40".to_owned())]
        );
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_named_and_what_changes_on_its_own_is_not() {
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let mut before: BTreeMap<String, Option<String>> =
            text(&[("a", "1"), ("gone", "2")]).into_iter().map(|(k, v)| (k, Some(v))).collect();
        before.insert("counts".to_owned(), None);
        let found = differences(&before, &text(&[("a", "1"), ("counts", "9"), ("new", "3")]));
        let word = |s: &str| s.to_owned();
        assert_eq!(found, [(word("gone"), word("2"), word("absent")), (word("new"), word("absent"), word("3"))]);
    }
}
