//! What `lowlat facts --capture` writes goes into bug reports: no mark of the host may be in it, and it must lead to
//! the same findings as the host itself.
#![allow(clippy::unwrap_used)] // a test

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use lowlat_model::{Facts, Reading};
use lowlat_rules::{Input, check_all};
use lowlat_sys::{Captured, NetQuery, Recorder, Sys};
use proptest::prelude::*;
use serde_json::Value;

/// What a host has of its own.
#[derive(Debug, Clone)]
struct Marks {
    host: String,
    domain: String,
    user: String,
    full_name: String,
    ssid: String,
    serial: String,
    machine_id: String,
    uuid: String,
    mac: String,
    v4: String,
    v6: String,
    process: String,
}

impl Marks {
    /// Every form in which each of them might stand in a text.
    fn planted(&self) -> Vec<String> {
        let (mac, bare) = (&self.mac, self.mac.replace(':', ""));
        vec![
            self.host.clone(),
            self.host.to_uppercase(),
            format!("{}.{}", self.host, self.domain),
            format!("br-{}", self.host),
            self.domain.clone(),
            format!("/srv/people/{}/run", self.user),
            format!("{}@{}", self.user, self.host),
            format!("{}_strategy", self.user),
            self.full_name.clone(),
            format!("ssid=\"{}\"", self.ssid),
            self.serial.clone(),
            self.serial.to_lowercase(),
            format!("sn:{}", self.serial),
            self.machine_id.clone(),
            self.uuid.clone(),
            self.uuid.to_uppercase(),
            format!("UUID={}", self.uuid),
            mac.clone(),
            mac.to_uppercase(),
            mac.replace(':', "-"),
            bare.clone(),
            format!("enx{bare}"),
            format!("{}.{}.{}", &bare[..4], &bare[4..8], &bare[8..]),
            self.v4.clone(),
            format!("{}:443", self.v4),
            format!("{}/24", self.v4),
            format!("{0}-{0}", self.v4),
            format!("x{}y", self.v4),
            format!("ip-{}", self.v4.replace('.', "-")),
            self.v6.clone(),
            format!("[{}]:80", self.v6),
            format!("{}%eth0", self.v6),
            format!("::ffff:{}", self.v4),
        ]
    }

    /// What may be in no file and no file's name, in small letters.
    fn forbidden(&self) -> Vec<String> {
        let bare = self.mac.replace(':', "");
        let all = [
            &self.host,
            &self.domain,
            &self.user,
            &self.full_name,
            &self.ssid,
            &self.serial,
            &self.machine_id,
            &self.uuid,
            &self.mac,
            &self.mac.replace(':', "-"),
            &bare,
            &format!("{}.{}.{}", &bare[..4], &bare[4..8], &bare[8..]),
            &self.v4,
            &self.v4.replace('.', "-"),
            &self.v6,
            &self.process,
        ];
        all.iter().map(|s| s.to_lowercase()).collect()
    }
}

/// A stored host that is also marked: it answers for itself, and what the mask asks it is [`Marks`]. With `everywhere`,
/// the marks also stand in each text, each list and each reason that is read.
struct Marked {
    inner: Captured,
    marks: Marks,
    everywhere: bool,
}

/// Files in which the kernel itself puts numbers and its own words only; what a mark of letters would look like there
/// is like nothing that can happen.
fn of_the_kernel(path: &str) -> bool {
    ["/proc/stat", "/proc/softirqs", "/proc/vmstat", "/proc/net/", "/proc/irq/", "/proc/sys/", "/sys/devices/system/"]
        .iter()
        .any(|p| path.starts_with(p))
}

