//! Engines side by side on a simulated path: what attaching resets is announced and waited for, or reported.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic

mod sim;

use std::collections::BTreeMap;

use lowlat_model::document::EngineResult;
use lowlat_model::tune::Resets;
use lowlat_tune::{Attach, EngineTrial, side_by_side};
use lowlat_verdict::Random;
use sim::{Event, Host, SimBench, host, limits};

fn steady(_: &BTreeMap<String, String>, _: &mut Random) -> (f64, f64) {
    (50_000.0, 52_000.0)
}

fn trial(engine: &str, resets: Option<Resets>) -> EngineTrial {
    let why = Some("igb: closes and opens the device".to_owned());
    EngineTrial { engine: engine.into(), attach: resets.map(|resets| Attach { resets, why }), ..EngineTrial::default() }
}

/// `block` and `af-xdp`, of which the second's attaching does `event`, and is known to reset `resets`.
fn run(event: Event, resets: Resets) -> (Vec<EngineResult>, Vec<String>, Host) {
    let host = host(&[]);
    host.0.borrow_mut().opens.insert("af-xdp".into(), event);
    let mut bench = SimBench::new(&host, steady, 3);
    let trials = [trial("block", None), trial("af-xdp", Some(resets))];
    let mut said = Vec::new();
    let results =
        side_by_side(&mut bench, &limits(3), Some(50_000), &trials, &mut |line| said.push(line.to_owned())).unwrap();
    (results, said, host)
}

fn count(host: &Host, what: &str) -> usize {
    host.0.borrow().seen.iter().filter(|s| s.starts_with(what)).count()
}

#[test]
fn a_reset_that_attaching_announces_is_waited_for_and_spoils_no_round() {
    let (results, said, host) = run(Event::LinkReset, Resets::Link);
    assert!(results.iter().all(|r| r.why_not.is_none() && r.measurement.is_some()), "{results:#?}");
    assert_eq!((count(&host, "af-xdp"), count(&host, "block"), count(&host, "spoilt")), (12, 12, 0));
    assert!(count(&host, "await") >= 12 && count(&host, "settle") >= 24, "{:?}", host.0.borrow().seen);
    let announced = said.iter().position(|l| l.contains("resets the link") && l.contains("igb: closes and opens"));
    assert_eq!(announced, Some(0), "before anything else: {said:?}");
}

#[test]
fn a_reset_that_nothing_announced_ends_the_engine_and_is_reported() {
    let (results, said, host) = run(Event::LinkReset, Resets::Nothing);
    let xdp = &results[1];
    let why = xdp.why_not.as_deref().unwrap();
    assert!(why.contains("unexpected reset") && why.contains("went down and up"), "{why}");
    assert!(xdp.measurement.is_none() && xdp.against_block.is_none());
    assert_eq!((count(&host, "af-xdp"), count(&host, "block"), count(&host, "spoilt")), (1, 12, 0));
    assert!(results[0].measurement.is_some() && said.iter().any(|l| l.contains(why)), "{said:?}");
    assert!(!said.iter().any(|l| l.contains("resets the link")), "nothing was announced: {said:?}");
}

#[test]
fn where_nothing_resets_nothing_is_waited_for() {
    let (results, said, host) = run(Event::Nothing, Resets::Nothing);
    assert!(results.iter().all(|r| r.measurement.is_some()), "{results:#?}");
    assert_eq!((count(&host, "await"), count(&host, "settle")), (0, 0));
    assert!(said.iter().all(|l| l.contains(": p50 ")), "{said:?}");
}

#[test]
fn a_reset_beside_an_engine_that_attaches_nothing_is_reported_and_not_laid_on_it() {
    let host = host(&[]);
    host.0.borrow_mut().opens.insert("spin".into(), Event::LinkReset);
    let mut bench = SimBench::new(&host, steady, 4);
    let mut said = Vec::new();
    let trials = [trial("block", None), trial("spin", None)];
    let results =
        side_by_side(&mut bench, &limits(4), Some(50_000), &trials, &mut |line| said.push(line.to_owned())).unwrap();
    assert!(results.iter().all(|r| r.why_not.is_none()), "{results:#?}");
    assert!(
        said.iter().any(|l| l.contains("spin, which attaches nothing") && l.contains("went down and up")),
        "{said:?}"
    );
    assert_eq!(count(&host, "spoilt"), 0);
}
