//! Bad input: whatever stands in a captured tree, reading it ends, nothing panics, and what is not understood is reported as
//! garbled or is a file that nobody asks for.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod hosts;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lowlat_model::{Facts, Reading};
use lowlat_rules::{Input, check_all};
use lowlat_sys::{Captured, NetQuery, Sys};

use hosts::{build, facts, files, fixtures, room};

/// A host of which one file, list, link or reply is something else. It reports whether it was asked for that one.
struct Garbled<'a> {
    host: &'a Remembered,
    what: &'a str,
    text: &'a str,
    asked: RefCell<bool>,
}

impl Garbled<'_> {
    fn is(&self, path: &str) -> bool {
        let hit = path == self.what;
        *self.asked.borrow_mut() |= hit;
        hit
    }
}

impl Sys for Garbled<'_> {
    fn read(&self, path: &str) -> Reading<String> {
        if self.is(path) { Reading::Value(self.text.to_owned()) } else { self.host.read(path) }
    }
    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        if self.is(path) { Reading::Value(self.text.as_bytes().to_vec()) } else { self.host.read_bytes(path) }
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        let names = || self.text.split_whitespace().map(str::to_owned).collect();
        if self.is(&format!("list {path}")) { Reading::Value(names()) } else { self.host.list(path) }
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        if self.is(&format!("link {path}")) {
            Reading::Value(self.text.to_owned())
        } else {
            self.host.link_target(path)
        }
    }
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        let as_json =
            || serde_json::from_str(self.text).unwrap_or_else(|_| serde_json::json!([self.text, {"iface": self.text}]));
        if self.is(&format!("net {}", query.name())) { Reading::Value(as_json()) } else { self.host.net(query) }
    }
    fn now_ns(&self) -> u64 {
        self.host.now_ns()
    }
    fn wait(&self, _: u64) {}
}

/// A host whose answers are remembered: it is asked some thousand times. It notes everything that was asked.
struct Remembered {
    host: Captured,
    files: RefCell<BTreeMap<String, Reading<Vec<u8>>>>,
    lists: RefCell<BTreeMap<String, Reading<Vec<String>>>>,
    links: RefCell<BTreeMap<String, Reading<String>>>,
    net: RefCell<BTreeMap<String, Reading<serde_json::Value>>>,
}

fn once<T: Clone>(known: &RefCell<BTreeMap<String, T>>, key: &str, ask: impl FnOnce() -> T) -> T {
    known.borrow_mut().entry(key.to_owned()).or_insert_with(ask).clone()
}

impl Remembered {
    fn of(root: &str) -> Self {
        let host = Captured::open(fixtures().join("roots").join(root)).unwrap();
        let (files, lists, links, net) = Default::default();
        Self { host, files, lists, links, net }
    }

    fn asked(&self) -> BTreeSet<String> {
        let of = |kind: &str, names: Vec<String>| names.into_iter().map(|n| format!("{kind}{n}")).collect::<Vec<_>>();
        let mut all = of("", self.files.borrow().keys().cloned().collect());
        all.extend(of("list ", self.lists.borrow().keys().cloned().collect()));
        all.extend(of("link ", self.links.borrow().keys().cloned().collect()));
        all.extend(of("net ", self.net.borrow().keys().cloned().collect()));
        all.into_iter().collect()
    }
}

impl Sys for Remembered {
    fn read(&self, path: &str) -> Reading<String> {
        self.read_bytes(path).and_then(|bytes| match String::from_utf8(bytes) {
            Ok(text) => Reading::Value(text),
            Err(e) => Reading::Garbled(e.to_string()),
        })
    }
    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        once(&self.files, path, || self.host.read_bytes(path))
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        once(&self.lists, path, || self.host.list(path))
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        once(&self.links, path, || self.host.link_target(path))
    }
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        once(&self.net, &query.name(), || self.host.net(query))
    }
    fn now_ns(&self) -> u64 {
        self.host.now_ns()
    }
    fn wait(&self, _: u64) {}
}

/// Readings of the facts that are garbled.
fn garbled(facts: &Facts) -> usize {
    serde_json::to_string(facts).unwrap().matches("{\"garbled\":").count()
}

fn judged(facts: &Facts) {
    check_all(&Input { facts, baseline: None, goal_ns: Some(hosts::GOAL_NS) });
}

const NOISE: [&str; 6] = [
    "%s%n\u{0}\u{1b}[2J\u{fffd} 99999999999999999999999999 -1 0x : | / .. \n:\n= =\n",
    "",
    "\n",
    "184467440737095516159999",
    "cpu0 -5\n  1: x y\nTcp: a b\nTcp: 1\n0-4294967295\n",
    "[{\"index\":4294967295,\"name\":\"../../x\",\"up\":true,\"operstate\":\"\",\"mtu\":0,\"mac\":null,\"kind\":\"vxlan\",\"xdp\":\"\"}]",
];

