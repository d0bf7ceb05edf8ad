//! One moment of a host: each file and each query is asked for once.

use std::cell::RefCell;
use std::collections::HashMap;

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;
use lowlat_sys::{NetQuery, Sys};
use serde_json::Value;

/// A door that remembers what it read. Made anew for each moment.
pub(crate) struct Moment<'a> {
    sys: &'a dyn Sys,
    files: RefCell<HashMap<String, Reading<String>>>,
    lists: RefCell<HashMap<String, Reading<Vec<String>>>>,
    links: RefCell<HashMap<String, Reading<String>>>,
    net: RefCell<HashMap<String, Reading<Value>>>,
}

impl<'a> Moment<'a> {
    /// Nothing read yet.
    pub(crate) fn new(sys: &'a dyn Sys) -> Self {
        Self {
            sys,
            files: RefCell::default(),
            lists: RefCell::default(),
            links: RefCell::default(),
            net: RefCell::default(),
        }
    }
}

/// What one collector alone asks of each interface, some of it long: of a thousand interfaces it would fill more memory
/// than the facts.
fn asked_once(query: &NetQuery) -> bool {
    matches!(
        query,
        NetQuery::LinkModes(_)
            | NetQuery::Features(_)
            | NetQuery::Coalesce(_)
            | NetQuery::Rings(_)
            | NetQuery::Channels(_)
            | NetQuery::Pause(_)
            | NetQuery::Eee(_)
            | NetQuery::PrivateFlags(_)
            | NetQuery::Timestamping(_)
            | NetQuery::Statistics(_)
            | NetQuery::XdpFeatures(_)
            | NetQuery::Fec(_)
            | NetQuery::PowerSave(_)
            | NetQuery::Rss(_)
            | NetQuery::FlowRules(_)
            | NetQuery::StandardStatistics(_)
            | NetQuery::QueueStatistics(_)
    )
}

/// The remembered answer, or a new one.
fn once<T: Clone>(memory: &RefCell<HashMap<String, T>>, key: &str, ask: impl FnOnce() -> T) -> T {
    if let Some(known) = memory.borrow().get(key) {
        return known.clone();
    }
    let answer = ask();
    memory.borrow_mut().insert(key.to_owned(), answer.clone());
    answer
}

impl Sys for Moment<'_> {
    fn read(&self, path: &str) -> Reading<String> {
        once(&self.files, path, || self.sys.read(path))
    }

    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        self.sys.read_bytes(path)
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        once(&self.lists, path, || self.sys.list(path))
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        once(&self.links, path, || self.sys.link_target(path))
    }

    fn net(&self, query: &NetQuery) -> Reading<Value> {
        if asked_once(query) {
            return self.sys.net(query);
        }
        once(&self.net, &query.name(), || self.sys.net(query))
    }

    fn tcp_sockets(&self) -> Reading<Vec<TcpSocket>> {
        self.sys.tcp_sockets()
    }

    fn now_ns(&self) -> u64 {
        self.sys.now_ns()
    }

    fn wait(&self, ns: u64) {
        self.sys.wait(ns);
    }
}
