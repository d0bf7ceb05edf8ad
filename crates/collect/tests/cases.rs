//! Hosts of public reports, and variants of them: what an expert would answer is what the rules answer.
//!
//! A case (`fixtures/cases/NAME/case.json`) is another stored host with a few things changed: which (`base`, one of
//! `fixtures/roots` or another case), what is left out of it (`removed`), what replaces it (`files`, `replies`,
//! `grows`, or files below `root/`), and the right answer: lines that must be there (`finds`), that must not (`never`), the
//! rule of the first finding (`first`). An `ordinary` host is one on which no serious finding may appear.
//!
//! `LOWLAT_BLESS=1` writes `fixtures/planted/captured.json` anew: what became of each, of which `xtask gen` makes the table.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod hosts;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use hosts::{GOAL_NS, answer, build, case, facts, fixtures, folders, room, weighty};
use lowlat_rules::Seen;

/// What became of a planted fault, or of an ordinary host.
fn outcome(case: &hosts::Case, seen: &Seen) -> Option<[String; 3]> {
    if let Some(kind) = &case.ordinary {
        let false_ones = weighty(seen);
        let what =
            if false_ones.is_empty() { "silent".to_owned() } else { format!("false: {}", false_ones.join(", ")) };
        return Some(["ordinary".to_owned(), kind.clone(), what]);
    }
    let wanted = case.first.clone()?;
    let top = seen.findings.first().map(|f| f.rule.clone());
    let what = if top.as_ref() == Some(&wanted) {
        "top"
    } else if seen.findings.iter().any(|f| f.rule == wanted) {
        "found"
    } else {
        "missed"
    };
    Some(["fault".to_owned(), wanted, what.to_owned()])
}

/// What is wrong in the answer to one case, and its outcome.
type Judged = (Vec<String>, Option<[String; 3]>);

fn judged(name: &str) -> Judged {
    let case = case(name);
    assert!(!case.source.is_empty() && !case.says.is_empty(), "{name}");
    let dir = room();
    build(name, dir.path());
    let goal_ns = (case.ordinary.is_none() || case.aims).then_some(GOAL_NS);
    let (seen, text) = answer(&facts(dir.path(), Some(&case.iface), Some(1)), goal_ns);
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(format!("{name} ({}): {what}\n{text}\n", case.says));
    for wanted in case.finds.iter().filter(|w| !text.contains(w.as_str())) {
        say(format!("does not say {wanted:?}"));
    }
    for unwanted in case.never.iter().filter(|u| text.contains(u.as_str())) {
        say(format!("says {unwanted:?}"));
    }
    let first = seen.findings.first().map(|f| f.rule.clone());
    if case.first.is_some() && first != case.first {
        say(format!("{first:?} stands first, not {:?}", case.first));
    }
    if case.ordinary.is_some() {
        // What lowlat cannot read it cannot find either.
        for garbled in text.lines().filter(|l| l.contains("garbled: ")) {
            say(format!("an ordinary host is not understood: {garbled}"));
        }
        if !weighty(&seen).is_empty() {
            say(format!("an ordinary host has {}", weighty(&seen).join(", ")));
        }
    }
    (wrong, outcome(&case, &seen))
}

/// Each of `names`, judged on all CPUs: a case writes and reads some thousand files.
fn all_judged(names: &[String]) -> Vec<(&String, Judged)> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((name, judged(name)));
        }
        done
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    all.sort();
    all
}

#[test]
fn every_case_is_answered_rightly() {
    let names = folders("cases");
    let mut wrong = Vec::new();
    let mut planted: BTreeMap<String, [String; 3]> = BTreeMap::new();
    for (name, (why, outcome)) in all_judged(&names) {
        wrong.extend(why);
        planted.extend(outcome.map(|o| (name.clone(), o)));
    }
    record(&planted);
    assert!(wrong.is_empty(), "{} wrong answers:\n\n{}", wrong.len(), wrong.join("\n"));
    let of = |kind: &str| planted.values().filter(|o| o[0] == kind).count();
    assert!(of("fault") >= 60 && of("ordinary") >= 12, "{} faults, {} ordinary hosts", of("fault"), of("ordinary"));
}

fn record(planted: &BTreeMap<String, [String; 3]>) {
    let at = fixtures().join("planted/captured.json");
    let text = serde_json::to_string_pretty(planted).unwrap() + "\n";
    if std::env::var_os("LOWLAT_BLESS").is_some() {
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        return fs::write(&at, text).unwrap();
    }
    let stored = fs::read_to_string(&at).unwrap_or_else(|e| panic!("{}: {e}; run with LOWLAT_BLESS=1", at.display()));
    assert!(stored == text, "{} is stale; run with LOWLAT_BLESS=1 and then `cargo run -p xtask -- gen`", at.display());
}
