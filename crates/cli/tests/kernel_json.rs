//! `--json`: whatever a command prints is one document that `lowlat schema NAME` allows, and every document there is
//! has a command here that prints it. (The other suites hold every document they read to its schema too.)
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use common::lab::{FAR, IFACE, Lab};
use common::{Ran, Scratch, Started, document, run};

/// What was printed: the names of documents.
#[derive(Default)]
struct Printed(BTreeSet<String>);

impl Printed {
    /// Asserts that the one document printed is the one meant, and allowed.
    #[track_caller]
    fn is(&mut self, ran: &Ran, name: &str) -> Value {
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        let value = ran.json();
        assert_eq!(document::name(&value), name, "{}", ran.words);
        self.0.insert(name.to_owned());
        value
    }
}

/// What runs without a probe of ours: the far host's trace, and a watch.
fn live_traffic(lab: &Lab, scratch: &Scratch, far: &Started, printed: &mut Printed) {
    let ask = |args: &str| lab.run(scratch, &[&args.split_whitespace().collect::<Vec<_>>()[..], &["--json"]].concat());
    let tracefs = "mount -t tracefs none /sys/kernel/tracing";
    let answers = ["trace", "--answers", "8620", "--duration", "100ms", "--json"];
    printed.is(&run(&mut lab.lowlat_far_after(scratch, tracefs, &answers)), "far-trace");
    let far_end = format!("watch --pid {} --duration 60ms --interval 20ms", far.pid());
    printed.is(&ask(&far_end), "watch");
    printed.is(&ask("watch --from last"), "watch");
    recorded_shape(lab, scratch, printed);
}

/// The shape of a captured flow is printed, stored, reported in each form, and sent.
fn recorded_shape(lab: &Lab, scratch: &Scratch, printed: &mut Printed) {
    let packets: Vec<(u64, u16)> =
        (0..40).map(|n| (n / 4 * 5_000_000 + n % 4 * 10_000, 100 + u16::try_from(n).unwrap())).collect();
    let (file, shape) = (scratch.file("flow.pcap", common::capture(&packets)), scratch.name("flow.json"));
    let all = ["shape", "--from-pcap", &file, "--port", "6000", "--out", &shape];
    let made = printed.is(&lab.run(scratch, &[&all[..], &["--json"]].concat()), "shape");
    let packet = |n: usize, key: &str| made["packets"][n][key].as_u64().unwrap();
    assert_eq!(made["packets"].as_array().unwrap().len(), 40, "{made:#}");
    assert_eq!((packet(0, "gap_ns"), packet(1, "gap_ns"), packet(4, "gap_ns")), (4_970_000, 10_000, 4_970_000));
    assert_eq!((packet(39, "size_bytes"), &made["flow"]), (139, &json!("192.0.2.1:5000 to 192.0.2.2:6000")));
    assert_eq!(printed.is(&lab.run(scratch, &["report", &shape, "--json"]), "shape"), made);
    for (format, mark) in [("text", "10 bursts of 4 packets"), ("md", "10 bursts of 4 packets"), ("html", "<svg")] {
        let page = lab.run(scratch, &["report", &shape, "--format", format]).exits(0).out.clone();
        assert!(page.contains(mark), "{format}: {page}");
    }
    let m = lab.run(scratch, &["measure", FAR, "--shape", &shape, "--duration", "200ms", "--json"]);
    let m = printed.is(&m, "measure");
    assert_eq!(m["shape"]["phases"].as_array().unwrap().len(), 4, "{:#}", m["shape"]);
}

/// A zero-copy run is stored, printed again in each format, and not overwritten unasked.
fn stored_zero_copy(lab: &Lab, scratch: &Scratch, printed: &mut Printed) {
    let ask = |args: &str, more: &[&str]| {
        let all: Vec<&str> = args.split_whitespace().chain(more.iter().copied()).chain(["--json"]).collect();
        lab.run(scratch, &all)
    };
    let zero = scratch.name("zero");
    let sent = ask(&format!("measure {FAR} --duration 300ms --zerocopy=65536,1024 --out"), &[&zero]);
    let sent = printed.is(&sent, "zerocopy");
    zero_copy(&sent);
    assert_eq!(printed.is(&ask("report", &[&zero]), "zerocopy"), sent);
    for (format, mark) in [("text", "copied anyway"), ("md", "| 1024 "), ("html", "<html")] {
        let page = lab.run(scratch, &["report", &zero, "--format", format]).exits(0).out.clone();
        assert!(page.contains(mark) && page.contains("msg-zerocopy"), "{format}: {page}");
    }
    let again = ["measure", FAR, "--duration", "300ms", "--zerocopy", "--out", &zero];
    lab.run(scratch, &again).refuses(&["zerocopy.json", "--overwrite"]);
}

