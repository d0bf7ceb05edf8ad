//! The quotas of lowlat's own control group and of those above it.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_sys::Sys;

use super::Groups;
use crate::text::garbled;

crate::collector! {
    /// How often programs of lowlat's own control group were stopped because their CPU quota was used up. In a
    /// container that is the container's quota; the group of another program may have a different one. The groups above
    /// it count too, from `cgroup/above1`, the next one, as far up as this namespace shows them: a quota of any of them
    /// stops the programs.
    pub CGROUP = "counters/cgroup";
    reads ["/proc/self/cgroup", "/sys/fs/cgroup/**/cpu.stat"];
    sources [
        "Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpu.stat",
        "Documentation/scheduler/sched-bwc.rst in linux 6.12: Statistics",
        "man 7 cgroups (/proc/pid/cgroup)",
    ];
}

/// Reads it.
pub(crate) fn read(sys: &dyn Sys, groups: &mut Groups) {
    let own = sys.read("/proc/self/cgroup").and_then(|text| match place(&text) {
        Some(dir) => match sys.read(&format!("{dir}/cpu.stat")) {
            // A container of version 1 sees its own group at the root, and is named by the whole path.
            Reading::Absent(why) if root(&dir) != dir => match sys.read(&format!("{}/cpu.stat", root(&dir))) {
                Reading::Absent(_) => Reading::Absent(why),
                other => other,
            },
            other => other,
        },
        None if text.lines().any(|l| l.contains("/..")) => {
            Reading::Absent("this program's group is outside of what its namespace shows in /sys/fs/cgroup".into())
        }
        None => garbled("/proc/self/cgroup", &text),
    });
    groups.insert("cgroup".into(), own.and_then(|text| parse(&text)));
    let dir = sys.read("/proc/self/cgroup").into_value().and_then(|text| place(&text));
    for (n, above) in dir.iter().flat_map(|dir| parents(dir)).enumerate() {
        // The root of all groups has no quota and may have no such file.
        if let Reading::Value(text) = sys.read(&format!("{above}/cpu.stat")) {
            groups.insert(format!("cgroup/above{}", n + 1), parse(&text));
        }
    }
}

/// The root of the hierarchy that a group is in: `/sys/fs/cgroup`, of version 1 the folder of its controllers.
fn root(dir: &str) -> &str {
    let below = dir["/sys/fs/cgroup".len()..].trim_start_matches('/');
    let folder = below.split('/').next().filter(|first| first.starts_with("cpu"));
    &dir[..folder.map_or("/sys/fs/cgroup".len(), |first| "/sys/fs/cgroup/".len() + first.len())]
}

/// The groups above one, from the next up to the root of its hierarchy.
fn parents(dir: &str) -> impl Iterator<Item = &str> {
    // Below /sys/fs/cgroup, and of version 1 below the hierarchy's own folder.
    let root = if dir["/sys/fs/cgroup".len()..].trim_start_matches('/').starts_with("cpu") { 5 } else { 4 };
    std::iter::successors(Some(dir), |at| Some(at.rsplit_once('/')?.0))
        .skip(1)
        .take_while(move |at| at.split('/').count() >= root)
}

/// Where the group of `cpu` is: in version 1 a hierarchy of its own (`4:cpu,cpuacct:/x`), else the unified one
/// (`0::/x`). The path is the kernel's own and starts with a slash.
fn place(text: &str) -> Option<String> {
    let mut unified = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            continue;
        }
        let path = path.trim_end_matches('/');
        if controllers.split(',').any(|c| c == "cpu") {
            return Some(format!("/sys/fs/cgroup/{controllers}{path}"));
        }
        if id == "0" && controllers.is_empty() {
            unified = Some(format!("/sys/fs/cgroup{path}"));
        }
    }
    unified
}

/// `nr_throttled 3`. Version 1 counts `throttled_time` in nanoseconds, version 2 `throttled_usec`.
fn parse(text: &str) -> Reading<BTreeMap<String, u64>> {
    let mut counters = BTreeMap::new();
    for line in text.lines() {
        let Some((name, Ok(value))) = line.split_once(' ').map(|(n, v)| (n, v.trim().parse::<u64>())) else {
            return garbled("cpu.stat", line);
        };
        match name {
            "nr_periods" | "nr_throttled" | "throttled_usec" => drop(counters.insert(name.to_owned(), value)),
            "throttled_time" => drop(counters.insert("throttled_usec".to_owned(), value / 1_000)),
            _ => {}
        }
    }
    Reading::Value(counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups() {
        assert_eq!(place("0::/user.slice/a\n").as_deref(), Some("/sys/fs/cgroup/user.slice/a"));
        assert_eq!(place("4:cpu,cpuacct:/\n0::/x\n").as_deref(), Some("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(place("0::/../../etc\n"), None);
        let above = |dir: &str| parents(dir).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(above("/sys/fs/cgroup/a/b"), ["/sys/fs/cgroup/a", "/sys/fs/cgroup"]);
        assert_eq!(above("/sys/fs/cgroup/cpu,cpuacct/a"), ["/sys/fs/cgroup/cpu,cpuacct"]);
        assert_eq!(above("/sys/fs/cgroup"), [""; 0]);
        for (dir, top) in [
            ("/sys/fs/cgroup/cpu,cpuacct/docker/x", "/sys/fs/cgroup/cpu,cpuacct"),
            ("/sys/fs/cgroup/user.slice/a", "/sys/fs/cgroup"),
            ("/sys/fs/cgroup", "/sys/fs/cgroup"),
        ] {
            assert_eq!(root(dir), top);
        }
        let v2 = parse("usage_usec 5\nnr_periods 2\nnr_throttled 1\nthrottled_usec 700\n").into_value().unwrap();
        assert_eq!(v2["throttled_usec"], 700);
        assert_eq!(v2.len(), 3);
        assert_eq!(parse("throttled_time 700000\n").into_value().unwrap()["throttled_usec"], 700);
        assert!(matches!(parse("x\n"), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = place(&text);
            let _ = parse(&text);
        }
    }
}
