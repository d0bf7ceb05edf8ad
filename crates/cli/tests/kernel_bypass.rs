//! `bypass verdict` on a veth link in namespaces: what it counts, stores and says.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use serde_json::{Value, json};

use common::Scratch;
use common::lab::{FAR, IFACE, Lab, NEAR};

/// The verdict's engine of that name.
fn engine<'a>(document: &'a Value, name: &str) -> &'a Value {
    let all = document["engines"].as_array().unwrap();
    all.iter().find(|e| e["engine"] == name && e["control"] == false).unwrap_or_else(|| panic!("{name}: {document:#}"))
}

#[test]
fn the_verdict_counts_what_each_engine_does_and_can_be_judged_again() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let ask = |args: &str| lab.run(&scratch, &args.split_whitespace().collect::<Vec<_>>());
    let engines = "block,spin,epoll,io-uring,af-xdp";
    let ran = ask(&format!("bypass verdict {FAR} --iface {IFACE} --engines {engines} --duration 400ms --json"));
    let document = ran.exits(0).json();

    // One call to send and one to receive; epoll has one more to wait. A flow that sleeps anew sets its alarm now and then.
    for (name, least, most) in [("block", 2.0, 2.3), ("epoll", 3.0, 3.3), ("io-uring", 1.0, 1e9), ("spin", 2.0, 1e9)] {
        let of = engine(&document, name);
        let calls = of["syscalls_per_message"].as_f64().unwrap_or_else(|| panic!("{name}: {of:#}"));
        assert!((least..=most).contains(&calls), "{name}: {calls} calls a message");
        assert!(of["cpu_ns_per_message"].as_u64().unwrap() > 0 && of["cores_busy"].as_f64().unwrap() > 0.0, "{of:#}");
        // A veth link has no interrupts.
        assert_eq!(of["interrupts_per_message"], Value::Null, "{name}");
        assert!(of["not_counted"].to_string().contains("interrupts"), "{of:#}");
        assert!(of["why_not"].is_null() && of["p50_ns"].as_u64().unwrap() > 0, "{of:#}");
    }
    // One call hands a packet over, and none fetches one.
    let of = |name: &str| engine(&document, name)["syscalls_per_message"].as_f64().unwrap();
    assert!((1.0..of("spin")).contains(&of("af-xdp")), "af-xdp {}, spin {}", of("af-xdp"), of("spin"));
    assert_eq!(engine(&document, "spin")["loses"], json!([]));
    let loses = engine(&document, "af-xdp")["loses"].to_string();
    for lost in ["firewall: ", "routing: ", "sockets: ", "tcpdump: "] {
        assert!(loses.contains(lost), "{loses}");
    }
    let reference = document["reference"].as_str().unwrap();
    assert_eq!(engine(&document, reference)["cpu_ratio"], 1.0);
    assert!(!document["why"].as_str().unwrap().is_empty() && !document["rule"].as_str().unwrap().is_empty());

    // The stored run prints the same, and its rounds give the same verdict.
    assert_eq!(ask("report last --json").exits(0).json(), document);
    assert_eq!(ask("bypass verdict --from last --json").exits(0).json(), document);
    for (format, mark) in [("md", "| af-xdp |"), ("html", "<html"), ("text", "KERNEL BYPASS:")] {
        let text = ask(&format!("report last --format {format}")).exits(0).out.clone();
        assert!(text.contains(mark) && text.contains("tcpdump"), "{text}");
    }
    let met = ask("bypass verdict --from last --goal 10s --json").exits(0).json();
    assert!(met["go"] == false && met["why"].as_str().unwrap().contains("meets the goal without bypass"), "{met:#}");
    let missed = ask("bypass verdict --from last --goal 1ns --json").exits(1).json();
    assert!(missed["go"] == false && missed["why"].as_str().unwrap().contains("misses the goal too"), "{missed:#}");
    assert!(!lab.sh(&format!("ip -d link show {IFACE}")).contains("xdp"), "nothing stays attached");

    // The kernel's submission thread works too, and its CPU time is not the prober's.
    let ran = ask(&format!("bypass verdict {FAR} --engines block,io-uring:sqpoll --duration 200ms --json"));
    let document = ran.exits(0).json();
    let polled = engine(&document, "io-uring:sqpoll");
    for count in ["cpu_ns_per_message", "cores_busy", "cpu_ratio"] {
        assert_eq!(polled[count], Value::Null, "{count}: {polled:#}");
    }
    assert!(polled["not_counted"].to_string().contains("a kernel thread does some of the work"), "{polled:#}");
}

