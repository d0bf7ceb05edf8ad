//! A host in memory.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::Reading;
use lowlat_sys::{NetQuery, Sys};
use serde::Serialize;
use serde_json::Value;

/// A host in memory: files by absolute path, netlink replies by [`NetQuery::name`].
///
/// What was not planted is [`Reading::Absent`], as on a host that has no such file. [`Sys::wait`] lets the clock run
/// and from then on prefers what was planted with the `later_` methods, which is how a counter grows in a test.
#[derive(Debug, Default)]
pub struct FakeSys {
    files: BTreeMap<String, Reading<Vec<u8>>>,
    later_files: BTreeMap<String, Reading<Vec<u8>>>,
    links: BTreeMap<String, String>,
    net: BTreeMap<String, Reading<Value>>,
    later_net: BTreeMap<String, Reading<Value>>,
    now_ns: Cell<u64>,
    waited: Cell<bool>,
    reads: RefCell<BTreeMap<String, u32>>,
}

impl FakeSys {
    /// A host without a single file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plants a text file.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.reading(path, Reading::Value(text.to_owned()))
    }

    /// Plants a file of bytes.
    #[must_use]
    pub fn bytes(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), Reading::Value(bytes.to_vec()));
        self
    }

    /// Plants any answer for a file.
    #[must_use]
    pub fn reading(mut self, path: &str, reading: Reading<String>) -> Self {
        self.files.insert(path.to_owned(), reading.map(String::into_bytes));
        self
    }

    /// Plants a file this user may not read.
    #[must_use]
    pub fn denied(self, path: &str) -> Self {
        self.reading(path, Reading::Denied(format!("reading {path} needs root")))
    }

    /// Plants what a file says after [`Sys::wait`].
    #[must_use]
    pub fn later(mut self, path: &str, text: &str) -> Self {
        self.later_files.insert(path.to_owned(), Reading::Value(text.as_bytes().to_vec()));
        self
    }

    /// Plants a symbolic link; files below it are planted under the path that the probe asks for.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.to_owned(), target.to_owned());
        self
    }

    /// Plants a netlink reply. A value that JSON cannot hold is planted as [`Reading::Garbled`].
    #[must_use]
    pub fn net<T: Serialize>(self, query: &NetQuery, reply: T) -> Self {
        let reading = match serde_json::to_value(reply) {
            Ok(v) => Reading::Value(v),
            Err(e) => Reading::Garbled(e.to_string()),
        };
        self.net_reading(query, reading)
    }

    /// Plants any answer to a netlink query.
    #[must_use]
    pub fn net_reading(mut self, query: &NetQuery, reading: Reading<Value>) -> Self {
        self.net.insert(query.name(), reading);
        self
    }

    /// Plants what a netlink query answers after [`Sys::wait`].
    #[must_use]
    pub fn later_net<T: Serialize>(mut self, query: &NetQuery, reply: T) -> Self {
        let reading = match serde_json::to_value(reply) {
            Ok(v) => Reading::Value(v),
            Err(e) => Reading::Garbled(e.to_string()),
        };
        self.later_net.insert(query.name(), reading);
        self
    }

    /// How often each path or query was asked for: a probe set reads each file once per moment. A folder's list is under
    /// `list PATH`, a link's target under `link PATH`.
    pub fn reads(&self) -> BTreeMap<String, u32> {
        self.reads.borrow().clone()
    }

    fn count(&self, what: &str) {
        *self.reads.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    fn pick<'a, T>(&self, later: &'a BTreeMap<String, T>, now: &'a BTreeMap<String, T>, key: &str) -> Option<&'a T> {
        let newest = if self.waited.get() { later.get(key) } else { None };
        newest.or_else(|| now.get(key))
    }
}

impl Sys for FakeSys {
    fn read(&self, path: &str) -> Reading<String> {
        self.read_bytes(path).and_then(|b| match String::from_utf8(b) {
            Ok(text) => Reading::Value(text),
            Err(_) => Reading::Garbled(format!("{path} is not UTF-8 text")),
        })
    }

    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        self.count(path);
        match self.pick(&self.later_files, &self.files, path) {
            Some(reading) => reading.clone(),
            None => Reading::Absent(format!("there is no {path}")),
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.count(&format!("list {path}"));
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below: BTreeSet<String> = self
            .files
            .keys()
            .chain(self.later_files.keys())
            .chain(self.links.keys())
            .filter_map(|p| p.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        if below.is_empty() {
            return Reading::Absent(format!("there is no directory {path}"));
        }
        Reading::Value(below.into_iter().collect())
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        self.count(&format!("link {path}"));
        match self.links.get(path) {
            Some(target) => Reading::Value(target.clone()),
            None => Reading::Absent(format!("there is no link {path}")),
        }
    }

    fn net(&self, query: &NetQuery) -> Reading<Value> {
        let name = query.name();
        self.count(&name);
        match self.pick(&self.later_net, &self.net, &name) {
            Some(reading) => reading.clone(),
            None => Reading::Absent(format!("no reply to {name} was planted")),
        }
    }

    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn wait(&self, ns: u64) {
        self.now_ns.set(self.now_ns.get() + ns);
        self.waited.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_brings_the_later_files() {
        let sys = FakeSys::new().file("/proc/a", "1").later("/proc/a", "2").file("/proc/b/c", "x");
        assert_eq!(sys.read("/proc/a"), Reading::Value("1".into()));
        sys.wait(5);
        assert_eq!((sys.now_ns(), sys.read("/proc/a")), (5, Reading::Value("2".into())));
        assert_eq!(sys.list("/proc"), Reading::Value(vec!["a".into(), "b".into()]));
        assert!(matches!(sys.read("/proc/none"), Reading::Absent(_)));
        assert_eq!(sys.reads()["/proc/a"], 2);
    }
}