/// What may hold any text: names and words that are shown and never parsed; files in which words are looked for, so that a
/// text without them says "no"; and places on a map, which leave out what has none.
const ANY_TEXT: [&str; 22] = [
    "/proc/cmdline",
    "/proc/config.gz",
    "/boot/config-",
    "/proc/cpuinfo",
    "/sys/class/dmi/",
    "/comm",
    "/cmdline",
    "/clocksource0/",
    "/clock_name",
    "/cpufreq/",
    "/cpuidle/current",
    "/name",
    "/smt/control",
    "/proc/sys/",
    "/iommu_groups/",
    "/proc/net/packet",
    "/proc/net/ip",
    "/hypervisor/",
    "/pm_qos_resume_latency_us",
    "/thread_siblings_list",
    "/system/node/",
    "/ifindex",
];

fn any_text(path: &str) -> bool {
    !path.starts_with('/') || ANY_TEXT.iter().any(|part| path.contains(part))
}

#[test]
fn garbage_in_each_file_in_turn_is_garbled_and_never_a_panic() {
    for root in ["ixgbe-metal", "virtio-net-vm"] {
        let host = Remembered::of(root);
        let whole = lowlat_collect::gather(&host, None, None);
        let (asked, before) = (host.asked(), garbled(&whole));
        assert!(asked.len() > 300, "{}", asked.len());
        let mut silent = Vec::new();
        for (nth, what) in asked.iter().enumerate() {
            // Each gets what is no value of anything, and one of the others in turn.
            for (no_value, text) in [(true, NOISE[0]), (false, NOISE[1 + nth % (NOISE.len() - 1)])] {
                let sys = Garbled { host: &host, what, text, asked: RefCell::new(false) };
                let facts = lowlat_collect::gather(&sys, None, None);
                assert!(sys.asked.into_inner(), "{what} is asked for once and not again");
                judged(&facts);
                if no_value && !any_text(what) && garbled(&facts) <= before {
                    silent.push(what.clone());
                }
            }
        }
        assert!(silent.is_empty(), "{root}: garbage is not reported in {silent:#?}");
    }
}

/// A tree with what a careless or hostile hand can put there.
#[test]
fn links_pipes_endless_and_huge_files_neither_hang_nor_leak() {
    let dir = room();
    build("quiet-metal", dir.path());
    let mut all = BTreeMap::new();
    files(dir.path(), Path::new(""), &mut all);
    let every: Vec<PathBuf> = all.into_keys().collect();
    let secret = room();
    std::fs::write(secret.path().join("secret"), "4242424242\n").unwrap();
    for (n, path) in every.iter().enumerate() {
        let at = dir.path().join(path);
        std::fs::remove_file(&at).unwrap();
        match n % 4 {
            0 => std::os::unix::fs::symlink("/dev/zero", &at).unwrap(),
            1 => rustix::fs::mknodat(rustix::fs::CWD, &at, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
                .unwrap(),
            2 => std::os::unix::fs::symlink(secret.path().join("secret"), &at).unwrap(),
            // Longer than anything that is read; it has no blocks on the disk.
            _ => std::fs::File::create(&at).unwrap().set_len(65 << 20).unwrap(),
        }
    }
    let facts = facts(dir.path(), Some("ens1f0"), Some(1));
    judged(&facts);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains("4242424242"), "a link out of the tree was followed");
    assert!(garbled(&facts) > 10, "{}", garbled(&facts));
}

#[test]
fn facts_of_other_versions_are_read_or_refused_in_one_line() {
    let facts = facts(&fixtures().join("roots/ixgbe-metal"), Some("ens1f0"), Some(1));
    let whole = serde_json::to_value(&facts).unwrap();
    // A newer version has more; an older one less.
    let mut newer = whole.clone();
    newer["a_fact_of_the_future"] = serde_json::json!({"value": [1, 2]});
    newer["host"]["another"] = serde_json::json!(7);
    judged(&serde_json::from_value(newer).unwrap());
    for key in whole.as_object().unwrap().keys() {
        let mut older = whole.clone();
        older.as_object_mut().unwrap().remove(key);
        match serde_json::from_value::<Facts>(older) {
            Ok(facts) => judged(&facts),
            Err(e) => assert!(e.to_string().contains(key.as_str()) && !e.to_string().contains('\n'), "{key}: {e}"),
        }
    }
    for (key, value) in
        [("interfaces", "[]"), ("irqs", "{\"value\":7}"), ("counters", "null"), ("sockets", "{\"odd\":1}")]
    {
        let mut other = whole.clone();
        other[key] = serde_json::from_str(value).unwrap();
        let e = serde_json::from_value::<Facts>(other).unwrap_err().to_string();
        assert!(!e.contains('\n'), "{e}");
    }
}