impl Marked {
    fn own(&self, path: &str) -> Option<String> {
        let m = &self.marks;
        Some(match path {
            "/proc/sys/kernel/hostname" | "/etc/hostname" => format!("{}\n", m.host),
            "/etc/hosts" => format!("127.0.0.1 localhost\n127.0.1.1 {0}.{1} {0}\n", m.host, m.domain),
            "/etc/resolv.conf" => format!("nameserver {}\nsearch {}\n", m.v4, m.domain),
            "/etc/machine-id" => format!("{}\n", m.machine_id),
            "/sys/class/dmi/id/product_serial" => format!("{}\n", m.serial),
            "/sys/class/dmi/id/product_uuid" | "/proc/sys/kernel/random/boot_id" => format!("{}\n", m.uuid),
            "/etc/passwd" => {
                format!(
                    "root:x:0:0:root:/root:/bin/sh\n{0}:x:1000:1000:{1},,,:/srv/people/{0}:/bin/sh\n",
                    m.user, m.full_name
                )
            }
            "/etc/NetworkManager/system-connections/a.nmconnection" => format!("[wifi]\nssid={}\n", m.ssid),
            "/proc/cmdline" => format!(
                "BOOT_IMAGE=/boot/{0} root=UUID={1} ip={2}::{2}:{0}:eth0 rd.luks.name={1} user={3} {4} isolcpus=1 idle={3} nohz_full=1\n",
                m.host, m.uuid, m.v4, m.user, m.serial
            ),
            _ => return None,
        })
    }

    fn text(&self, path: &str, text: String) -> String {
        if !self.everywhere || of_the_kernel(path) {
            return text;
        }
        format!("{text} {}\n", self.marks.planted().join(" "))
    }

    fn why(&self, why: String) -> String {
        if self.everywhere { format!("{why}: {}", self.marks.planted().join(", ")) } else { why }
    }

    fn reasons<T>(&self, reading: Reading<T>) -> Reading<T> {
        match reading {
            Reading::Value(v) => Reading::Value(v),
            Reading::Absent(w) => Reading::Absent(self.why(w)),
            Reading::Denied(w) => Reading::Denied(self.why(w)),
            Reading::Unsupported(w) => Reading::Unsupported(self.why(w)),
            Reading::Garbled(w) => Reading::Garbled(self.why(w)),
        }
    }

    fn json(&self, value: Value) -> Value {
        match value {
            Value::String(s) => Value::String(format!("{s} {}", self.marks.planted().join(" "))),
            Value::Array(a) => Value::Array(a.into_iter().map(|v| self.json(v)).collect()),
            Value::Object(o) => {
                let mut o: serde_json::Map<_, _> = o
                    .into_iter()
                    // With all of this around it a name would be no file's name any more, an address none.
                    .map(|(k, v)| if matches!(&*k, "name" | "mac" | "address") { (k, v) } else { (k, self.json(v)) })
                    .collect();
                o.insert(self.marks.planted().join(" "), Value::Null);
                Value::Object(o)
            }
            other => other,
        }
    }

    /// The interface in focus also has the marks' addresses.
    fn marked_links(&self, query: &NetQuery, mut value: Value) -> Value {
        match (query, value.as_array_mut()) {
            (NetQuery::Links, Some(links)) => {
                let own = serde_json::json!({"index": 99, "name": format!("enx{}", self.marks.mac.replace(':', "")), "up": false,
                    "operstate": "down", "mtu": 1500, "mac": self.marks.mac, "kind": null, "xdp": "none"});
                links.push(own);
            }
            (NetQuery::Addresses, Some(addresses)) => {
                addresses.push(serde_json::json!({"index": 99, "address": format!("{}/24", self.marks.v4)}));
                addresses.push(serde_json::json!({"index": 99, "address": format!("{}/64", self.marks.v6)}));
            }
            _ => {}
        }
        value
    }
}

impl Sys for Marked {
    fn read(&self, path: &str) -> Reading<String> {
        if let Some(own) = self.own(path) {
            return Reading::Value(own);
        }
        self.reasons(self.inner.read(path)).map(|t| self.text(path, t))
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        match path {
            "/home" => Reading::Value(vec![self.marks.user.clone()]),
            "/etc/NetworkManager/system-connections" => Reading::Value(vec!["a.nmconnection".into()]),
            "/proc" => self.inner.list(path).map(|mut names| {
                names.push("4711".into());
                names
            }),
            "/sys/class/net" => self.inner.list(path).map(|mut names| {
                names.push(format!("enx{}", self.marks.mac.replace(':', "")));
                names
            }),
            _ => self.reasons(self.inner.list(path)),
        }
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        self.reasons(self.inner.link_target(path))
    }

