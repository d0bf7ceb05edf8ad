//! Control groups that own CPUs.

use std::collections::BTreeMap;

use lowlat_model::Reading;
use lowlat_model::facts::CpusetPartition;
use lowlat_sys::Sys;

use crate::text::{cpu_list, garbled};

crate::collector! {
    /// Which control groups ask for CPUs of their own (cpuset partitions, cgroup version 2), which CPUs each has, and
    /// where the kernel refuses them, its reason. CPUs of a valid isolated partition count as isolated, like those of
    /// `isolcpus=`.
    ///
    /// A partition's parent is a partition too or, from Linux 6.7 on, hands CPUs on by `cpuset.cpus.exclusive`; no other
    /// group is looked into. Inside of a container only its own groups are seen.
    pub CPUSETS = "cpusets";
    reads ["/sys/fs/cgroup/**/cpuset.cpus.{partition,exclusive,effective}"];
    sources ["Documentation/admin-guide/cgroup-v2.rst in linux 6.12: cpuset.cpus.partition, cpuset.cpus.exclusive"];
}

const ROOT: &str = "/sys/fs/cgroup";

/// Files of a group begin with the name of the core or of a controller; a group's own name must not
/// (Documentation/admin-guide/cgroup-v2.rst in linux 6.12, Avoid Name Collisions).
const CORE_AND_CONTROLLERS: &[&str] =
    &["cgroup", "cpu", "cpuset", "dmem", "hugetlb", "io", "irq", "memory", "misc", "pids", "rdma"];

fn is_file(name: &str) -> bool {
    name.split_once('.').is_some_and(|(first, _)| CORE_AND_CONTROLLERS.contains(&first))
}

/// Group → its partition, valid or not; `/` is the group that `/sys/fs/cgroup` shows.
pub(crate) fn read(sys: &dyn Sys) -> Reading<BTreeMap<String, CpusetPartition>> {
    // Every group of version 2 with the controller has this file, the first one of the host too.
    match sys.read(&format!("{ROOT}/cpuset.cpus.effective")).and_then(|cpus| cpu_list(&cpus)) {
        Reading::Value(_) => {}
        Reading::Absent(why) => return Reading::Absent(format!("no cpusets of cgroup version 2: {why}")),
        other => return other.map(|_| BTreeMap::new()),
    }
    let mut all = BTreeMap::new();
    let mut groups = vec![String::new()];
    while let Some(group) = groups.pop() {
        let dir = format!("{ROOT}{group}");
        match partition(sys, &dir) {
            Reading::Value(Some(found)) => {
                all.insert(if group.is_empty() { "/".to_owned() } else { group.clone() }, found);
            }
            // The host's first group has no such file.
            Reading::Absent(_) | Reading::Value(None) if group.is_empty() || hands_on(sys, &dir) => {}
            // One without the controller has none either.
            Reading::Absent(_) | Reading::Value(None) => continue,
            other => return other.map(|_| BTreeMap::new()),
        }
        match sys.list(&dir) {
            Reading::Value(names) => {
                groups.extend(names.iter().filter(|n| !is_file(n)).map(|name| format!("{group}/{name}")));
            }
            // A group may end meanwhile.
            Reading::Absent(_) => {}
            other => return other.map(|_| BTreeMap::new()),
        }
    }
    Reading::Value(all)
}

/// Whether a group gives CPUs on to partitions below it.
fn hands_on(sys: &dyn Sys, dir: &str) -> bool {
    sys.read(&format!("{dir}/cpuset.cpus.exclusive")).value().is_some_and(|t| !t.trim().is_empty())
}

/// `None` for an ordinary member of its parent.
fn partition(sys: &dyn Sys, dir: &str) -> Reading<Option<CpusetPartition>> {
    sys.read(&format!("{dir}/cpuset.cpus.partition")).and_then(|text| asked(&text)).and_then(|asked| {
        let Some((kind, invalid)) = asked else { return Reading::Value(None) };
        let cpus = sys.read(&format!("{dir}/cpuset.cpus.effective")).and_then(|cpus| cpu_list(&cpus));
        cpus.map(|cpus| Some(CpusetPartition { kind, cpus, invalid }))
    })
}

