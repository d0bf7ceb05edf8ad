//! Files of the kernel that are the whole host's: of `/sys`, and of its memory nodes.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

use crate::place::numbered;
use crate::{AtBoot, Kind, Place, Write, text};

/// A file by its absolute path.
#[derive(Debug)]
pub struct HostFile(pub &'static str);

impl Place for HostFile {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        Ok(if *target == Target::Host { vec![Locus::File { path: self.0.to_owned() }] } else { Vec::new() })
    }
    fn targets(&self, _: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        Reading::Value(vec![Target::Host])
    }
    fn order(&self) -> Order {
        if self.0.starts_with("/sys/kernel/mm/") { Order::Memory } else { Order::Power }
    }
}

/// A file of `/sys/devices/system/node/nodeN/`.
#[derive(Debug)]
pub struct NodeFile(pub &'static str);

impl Place for NodeFile {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Node(n) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: format!("{NODES}/node{n}/{}", self.0) }])
    }
    fn targets(&self, sys: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        numbered(sys, NODES, "node").map(|n| n.into_iter().map(Target::Node).collect())
    }
    fn order(&self) -> Order {
        Order::Memory
    }
}

const NODES: &str = "/sys/devices/system/node";

/// Folder of the pages of one size on a node, in the kernel's name of it.
const GIANT: &str = "/hugepages/hugepages-1048576kB/";

/// The size of the hugepages that a file counts: `2 MiB`, `1 GiB`; `None` for any other file.
fn page_size(path: &str) -> Option<&'static str> {
    if !path.starts_with(NODES) || !path.ends_with("/nr_hugepages") {
        return None;
    }
    if path.contains(GIANT) { Some("1 GiB") } else { Some("2 MiB") }
}

/// Why a file of a memory node is not there, where more is known than that: there is no such node, or it has no pages of 1 GiB.
/// The kernel has that size where the processor does (`gigantic_pages_init`, arch/x86/mm/hugetlbpage.c: X86_FEATURE_GBPAGES,
/// `pdpe1gb` in /proc/cpuinfo) and it can find the room while it runs (CONFIG_CONTIG_ALLOC).
fn lacking(sys: &dyn Sys, path: &str) -> Option<Reading<State>> {
    let (node, file) = path.strip_prefix(NODES)?.strip_prefix('/')?.split_once('/')?;
    let nodes = numbered(sys, NODES, "node").into_value()?;
    if !nodes.iter().any(|n| node == format!("node{n}")) {
        let there: Vec<String> = nodes.iter().map(|n| format!("node{n}")).collect();
        return Some(Reading::Absent(format!("this host has no memory {node}; it has {}", there.join(", "))));
    }
    if !format!("/{file}").contains(GIANT) {
        return None;
    }
    // Unreadable, or of an architecture without that line: then it says nothing of the processor.
    let info = sys.read("/proc/cpuinfo").into_value();
    let flags = info.as_ref().and_then(|i| i.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':')));
    let has = flags.map(|(_, flags)| flags.split_whitespace().any(|flag| flag == "pdpe1gb"));
    let why = match has {
        Some(false) => "the processor has no pages of 1 GiB (no pdpe1gb in /proc/cpuinfo)",
        Some(true) => "this kernel offers no pages of 1 GiB (CONFIG_CONTIG_ALLOC)",
        None => "this kernel offers no pages of 1 GiB; whether the processor has them is not known from /proc/cpuinfo",
    };
    Some(Reading::Unsupported(format!("{why}; use those of 2 MiB")))
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a str,
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        match text::read(sys, self.path) {
            Reading::Absent(why) => lacking(sys, self.path).unwrap_or(Reading::Absent(why)),
            other => other,
        }
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        text::line(self.path, set)
    }
    fn shown(&self) -> Option<String> {
        Some(text::shown(self.path))
    }
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn same(&self, a: &State, b: &State) -> bool {
        text::same_in(self.path, a, b)
    }
    fn falls_short(&self, set: &State, now: &State, prior: &State) -> Option<String> {
        let size = page_size(self.path)?;
        let [set, now, prior] = [set, now, prior].map(|state| text::number::<u64>(state).ok());
        let (set, now, prior) = (set?, now?, prior?);
        if now >= set || set <= prior {
            return None;
        }
        let came = now.saturating_sub(prior);
        let back = if came > 0 { ", which are given back" } else { "" };
        Some(format!(
            "the node gave {came} of {} more pages of {size}{back}: too little of its memory is free in one piece; ask soon after \
             boot, or at boot (hugepagesz= with hugepages=)",
            set - prior
        ))
    }
    fn scope(&self) -> Scope {
        Scope::Host
    }
    fn of_namespace(&self) -> bool {
        false
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Tmpfile(self.path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::FakeSys;

    use super::*;

    const OF_NODE: &str = "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages";

    fn short(path: &str, set: &str, now: &str, prior: &str) -> Option<String> {
        let [set, now, prior] = [set, now, prior].map(|t| State::Text(t.to_owned()));
        At { path }.falls_short(&set, &now, &prior)
    }

    #[test]
    fn fewer_pages_than_asked_for_are_not_kept() {
        let why = short(OF_NODE, "4", "2", "1").unwrap();
        assert!(why.contains("1 of 3 more pages of 1 GiB") && why.contains("given back"), "{why}");
        let none = short(OF_NODE, "4", "0", "0").unwrap();
        assert!(none.contains("0 of 4") && !none.contains("given back"), "{none}");
        let small = OF_NODE.replace("1048576", "2048");
        assert!(short(&small, "1024", "900", "0").unwrap().contains("900 of 1024 more pages of 2 MiB"));
        assert_eq!(short(OF_NODE, "4", "4", "1"), None, "all of them");
        assert_eq!(short(OF_NODE, "0", "1", "4"), None, "those in use go when they are free");
        assert_eq!(short("/sys/kernel/mm/ksm/run", "2", "1", "0"), None, "no count of pages");
    }

    #[test]
    fn a_size_that_is_not_there_says_why() {
        let node = "/sys/devices/system/node/node1/meminfo";
        let of = |sys: FakeSys| At { path: OF_NODE }.read(&sys);
        let host = |flags: &str| FakeSys::new().file(node, "").file("/proc/cpuinfo", &format!("flags\t\t: {flags}\n"));
        let Reading::Unsupported(why) = of(host("fpu pse")) else { panic!() };
        assert!(why.contains("pdpe1gb"), "{why}");
        let Reading::Unsupported(why) = of(host("fpu pdpe1gb")) else { panic!() };
        assert!(why.contains("this kernel") && why.contains("CONFIG_CONTIG_ALLOC"), "{why}");
        let Reading::Unsupported(why) = of(FakeSys::new().file(node, "")) else { panic!() };
        assert!(why.contains("not known"), "{why}");
        assert!(matches!(of(FakeSys::new()), Reading::Absent(_)), "nothing can be read");
        let Reading::Absent(why) = of(FakeSys::new().file(&node.replace("node1", "node0"), "")) else { panic!() };
        assert_eq!(why, "this host has no memory node1; it has node0");
        assert_eq!(of(host("fpu").file(OF_NODE, "3\n")), Reading::Value(State::Text("3".to_owned())));
    }
}
