//! `optimize` whole, on a path whose truth is known: what was planted is found, kept, claimed with its interval and put back, and
//! where nothing was planted nothing is kept or claimed. It judges what it measured, so this suite has the machine for itself.
//!
//! Needs root; without it every case fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use serde_json::Value;

use common::lab::{FAR, IFACE, Lab, optimize};
use common::{Scratch, holds, run};

#[test]
fn a_whole_run_finds_keeps_and_puts_back() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.plant();
    let before = lab.settings();
    let ran = lab.run(&scratch, &optimize(&["--json", "--goal", "1ns", "--engines", "block,spin", "--rollback"]));
    let run_document = ran.exits(1).json();
    for key in [
        "baseline",
        "result",
        "loaded",
        "findings",
        "steps",
        "checklist",
        "confidence",
        "goal_ns",
        "goal_met",
        "next_steps",
    ] {
        assert!(run_document.get(key).is_some(), "{key} is left out");
    }
    assert_eq!((&run_document["goal_ns"], &run_document["goal_met"]), (&1.into(), &false.into()));
    assert_eq!(run_document["loaded"], Value::Null, "it was not measured");
    assert_eq!(run_document["checklist"].as_array().unwrap().len(), 10);
    let steps = run_document["steps"].as_array().unwrap();
    assert!(steps.iter().any(|s| s["knob"] == "steer.rps"), "{steps:#?}");
    for step in steps {
        for key in [
            "knob",
            "phase",
            "target",
            "before",
            "after",
            "verdict",
            "kept",
            "p50_change_ratio",
            "p50_change_low",
            "p50_change_high",
        ] {
            assert!(step.get(key).is_some(), "{key} of {step:#}");
        }
        assert!(["better", "same", "worse", "unclear", "refused"].contains(&step["verdict"].as_str().unwrap()));
        assert!(step["kept"] == false || step["verdict"] == "better", "{step:#}");
    }
    before.same_as(&lab.settings());
    assert_eq!(lab.applied(&scratch), 0);

    // The same run again, from its file.
    let id = run_document["run"].as_str().unwrap();
    assert_eq!(run(&mut scratch.lowlat(&["report", id, "--format", "json"])).exits(1).json(), run_document);
    assert_eq!(run(&mut scratch.lowlat(&["report", "last", "--json"])).exits(1).json(), run_document);
    for format in ["text", "md", "html"] {
        let out = run(&mut scratch.lowlat(&["report", id, "--format", format])).exits(1).out.clone();
        assert!(out.contains("steer.rps"), "{format}: {out}");
    }
}

/// The headline is a test of its own: what is kept is claimed with an interval, and baseline and result are its two
/// arms.
#[test]
fn a_planted_shaper_is_kept_and_the_headline_claims_it_with_an_interval() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    lab.plant();
    let before = lab.settings();
    let asked = ["--json", "--pairs", "60", "--duration", "1s", "--goal", "10ms,p99=10s", "--rollback"];
    let document = lab.run(&scratch, &optimize(&asked)).exits(0).json();
    let steps = document["steps"].as_array().unwrap();
    let kept = steps.iter().find(|s| s["kept"] == true).unwrap_or_else(|| panic!("nothing was kept: {steps:#?}"));
    assert_eq!((&kept["disposition"], &kept["verdict"]), (&"kept".into(), &"better".into()));
    assert!(kept["comparison"]["sequential"]["e_better"].as_f64().unwrap() > 20.0, "{kept:#}");
    let headline = &document["headline"];
    let of = |key: &str| headline[key].as_f64().unwrap_or_else(|| panic!("{key} of {headline:#}"));
    assert!(of("p50_change_low") <= of("p50_change_ratio") && of("p50_change_ratio") <= of("p50_change_high"));
    assert!(of("p50_change_high") < 0.0 && of("false_keep_bound") <= 0.05, "{headline:#}");
    let p50 = |arm: &str| document[arm]["rtt"]["p50_ns"].as_f64().unwrap();
    let arms = p50("result") / p50("baseline") - 1.0;
    assert!((arms - of("p50_change_ratio")).abs() < 0.1, "{arms} and {headline:#}");
    assert_eq!(document["path"], serde_json::json!([IFACE]));
    assert_eq!(document["goals"].as_array().unwrap().len(), 2);
    assert!(document["placement"]["near"]["why"].as_str().unwrap().contains("CPU 0"), "{}", document["placement"]);
    before.same_as(&lab.settings());
}