/// The same engine twice has no difference, and no run of it may say go; its flags may also stand in a file.
#[test]
fn an_engine_against_itself_is_never_a_go() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    let keys = format!("target = \"{FAR}\"\nengines = [\"spin\", \"spin\"]\nduration = \"200ms\"\n");
    let config = scratch.file("verdict.toml", keys);
    let by_flags = format!("bypass verdict {FAR} --engines spin,spin --duration 200ms --json");
    let by_file = format!("--config {config} bypass verdict --json");
    for run in [&by_flags, &by_flags, &by_file] {
        let document = lab.run(&scratch, &run.split_whitespace().collect::<Vec<_>>()).exits(0).json();
        assert_ne!(document["go"], true, "{document:#}");
        assert_eq!(document["engines"][1]["control"], true);
    }
}

#[test]
fn an_engine_that_cannot_run_here_is_a_line_with_its_reason() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    // AF_XDP carries no TCP.
    let run = format!("bypass verdict {FAR} --proto tcp --engines block,af-xdp --duration 200ms");
    let text = lab.run(&scratch, &run.split_whitespace().collect::<Vec<_>>()).exits(0).out.clone();
    assert!(text.starts_with("KERNEL BYPASS: NOT DECIDED") && text.contains("NOT MEASURED"), "{text}");
    assert!(text.contains("- af-xdp: "), "{text}");
}

/// A command in the near namespace and in a folder.
#[track_caller]
fn sh(lab: &Lab, folder: &str, script: &str) -> String {
    lab.sh(&format!("cd '{folder}' && {{ {script} ; }} 2>&1"))
}

/// Each project is built as its README says and measures the path; then nothing of it is left on the interface.
#[test]
fn every_project_builds_runs_and_cleans_up() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    for technique in ["io-uring", "af-xdp", "dpdk"] {
        for lang in ["c", "rust"] {
            let folder = scratch.name(&format!("{technique}-{lang}"));
            let make = ["bypass", "new", technique, "--lang", lang, &folder];
            lab.run(&scratch, &make).exits(0);
            let again = lab.run(&scratch, &make);
            assert!(again.unlike_a_refusal(&["empty"]).is_none(), "{again:#?}");
            let program = if lang == "c" {
                sh(&lab, &folder, "meson setup --buildtype=debug build && meson compile -C build");
                format!("{folder}/build/pingpong")
            } else {
                // All in one target folder, and from what cargo has at hand.
                let target = scratch.name("target");
                let built = format!("CARGO_TARGET_DIR='{target}' CARGO_INCREMENTAL=0 cargo build --quiet --offline");
                assert_eq!(sh(&lab, &folder, &built), "", "{technique}: a warning");
                format!("{target}/debug/pingpong")
            };
            let device = match technique {
                "af-xdp" => IFACE.to_owned(),
                "dpdk" => format!("net_af_packet0,iface={IFACE} {NEAR}"),
                _ => String::new(),
            };
            let said = sh(&lab, &folder, &format!("'{program}' {FAR} 8620 1000 {device}"));
            let figures = said.lines().last().unwrap_or_default();
            assert!(figures.starts_with("P50 ") && figures.contains(" µs, P99 "), "{technique} {lang}: {said}");
            let answered: u32 = figures.split(", ").nth(2).unwrap().split(' ').next().unwrap().parse().unwrap();
            assert!(answered > 900, "{technique} {lang}: {said}");
            // Nobody there, and no device: one line, and an exit that says so.
            let failed = sh(&lab, &folder, &format!("'{program}' {FAR} 8620 0 {device}; echo exit $?"));
            assert!(failed.ends_with("exit 2"), "{technique} {lang}: {failed}");
            let link = lab.sh(&format!("ip -d link show {IFACE}"));
            assert!(!link.contains("xdp"), "{technique} {lang}: {link}");
        }
    }
}