#[test]
fn every_command_prints_the_document_that_its_schema_allows() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let far = lab.serve(&scratch, &["--json"]);
    lab.plant();
    let mut printed = Printed::default();
    let file = |name: &str| scratch.name(name);
    let ask = |args: &str, more: &[&str]| {
        let all: Vec<&str> = args.split_whitespace().chain(more.iter().copied()).chain(["--json"]).collect();
        lab.run(&scratch, &all)
    };
    let on = ["--iface", IFACE];
    let (facts, plan, idle, swept) = (file("facts.json"), file("plan.json"), file("idle"), file("swept"));
    let engines = file("engines");

    let seen = ask("facts --window 50ms", &on);
    printed.is(&seen, "facts");
    scratch.file("facts.json", &seen.out);
    printed.is(&ask("check --window 50ms", &on), "check");
    printed.is(&ask("check --window none --facts", &[&facts]), "check");
    printed.is(&ask("plan --facts", &[&facts]), "plan");
    printed.is(&ask("noise --duration 50ms --cpus 0", &[]), "noise");
    let bypass = printed.is(&ask("bypass check", &on), "bypass");
    af_xdp(&bypass);
    let said = lab.run(&scratch, &[&["bypass", "check"][..], &on].concat()).exits(0).out.clone();
    assert!(said.contains(&format!("Attaching an XDP program to {IFACE}, and taking it off, frees")), "{said}");
    printed.is(&ask("bypass check --iface lo", &[]), "bypass");
    let names = printed.is(&ask("explain", &[]), "explain");
    let knob = names["names"][1]["names"][0].as_str().unwrap();
    assert!(printed.is(&ask("explain", &[knob]), "explain")["page"].as_str().unwrap().contains(knob));
    printed.is(&ask("measure --self", &[]), "self");

    for more in [
        "--proto icmp",
        "--proto tcp --engine spin --stamps",
        "--mode open-loop --rate 2000 --load 1 --stamps",
        "--engine epoll --dscp 46",
    ] {
        let all: Vec<&str> = more.split_whitespace().collect();
        printed.is(&ask(&format!("measure {FAR} --duration 200ms"), &all), "measure");
    }
    printed.is(&ask(&format!("trace {FAR} --duration 200ms"), &[]), "trace");
    printed.is(&ask("report last", &[]), "trace");
    live_traffic(&lab, &scratch, &far, &mut printed);
    printed.is(&ask(&format!("measure {FAR} --duration 200ms --out"), &[&idle]), "measure");
    printed.is(&ask("report", &[&idle]), "measure");
    printed.is(&ask(&format!("measure {FAR} --duration 50ms --sweep size=64,512 --out"), &[&swept]), "sweep");
    printed.is(&ask("report", &[&swept]), "sweep");
    stored_zero_copy(&lab, &scratch, &mut printed);
    // AF_XDP takes no TCP: said among all, refused by name.
    let all = format!("measure {FAR} --engine all --proto tcp --duration 120ms --out");
    let compared = printed.is(&ask(&all, &[&engines]), "engines");
    every_engine(&compared);
    assert_eq!(printed.is(&ask("report", &[&engines]), "engines"), compared);
    for named in ["af-xdp", "block,af-xdp"] {
        lab.run(&scratch, &["measure", FAR, "--proto", "tcp", "--engine", named]).refuses(&[
            "af-xdp",
            "UDP",
            "use --engine",
        ]);
    }
    lab.run(&scratch, &["measure", FAR, "--engine", "suspend"]).refuses(&["suspend", IFACE, "NAPI", "--engine epoll"]);
    printed.is(&ask("compare", &[&idle, &idle]), "compare");
    printed.is(&ask(&format!("compare block spin --target {FAR} --pairs 4 --round 30ms"), &[]), "compare");

    let short = format!("bypass verdict {FAR} --engines block,spin,af-xdp --duration 200ms");
    printed.is(&ask(&short, &on), "bypass-verdict");
    printed.is(&ask("report last", &[]), "bypass-verdict");
    printed.is(&ask("bypass new io-uring --lang c", &[&file("project")]), "bypass-new");

    printed.is(&ask("status", &[]), "status");
    printed.is(&ask("rollback", &[]), "rollback");
    printed.is(&ask("persist", &[]), "persist");
    let one = ["--set", "sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0", "--out", &plan];
    printed.is(&ask("plan", &one), "plan");
    printed.is(&ask("apply", &[&plan]), "status");
    printed.is(&ask("status", &[]), "status");
    // An /etc of its own, gone with the command: what it wrote there is a file that rollback finds gone.
    let etc = "mount -t tmpfs none /etc";
    let kept = printed.is(&run(&mut lab.lowlat_after(&scratch, etc, &["persist", "--json"])), "persist");
    assert!(kept["wrote"][0].as_str().unwrap().starts_with("/etc/"), "{kept:#}");
    let back = printed.is(&ask("rollback", &[]), "rollback");
    let outcome = |knob: &str| back["settings"].as_array().unwrap().iter().find(|s| s["knob"] == knob).unwrap();
    assert_eq!(outcome(one[1])["outcome"], "restored", "{back:#}");
    assert_eq!((&outcome("persist")["settled"], &back["complete"]), (&json!(true), &json!(true)), "{back:#}");
    ask("apply --confirm-within 60s", &[&plan]);
    assert_eq!(printed.is(&ask("confirm", &[]), "confirm")["confirmed"], 1);
    printed.is(&ask("rollback", &[]), "rollback");

    let short = format!("optimize --target {FAR} --pairs 4 --round 30ms --duration 300ms --load 0 --engines none");
    let path = ["--iface", IFACE, "--goal", "50us"];
    printed.is(&ask(&format!("{short} --dry-run"), &path), "optimize");
    let done = printed.is(&ask(&short, &path), "optimize");
    assert_ne!(done["steps"], json!([]), "{done:#}");
    printed.is(&ask("report last", &[]), "optimize");
    printed.is(&ask("rollback", &[]), "rollback");
    journalled(&scratch, &mut printed);

    far.signal("INT");
    let served = printed.is(&far.wait(), "serve");
    assert!(served["answered"].as_u64().unwrap() > 0, "{served:#}");

    let all: BTreeSet<String> = lowlat_model::schema::DOCUMENTS.iter().map(|(n, _)| (*n).to_owned()).collect();
    assert_eq!(printed.0, all);
    for name in &all {
        let schema: Value = serde_json::from_str(&run(&mut scratch.lowlat(&["schema", name])).exits(0).out).unwrap();
        assert_eq!(Some(schema), lowlat_report::schema(name), "{name}");
    }
}

