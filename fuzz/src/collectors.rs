//! Kernel text: a small stored host, one of whose answers is replaced by the input, read by every collector and looked
//! at by every rule.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use lowlat_model::Reading;
use lowlat_rules::Input;
use lowlat_sys::{Captured, NetQuery, Sys};

/// A stored host, of which each answer is read from the disk once.
struct Host {
    stored: Captured,
    texts: RefCell<BTreeMap<String, Reading<String>>>,
    lists: RefCell<BTreeMap<String, Reading<Vec<String>>>>,
    links: RefCell<BTreeMap<String, Reading<String>>>,
    nets: RefCell<BTreeMap<String, Reading<serde_json::Value>>>,
}

/// The same with one answer replaced: the `at`th question for text gets `text`.
struct Changed<'a> {
    host: &'a Host,
    at: u32,
    asked: Cell<u32>,
    text: &'a str,
}

impl Sys for Changed<'_> {
    fn read(&self, path: &str) -> Reading<String> {
        let n = self.asked.get();
        self.asked.set(n + 1);
        if n == self.at {
            return Reading::Value(self.text.to_owned());
        }
        self.host.texts.borrow_mut().entry(path.to_owned()).or_insert_with(|| self.host.stored.read(path)).clone()
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.host.lists.borrow_mut().entry(path.to_owned()).or_insert_with(|| self.host.stored.list(path)).clone()
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        self.host
            .links
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert_with(|| self.host.stored.link_target(path))
            .clone()
    }

    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        let n = self.asked.get();
        self.asked.set(n + 1);
        if n == self.at {
            // A reply of another kernel or a stored tree: any JSON.
            return serde_json::from_str(self.text).map_or_else(|e| Reading::Garbled(e.to_string()), Reading::Value);
        }
        self.host.nets.borrow_mut().entry(query.name()).or_insert_with(|| self.host.stored.net(query)).clone()
    }

    fn now_ns(&self) -> u64 {
        1
    }

    fn wait(&self, _: u64) {}
}

/// `question u16, of which the upper two bits say: counter window, rules | text`.
pub fn run(data: &[u8]) {
    thread_local! {
        static HOST: Option<Host> = Captured::open(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/roots/virtio-net-vm"),
        )
        .ok()
        .map(|stored| Host {
            stored,
            texts: RefCell::default(),
            lists: RefCell::default(),
            links: RefCell::default(),
            nets: RefCell::default(),
        });
    }
    let Some((at, text)) = data.split_first_chunk::<2>() else { return };
    let text = String::from_utf8_lossy(text);
    HOST.with(|host| {
        let Some(host) = host else { panic!("the stored host is not there") };
        let sys = Changed { host, at: u32::from(u16::from_le_bytes(*at)) % 1024, asked: Cell::new(0), text: &text };
        // A window reads the counters twice more; the rules are another target's, but for what only odd text makes.
        let window = (at[1] & 0x80 != 0).then_some(1_000_000);
        let facts = lowlat_collect::gather(&sys, Some("eth0"), window);
        if at[1] & 0x40 != 0 {
            let _ = lowlat_rules::check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(50_000) });
        }
    });
}
