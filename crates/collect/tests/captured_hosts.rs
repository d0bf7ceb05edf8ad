//! Every stored host under `fixtures/roots`: its facts and its findings are those of `fixtures/expected`.
//!
//! `LOWLAT_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod hosts;

use std::fs;

use lowlat_model::{Facts, Reading};
use lowlat_sys::{Captured, NetQuery, Sys};

use hosts::{GOAL_NS, answer, fixtures};

fn hosts() -> Vec<String> {
    hosts::folders("roots")
}

/// The interface with the default route is the one in focus, and the window is as long as the tree's own.
fn facts(host: &str, window_ns: Option<u64>) -> Facts {
    let open = || Captured::open(fixtures().join("roots").join(host)).unwrap();
    let all = lowlat_collect::gather(&open(), None, None);
    let focus = all.interfaces.iter().find(|(_, i)| i.default_route).map(|(name, _)| name.clone()).unwrap();
    let mut facts = lowlat_collect::gather(&open(), Some(&focus), window_ns);
    "any".clone_into(&mut facts.lowlat);
    facts
}

fn compare(name: &str, got: &str) {
    let path = fixtures().join("expected").join(name);
    if std::env::var_os("LOWLAT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, got).unwrap();
        return;
    }
    let want = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; run with LOWLAT_BLESS=1", path.display()));
    if let Some((n, (want, got))) =
        want.lines().zip(got.lines()).enumerate().find(|(_, (w, g))| w != g).map(|(n, pair)| (n + 1, pair))
    {
        panic!("{name}, line {n}:\n  expected {want}\n  got      {got}");
    }
    assert_eq!(want.lines().count(), got.lines().count(), "{name} has another length");
}

#[test]
fn facts_and_findings_are_as_expected() {
    let hosts = hosts();
    assert!(hosts.len() >= 4, "{hosts:?}");
    for host in hosts {
        let facts = facts(&host, Some(1));
        compare(&format!("{host}.facts.json"), &(serde_json::to_string_pretty(&facts).unwrap() + "\n"));
        let (_, text) = answer(&facts, Some(GOAL_NS));
        compare(&format!("{host}.findings.txt"), &(text + "\n"));
    }
}

#[test]
fn without_a_window_the_facts_are_the_same_but_for_it() {
    for host in hosts() {
        let (mut with, without) = (facts(&host, Some(1)), facts(&host, None));
        assert!(without.window.is_none());
        with.window = None;
        with.counters = without.counters.clone();
        assert_eq!(with, without, "{host}");
    }
}

#[test]
fn facts_survive_json() {
    for host in hosts() {
        let facts = facts(&host, Some(1));
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts, "{host}");
    }
}

/// A stored host that several threads may ask, as they may the live one.
struct Shared(Captured);

impl Sys for Shared {
    fn read(&self, path: &str) -> Reading<String> {
        self.0.read(path)
    }
    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        self.0.read_bytes(path)
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.0.list(path)
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        self.0.link_target(path)
    }
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        self.0.net(query)
    }
    fn now_ns(&self) -> u64 {
        self.0.now_ns()
    }
    fn wait(&self, ns: u64) {
        self.0.wait(ns);
    }
    fn shared(&self) -> Option<&(dyn Sys + Sync)> {
        Some(self)
    }
}

#[test]
fn two_threads_read_what_one_reads() {
    for host in hosts() {
        let open = || Captured::open(fixtures().join("roots").join(&host)).unwrap();
        for window in [None, Some(1)] {
            let one = lowlat_collect::gather(&open(), Some("eth0"), window);
            assert_eq!(lowlat_collect::gather(&Shared(open()), Some("eth0"), window), one, "{host}");
        }
    }
}