/// Every second answer comes 5 ms late, as long as a setting of the near end is at its default: what it keeps keeps nothing
/// else waiting, so a ping-pong's median is now the one and now the other, and the planned probes have both.
#[test]
fn a_far_end_that_holds_every_second_answer_back_is_seen_and_the_setting_kept() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let socket = lab.in_far(|| std::net::UdpSocket::bind((FAR, 8620)).unwrap());
    let near = std::fs::File::open(format!("/run/netns/{}", lab.near)).unwrap();
    std::thread::spawn(move || {
        use std::os::fd::AsFd as _;
        // A path of /proc/sys/net shows the namespace of the thread that reads it; the socket stays in its own.
        lowlat_os::namespace::enter_network(near.as_fd()).unwrap();
        let default = || std::fs::read("/proc/sys/net/ipv4/tcp_autocorking").is_ok_and(|t| t.starts_with(b"1"));
        holds::answer(&socket, move |n| n % 2 == 0 && default());
    });
    let before = lab.settings();
    let asked = ["--try", "sysctl.net.ipv4.tcp_autocorking", "host", "0", "--pairs", "30", "--round", "40ms"];
    let more = ["--duration", "1s", "--json", "--rollback"];
    let document = lab.run(&scratch, &optimize(&[&asked[..], &more].concat())).exits(0).json();
    let all = document["steps"].as_array().unwrap();
    let step = all.iter().find(|s| s["knob"] == "sysctl.net.ipv4.tcp_autocorking").unwrap();
    assert_eq!((&step["verdict"], &step["kept"]), (&"better".into(), &true.into()), "{step:#}");
    let idle = &document["headline"]["idle"];
    assert_eq!(idle["verdict"], "better", "{idle:#}");
    // Half of the planned probes meet the hold, however few there are: with a median of the hold's length, which ping-pong may
    // show as well as not, there are too few for P90.
    let mean = |arm: &str| {
        document[arm]["rtt_planned"]["mean_ns"].as_u64().unwrap_or_else(|| panic!("{arm}: {:#}", document[arm]))
    };
    let hold = u64::try_from(holds::HOLD.as_nanos()).unwrap();
    assert!(mean("baseline") > hold / 4 && mean("result") < hold / 4, "{} {}", mean("baseline"), mean("result"));
    before.same_as(&lab.settings());
}

/// The null case: nothing is planted, and settings are tried that a UDP probe cannot feel.
#[test]
fn with_nothing_to_find_nothing_is_kept_and_nothing_is_claimed() {
    let (lab, scratch, far_state) = (Lab::new(), Scratch::new(), Scratch::new());
    let _far = lab.serve(&far_state, &[]);
    let before = lab.settings();
    let tries = ["--try", "sysctl.net.ipv4.tcp_autocorking", "host", "0"];
    let more = ["--try", "sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0"];
    let run_json = |form: &[&str]| {
        let asked: Vec<&str> =
            ["--pairs", "12", "--rollback"].iter().chain(&tries).chain(&more).chain(form).copied().collect();
        lab.run(&scratch, &optimize(&asked))
    };
    let document = run_json(&["--json"]).exits(0).json();
    let steps = document["steps"].as_array().unwrap();
    assert!(steps.len() >= 2 && steps.iter().all(|s| s["kept"] == false), "{steps:#?}");
    for key in ["p50_change_ratio", "p50_change_low", "p50_change_high", "p99_change_ratio"] {
        assert_eq!(document["headline"][key], Value::Null, "{key}");
    }
    let text = run(&mut scratch.lowlat(&["report", "last"])).exits(0).out.clone();
    assert!(text.contains("nothing changed; the path is at"), "{text}");
    assert!(!text.contains("% reduction"), "{text}");
    before.same_as(&lab.settings());
}