/// `member`, `root`, `isolated invalid (Cpu list in cpuset.cpus not exclusive)`: the kind, and why it is not in force.
fn asked(text: &str) -> Reading<Option<(String, Option<String>)>> {
    let (kind, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    match (kind, rest.strip_prefix("invalid")) {
        ("member", None) if rest.is_empty() => Reading::Value(None),
        ("root" | "isolated", None) if rest.is_empty() => Reading::Value(Some((kind.to_owned(), None))),
        ("root" | "isolated", Some(why)) => {
            let why = why.trim().trim_start_matches('(').trim_end_matches(')');
            let why = if why.is_empty() { "the kernel gives no reason" } else { why };
            Reading::Value(Some((kind.to_owned(), Some(why.to_owned()))))
        }
        _ => garbled("cpuset.cpus.partition", text),
    }
}

/// The CPUs of valid isolated partitions.
pub(crate) fn isolated(partitions: &BTreeMap<String, CpusetPartition>) -> impl Iterator<Item = u32> {
    partitions.values().filter(|p| p.kind == "isolated" && p.invalid.is_none()).flat_map(|p| p.cpus.iter().copied())
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    fn group(sys: FakeSys, dir: &str, partition: &str, cpus: &str, exclusive: &str) -> FakeSys {
        sys.file(&format!("{ROOT}{dir}/cpuset.cpus.partition"), partition)
            .file(&format!("{ROOT}{dir}/cpuset.cpus.effective"), cpus)
            .file(&format!("{ROOT}{dir}/cpuset.cpus.exclusive"), exclusive)
    }

    fn host() -> FakeSys {
        let sys = FakeSys::new()
            .file("/sys/devices/system/cpu/online", "0-7\n")
            .file("/sys/devices/system/cpu/isolated", "7\n")
            .file(&format!("{ROOT}/cpuset.cpus.effective"), "0-1\n")
            .file(&format!("{ROOT}/user.slice/cgroup.procs"), "");
        let sys = group(sys, "/rt", "isolated\n", "2-3\n", "\n");
        let sys = group(sys, "/broken", "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n", "0-1\n", "\n");
        let sys = group(sys, "/plain.slice", "member\n", "0-1\n", "\n");
        // Nothing hands CPUs on to it, so it can be no partition.
        let sys = group(sys, "/plain.slice/below", "root\n", "6\n", "\n");
        let sys = group(sys, "/system.slice", "member\n", "0-1\n", "4-5\n");
        group(sys, "/system.slice/feed.service", "isolated\n", "4\n", "4\n")
    }

    #[test]
    fn valid_invalid_and_remote_partitions() {
        let all = read(&host()).into_value().unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["/broken", "/rt", "/system.slice/feed.service"]);
        assert_eq!(all["/rt"], CpusetPartition { kind: "isolated".into(), cpus: vec![2, 3], invalid: None });
        assert_eq!(all["/broken"].invalid.as_deref(), Some("Cpu list in cpuset.cpus not exclusive"));
        assert_eq!(isolated(&all).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn they_count_as_isolated() {
        assert_eq!(crate::cpus::topology(&host()).isolated, Reading::Value(vec![2, 3, 4, 7]));
        let boot = FakeSys::new().file("/sys/devices/system/cpu/isolated", "7\n");
        assert_eq!(crate::cpus::topology(&boot).isolated, Reading::Value(vec![7]));
    }

    #[test]
    fn inside_a_container_its_own_group_comes_first() {
        let sys = group(FakeSys::new(), "", "isolated\n", "2-3\n", "2-3\n");
        assert_eq!(read(&sys).into_value().unwrap().keys().collect::<Vec<_>>(), ["/"]);
    }

    #[test]
    fn version_one_has_none_and_what_may_not_be_read_is_denied() {
        assert!(matches!(read(&FakeSys::new()), Reading::Absent(_)));
        let sys = host().denied(&format!("{ROOT}/rt/cpuset.cpus.partition"));
        assert!(matches!(read(&sys), Reading::Denied(_)));
        let sys = host().file(&format!("{ROOT}/rt/cpuset.cpus.partition"), "isolated perhaps\n");
        assert!(matches!(read(&sys), Reading::Garbled(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s).*") {
            let _ = asked(&text);
        }
    }
}