/// What AF_XDP would get on a veth pair.
fn af_xdp(bypass: &Value) {
    let af_xdp = &bypass["af_xdp"]["value"];
    assert_eq!(
        (&af_xdp["attaching_resets"], &af_xdp["refused"]),
        (&"queues".into(), &serde_json::Value::Null),
        "{bypass:#}"
    );
    assert!(af_xdp["mtu"].is_u64() && af_xdp["memory_bytes"].as_u64() > Some(1_000_000), "{bypass:#}");
    assert!(af_xdp["kernel"].as_str().unwrap().contains('.') && af_xdp["device"] == bypass["iface"], "{bypass:#}");
}

/// Both ways were measured at both sizes, with an interval; over veth the kernel copies anyway, and says so.
fn zero_copy(d: &Value) {
    let sizes: Vec<&Value> = d["sizes"].as_array().unwrap().iter().map(|s| &s["size_bytes"]).collect();
    assert_eq!(sizes, [&json!(1024), &json!(65536)], "{d:#}");
    for size in d["sizes"].as_array().unwrap() {
        assert!(size["plain_cpu_ns"].as_u64() > Some(0), "{d:#}");
        for figure in size["against"].as_array().unwrap() {
            let [low, middle, high] =
                ["cpu_ratio_low", "cpu_ratio", "cpu_ratio_high"].map(|key| figure[key].as_f64().unwrap());
            assert!(0.0 < low && low <= middle && middle <= high, "{d:#}");
            // 13 rounds of at least eight sends.
            assert!(figure["completed"].as_u64() >= Some(104), "{d:#}");
        }
    }
    let method = &d["methods"][0];
    assert_eq!((&method["how"], &method["copied_ratio"]), (&json!("msg-zerocopy"), &json!(1.0)), "{d:#}");
    assert!(method["words"].as_str().unwrap().contains("copied anyway"), "{d:#}");
}