    fn net(&self, query: &NetQuery) -> Reading<Value> {
        let reply = self.reasons(self.inner.net(query)).map(|v| self.marked_links(query, v));
        let free = matches!(
            query,
            NetQuery::Links
                | NetQuery::Addresses
                | NetQuery::Routes
                | NetQuery::Qdiscs
                | NetQuery::TcpSockets
                | NetQuery::NftRules
        );
        if self.everywhere && free { reply.map(|v| self.json(v)) } else { reply }
    }

    fn now_ns(&self) -> u64 {
        self.inner.now_ns()
    }

    fn wait(&self, ns: u64) {
        self.inner.wait(ns);
    }
}

/// The process that no list of known ones has.
struct WithProcess(Marked);

impl Sys for WithProcess {
    fn read(&self, path: &str) -> Reading<String> {
        if path == "/proc/4711/comm" {
            Reading::Value(format!("{}\n", self.0.marks.process))
        } else {
            self.0.read(path)
        }
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.0.list(path)
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        self.0.link_target(path)
    }
    fn net(&self, query: &NetQuery) -> Reading<Value> {
        self.0.net(query)
    }
    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }
    fn wait(&self, ns: u64) {
        self.0.wait(ns);
    }
}

fn roots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/roots")
}

fn hosts() -> Vec<String> {
    let entries = fs::read_dir(roots()).unwrap().map(|e| e.unwrap()).filter(|e| e.path().is_dir());
    let mut hosts: Vec<String> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    hosts.sort();
    hosts
}

/// A folder that goes with the value.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("lowlat-secrets-{}-{n}", std::process::id())))
    }

    /// Every file: its name within the tree, and its bytes; a packed one also unpacked.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        fn walk(dir: &Path, root: &Path, all: &mut Vec<(String, Vec<u8>)>) {
            for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
                if entry.is_dir() {
                    walk(&entry, root, all);
                } else {
                    let name = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    let bytes = fs::read(&entry).unwrap();
                    let mut plain = Vec::new();
                    if flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).is_ok() {
                        all.push((name.clone(), plain));
                    }
                    all.push((name, bytes));
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.0, &self.0, &mut all);
        all
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn capture(host: &str, marks: &Marks, everywhere: bool) -> (Tree, Facts) {
    let inner = Captured::open(roots().join(host)).unwrap();
    let recorder = Recorder::new(WithProcess(Marked { inner, marks: marks.clone(), everywhere }));
    let facts = lowlat_collect::gather(&recorder, None, Some(1));
    let tree = Tree::new();
    recorder.write(&tree.0, true).unwrap();
    (tree, facts)
}

#[track_caller]
fn holds_none(tree: &Tree, marks: &Marks) {
    let files = tree.files();
    assert!(files.len() > 50, "only {} files", files.len());
    for (name, bytes) in files {
        let text = format!("{name}\n{}", String::from_utf8_lossy(&bytes)).to_lowercase();
        for mark in marks.forbidden() {
            if let Some(at) = text.find(&mark) {
                let from = text[..at].char_indices().rev().nth(60).map_or(0, |(i, _)| i);
                let to = text[at..].char_indices().nth(60).map_or(text.len(), |(i, _)| at + i);
                panic!("{mark:?} is in {name}: …{}…", &text[from..to]);
            }
        }
    }
}

fn findings(facts: &Facts) -> BTreeMap<String, u32> {
    let mut count = BTreeMap::new();
    for f in check_all(&Input { facts, baseline: None, goal_ns: Some(50_000) }).findings {
        *count.entry(format!("{:?} {} {}", f.severity, f.rule, f.evidence.len())).or_default() += 1;
    }
    count
}

fn example() -> Marks {
    Marks {
        host: "trader7".into(),
        domain: "desk.example-corp.net".into(),
        user: "alice".into(),
        full_name: "Alice Q. Liddell".into(),
        ssid: "Bob's Wi-Fi ☕".into(),
        serial: "C02XK1ZZJG5H".into(),
        machine_id: "b08dfa6083e7567a1921a715000001fb".into(),
        uuid: "6f1b5a0c-93d2-4c4b-8f0e-2a7f7d1c9e11".into(),
        mac: "3c:ec:ef:9a:bc:07".into(),
        v4: "10.37.250.9".into(),
        v6: "2a01:4f8:c17:b0f::2".into(),
        process: "alpha-quoter".into(),
    }
}

