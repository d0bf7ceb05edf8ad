//! Bad input: whatever stands in a captured tree, reading it ends, nothing panics, and what is not understood is reported as
//! garbled or is a file that nobody asks for.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod hosts;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lowlat_model::facts::TcpSocket;
use lowlat_model::{Facts, Reading};
use lowlat_rules::{Input, check_all};
use lowlat_sys::{Captured, NetQuery, Sys};

use hosts::{build, facts, files, fixtures, room};

/// A host of which one file, list, link or reply is something else. It reports whether it was asked for that one.
struct Garbled<'a> {
    host: &'a Captured,
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
    fn tcp_sockets(&self) -> Reading<Vec<TcpSocket>> {
        self.host.tcp_sockets()
    }
    fn now_ns(&self) -> u64 {
        self.host.now_ns()
    }
    fn wait(&self, _: u64) {}
}

/// Notes everything that is asked of a host.
struct Listening<'a>(&'a Captured, RefCell<BTreeSet<String>>);

impl Sys for Listening<'_> {
    fn read(&self, path: &str) -> Reading<String> {
        self.1.borrow_mut().insert(path.to_owned());
        self.0.read(path)
    }
    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        self.1.borrow_mut().insert(path.to_owned());
        self.0.read_bytes(path)
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.1.borrow_mut().insert(format!("list {path}"));
        self.0.list(path)
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        self.1.borrow_mut().insert(format!("link {path}"));
        self.0.link_target(path)
    }
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        self.1.borrow_mut().insert(format!("net {}", query.name()));
        self.0.net(query)
    }
    fn now_ns(&self) -> u64 {
        self.0.now_ns()
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
    "",
    "\n",
    "%s%n\u{0}\u{1b}[2J\u{fffd} 99999999999999999999999999 -1 0x : | / .. \n:\n= =\n",
    "184467440737095516159999",
    "cpu0 -5\n  1: x y\nTcp: a b\nTcp: 1\n0-4294967295\n",
    "[{\"index\":4294967295,\"name\":\"../../x\",\"up\":true,\"operstate\":\"\",\"mtu\":0,\"mac\":null,\"kind\":\"vxlan\",\"xdp\":\"\"}]",
];

/// Files whose text may be anything: names and words that are shown and never parsed, and files whose words are looked for,
/// so that a text without them says "no".
fn any_text(path: &str) -> bool {
    const WORDS: [&str; 14] = [
        "/proc/cmdline",
        "/proc/cpuinfo",
        "/sys/class/dmi/",
        "/comm",
        "/clocksource0/",
        "/cpufreq/",
        "/cpuidle/current",
        "/name",
        "/smt/control",
        "/proc/sys/",
        "/iommu_groups/",
        "/proc/net/packet",
        "/proc/net/ip",
        "/hypervisor/",
    ];
    WORDS.iter().any(|w| path.contains(w)) || !path.starts_with('/')
}

#[test]
fn garbage_in_each_file_in_turn_is_garbled_and_never_a_panic() {
    for root in ["ixgbe-metal", "virtio-net-vm"] {
        let host = Captured::open(fixtures().join("roots").join(root)).unwrap();
        let listening = Listening(&host, RefCell::default());
        let whole = lowlat_collect::gather(&listening, None, Some(1));
        let (asked, before) = (listening.1.into_inner(), garbled(&whole));
        let mut silent = Vec::new();
        for what in &asked {
            for (n, text) in NOISE.iter().enumerate() {
                let sys = Garbled { host: &host, what, text, asked: RefCell::new(false) };
                let facts = lowlat_collect::gather(&sys, None, Some(1));
                assert!(sys.asked.into_inner(), "{what} is asked for once and not again");
                judged(&facts);
                // The third is no value of anything.
                if n == 2 && !any_text(what) && garbled(&facts) <= before {
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