/// Each engine has its figures and its cost, or says why not; what a veth pair has not is not counted as 0.
fn every_engine(document: &Value) {
    let rows = document["engines"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|r| r["engine"].as_str().unwrap()).collect();
    assert_eq!(names, lowlat_live::path::ENGINES);
    for row in rows {
        let (name, cost) = (&row["engine"], &row["cost"]);
        // A veth pair without GRO has no NAPI instance (drivers/net/veth.c, veth_open).
        if let Some((_, why)) =
            [("af-xdp", "UDP"), ("dpdk", "UDP"), ("suspend", "NAPI")].iter().find(|(n, _)| name == n)
        {
            assert!(row["why_not"].as_str().unwrap().contains(why), "{row:#}");
            continue;
        }
        assert!(row["measurement"]["rtt"]["p50_ns"].as_u64().is_some(), "{row:#}");
        let number = |key: &str| cost[key].as_f64().unwrap_or_else(|| panic!("{name}: no {key}: {cost:#}"));
        // One call to send and one to receive at least; and each engine that sleeps does so in the kernel.
        assert!(number("syscalls_per_message") >= 1.9, "{name}: {cost:#}");
        assert!(number("cpu_ratio") <= 1.01 && number("cpu_ns_per_message") > 0.0, "{name}: {cost:#}");
        assert!(number("sleeps_per_message") < 2.5, "{name}: {cost:#}");
        assert_eq!(cost["interrupts_per_message"], Value::Null, "{name}");
        assert_eq!(cost["not_counted"][0]["fact"], "interrupts", "{name}");
        assert!(row["state"]["words"].as_str().unwrap().contains("TCP connection"), "{row:#}");
    }
}

/// A journal's lines are `crc32 json`.
fn journalled(scratch: &Scratch, printed: &mut Printed) {
    let schema = lowlat_report::schema("journal").unwrap();
    let journals = scratch.journals();
    let lines =
        journals.iter().filter(|(name, _)| name.ends_with(lowlat_apply::disk::ENDING)).flat_map(|(_, bytes)| {
            std::str::from_utf8(bytes)
                .unwrap()
                .lines()
                .map(|l| serde_json::from_str(l.split_once(' ').unwrap().1).unwrap())
        });
    let mut entries = BTreeSet::new();
    for entry in lines {
        let entry: Value = entry;
        document::against(&schema, "journal", &entry);
        entries.insert(entry["entry"].as_str().unwrap().to_owned());
    }
    for wanted in ["begin", "intent", "done", "undone", "confirmed", "closed"] {
        assert!(entries.contains(wanted), "{wanted} is not in {entries:?}");
    }
    printed.0.insert("journal".to_owned());
}

#[test]
fn a_document_that_its_schema_does_not_allow_is_refused() {
    let good = run(&mut Scratch::new().lowlat(&["check", "--window", "none", "--json"])).json();
    let schema = lowlat_report::schema("check").unwrap();
    let mut left_out = good.clone();
    left_out.as_object_mut().unwrap().remove("not_seen");
    let mut wrong_type = good.clone();
    wrong_type["findings"] = json!("none");
    let mut wrong_word = good;
    wrong_word["findings"] = json!([{"rule": "x", "severity": "dreadful", "title": "", "evidence": []}]);
    for (bad, named) in [(left_out, "not_seen"), (wrong_type, "/findings"), (wrong_word, "dreadful")] {
        let refused = std::panic::catch_unwind(|| document::against(&schema, "check", &bad)).unwrap_err();
        let words = refused.downcast_ref::<String>().unwrap();
        assert!(words.contains(named), "{named}: {words}");
    }
}