#[test]
fn no_mark_of_any_stored_host_survives() {
    for host in hosts() {
        let (tree, facts) = capture(&host, &example(), false);
        holds_none(&tree, &example());
        let again = lowlat_collect::gather(&Captured::open(&tree.0).unwrap(), None, Some(1));
        assert_eq!(findings(&again), findings(&facts), "{host}");
        assert_eq!(again.interfaces.len(), facts.interfaces.len(), "{host}");
        assert_eq!(again.time.daemons, facts.time.daemons, "{host}");
        assert_eq!(again.counters.groups.len(), facts.counters.groups.len(), "{host}");
        for (group, counts) in facts.counters.groups.iter().filter(|(group, _)| !group.contains("/enx")) {
            assert_eq!(again.counters.groups.get(group), Some(counts), "{host} {group}");
        }
    }
}

#[test]
fn no_mark_survives_wherever_it_stands() {
    let (tree, _) = capture("virtio-net-vm", &example(), true);
    holds_none(&tree, &example());
}

#[test]
fn without_a_mask_the_marks_are_there() {
    // The search itself must be able to find them.
    let inner = Captured::open(roots().join("virtio-net-vm")).unwrap();
    let recorder = Recorder::new(WithProcess(Marked { inner, marks: example(), everywhere: true }));
    let _ = lowlat_collect::gather(&recorder, None, Some(1));
    let tree = Tree::new();
    recorder.write(&tree.0, false).unwrap();
    let all: String = tree.files().iter().map(|(_, b)| String::from_utf8_lossy(b).to_lowercase()).collect();
    let missing: Vec<String> = example().forbidden().into_iter().filter(|m| !all.contains(m)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_same_address_is_the_same_everywhere() {
    let (tree, facts) = capture("virtio-net-vm", &example(), false);
    let again = lowlat_collect::gather(&Captured::open(&tree.0).unwrap(), None, Some(1));
    let pairs = |f: &Facts| -> Vec<(Reading<String>, Vec<String>)> {
        f.interfaces.values().map(|i| (i.mac.clone(), i.addresses.clone())).collect()
    };
    let (was, is) = (pairs(&facts), pairs(&again));
    for (a, b) in was.iter().zip(&is) {
        assert_eq!(a.1.len(), b.1.len());
    }
    // Two interfaces with one hardware address still have one.
    let equal = |all: &[(Reading<String>, Vec<String>)]| -> Vec<bool> {
        all.iter().flat_map(|a| all.iter().map(move |b| a.0 == b.0)).collect()
    };
    assert_eq!(equal(&was), equal(&is));
}

fn marks() -> impl Strategy<Value = Marks> {
    let name = "[a-z][a-z0-9-]{3,10}[0-9]{2}";
    let person = "[a-z]{5,9}qx";
    let numbers = (
        proptest::array::uniform6(1u8..=255),
        proptest::array::uniform3(10u8..240),
        proptest::array::uniform4(1u16..=0xffff),
        proptest::collection::vec(any::<u8>(), 16),
    );
    let texts = (
        name,
        "[a-z]{4,8}\\.[a-z]{3}qz",
        person,
        "[A-Z][a-z]{3,8} [A-Z][a-z]{3,8}qx",
        "[A-Za-z0-9 ☕é'_-]{5,14}7q",
        "[A-Z0-9]{8,14}Q7",
        "[a-z]{4,8}-qw[a-z]{2}",
    );
    (numbers, texts).prop_map(|((mac, v4, v6, id), (host, domain, user, full_name, ssid, serial, process))| {
        let hex = id.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
        Marks {
            host,
            domain,
            user,
            full_name,
            ssid: ssid.trim().to_owned(),
            serial,
            uuid: format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]),
            machine_id: hex.chars().rev().collect(),
            mac: mac.map(|b| format!("{b:02x}")).join(":"),
            v4: format!("11.{}.{}.{}", v4[0], v4[1], v4[2]),
            v6: format!("2a01:{:x}:{:x}::{:x}:{:x}", v6[0], v6[1], v6[2], v6[3]),
            process,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mark_survives_whatever_it_is(marks in marks()) {
        let (tree, _) = capture("ena-vm", &marks, true);
        holds_none(&tree, &marks);
    }
}
