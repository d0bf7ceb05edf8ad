//! Each option of each command with each class of value that it cannot take: exit 2, one line on stderr with a next step,
//! nothing on stdout, and nothing written. The counts are `fixtures/bad-input.json`, from which
//! `docs/reference/safety.md` is made; `LOWLAT_BLESS=1` writes it.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Scratch, run};

/// What no flag that takes a time takes.
const TIMES: &[&str] = &[
    "",
    " ",
    "abc",
    "5",
    "-1s",
    "1..5s",
    "s",
    "1ss",
    "5 parsecs",
    "0x10ms",
    "1s;reboot",
    "1e400s",
    "NaNs",
    "infs",
    "nan",
    "99999999999999999999999h",
    "１s",
    "1\u{200b}s",
    "\u{1b}[31m1s",
    "1s\nx",
    "$(reboot)",
    "1m s",
    "+",
    "--",
    "1/2s",
];
/// What no flag that takes a whole number takes.
const NUMBERS: &[&str] = &[
    "",
    " ",
    "abc",
    "-1",
    "1.5",
    "1e3",
    "0x10",
    "１",
    "NaN",
    "inf",
    "99999999999999999999999",
    "1 2",
    "1;reboot",
    "\u{1b}[31m1",
    "1\nx",
    "$(reboot)",
    "--",
    "+-1",
];
/// What no list of names has.
const NAMES: &[&str] = &["", " ", "warp", "udp,", "../../etc/passwd", "\u{1b}[31m", "a\nb", "$(reboot)", "%s%n", "--"];
const GOALS: &[&str] = &[
    "",
    " ",
    "50",
    "p98=50us",
    "p50",
    "=50us",
    "p50=",
    "p50==5us",
    "50us,",
    ",50us",
    "50us,50us",
    "p50=50us,p50=60us",
    "max=0us",
    "-50us",
    "0us",
    "NaNus",
    "1e99s",
    "p100=5us",
    "p-1=5us",
    "p50:50us",
    "50us;60us",
    "$(reboot)us",
    "５０us",
    "max=1us,p50=2us",
    "50us 60us",
];
const SHARES: &[&str] = &["", "5", "0.05", "-1%", "x%", "%", "NaN%", "inf%", "200%", "0%", "1%%", "１%"];
const SWEEPS: &[&str] = &[
    "",
    "rate",
    "rate=",
    "=1",
    "speed=1",
    "RATE=1",
    "rate:1",
    "rate=0",
    "rate=-1",
    "rate=x",
    "rate=1..",
    "rate=..1",
    "rate=9..1",
    "rate=1..1",
    "rate=NaN",
    "rate=inf",
    "rate=1..inf",
    "rate=1..1e300",
    "rate=1,x",
    "size=",
    "size=0",
    "size=-1",
    "size=1.5",
    "size=x",
    "size=64,",
    "size=,64",
    "size=64;128",
    "size=100000",
    "interval=",
    "interval=5",
    "interval=x",
    "interval=1s..1ms",
    "interval=1ms,",
];
const PATTERNS: &[&str] = &[
    "",
    "wave",
    "burst",
    "burst:",
    "burst:0",
    "burst:-1",
    "burst:x",
    "burst:1.5",
    "Poisson",
    "fixed:1",
    "poisson:2",
    "burst:99999999999999999999",
];
const RANGES: &[&str] = &[
    "",
    " ",
    "10.0.0.0/",
    "/8",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.1/8",
    "10.0.0.0/8/8",
    "::/129",
    "::1/64",
    "everybody",
    "10.0.0/8",
    "10.0.0.0/8,192.168.0.0/16",
    "0x0a.0.0.0/8",
    "10.0.0.0/ 8",
    "[::]/0",
    "256.0.0.0/8",
    "1.2.3.4.5/8",
];
const ADDRESSES: &[&str] = &[
    "",
    " ",
    "localhost",
    "127.0.0.1:80",
    "[::1]",
    "::1%lo",
    "256.0.0.1",
    "127.1",
    "0x7f.0.0.1",
    "1.2.3.4/8",
    "::g",
    "224.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "*",
];
/// None of them needs a name server to be refused.
const TARGETS: &[&str] = &[
    "[",
    "]",
    "[]",
    "[::1",
    "::1]",
    "[127.0.0.1]",
    "127.0.0.1:",
    "127.0.0.1:x",
    "127.0.0.1:-1",
    "127.0.0.1:65536",
    "127.0.0.1:1.5",
    "fe80::1",
    "fe80::1%nosuch0",
    "fd00::1%lo",
    "[fe80::1%lo]:x",
    "[::1]x",
    "[::1]:",
    "[::1]:70000",
];
const DPDK_PORTS: &[&str] = &[
    "",
    " ",
    "eth0",
    "net_pcap0",
    "net_af_packet0 --vdev=net_tap0",
    "net_af_packet0,iface=lo;reboot",
    "03:00.0",
    "0000:03:00:0",
    "0000:03:00.00",
    "0000:zz:00.0",
    "\u{1b}[31m",
    "net_tap\n",
    "１",
];
const SUBNETS: &[&str] =
    &["", "10.0.0.1", "10.0.0.1/", "10.0.0.1/0", "10.0.0.1/33", "/24", "::1/64", "10.0.0/24", "x/24"];
const INTERFACES: &[&str] = &[
    "",
    " ",
    "nosuch0",
    "../etc",
    "a-name-longer-than-the-kernel-takes",
    "lo\n",
    "lo/0",
    "\u{1b}[31m",
    "lo ",
    " lo",
    "é",
    ".",
    "eth0:1x9",
    "%s",
];

/// A command with what it needs, and what it takes: options, and the values that none of them takes.
type Takes = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const MEASURE: &[&str] = &["measure", "127.0.0.1"];
const COMPARE: &[&str] = &["compare", "block", "spin", "--target", "127.0.0.1"];
const OPTIMIZE: &[&str] = &["optimize", "--iface", "lo", "--target", "127.0.0.1", "--dry-run"];
const JUDGED: &[&str] = &["optimize", "--iface", "lo", "--judge", "echo 1", "--dry-run"];
const VERDICT: &[&str] = &["bypass", "verdict", "127.0.0.1"];
const SERVE: &[&str] = &["serve", "--port", "0"];

const OPTIONS: &[(&str, &[Takes])] = &[
    (
        "a time that is none",
        &[
            (MEASURE, &["--timeout", "--duration", "--warmup", "--busy-poll"], TIMES),
            (COMPARE, &["--timeout", "--round", "--busy-poll"], TIMES),
            (OPTIMIZE, &["--timeout", "--round", "--duration", "--present", "--busy-poll"], TIMES),
            (JUDGED, &["--judge-timeout"], TIMES),
            (VERDICT, &["--timeout", "--duration", "--busy-poll"], TIMES),
            (&["noise"], &["--duration", "--interval", "--threshold", "--goal"], TIMES),
            (&["watch", "--port", "9"], &["--duration", "--interval"], TIMES),
            (SERVE, &["--report"], TIMES),
            (&["facts"], &["--window"], TIMES),
            (&["check"], &["--window"], TIMES),
            (&["apply", "no-plan.json"], &["--confirm-within"], TIMES),
            (&["bypass", "bind", "lo"], &["--confirm-within"], TIMES),
            (&["bypass", "hugepages", "--node", "0", "--count", "1"], &["--confirm-within"], TIMES),
        ],
    ),
    (
        "a number that is none",
        &[
            (MEASURE, &["--size", "--cpu", "--count", "--rt", "--priority", "--dscp", "--load"], NUMBERS),
            (COMPARE, &["--size", "--cpu", "--pairs", "--priority", "--dscp", "--seed"], NUMBERS),
            (OPTIMIZE, &["--size", "--cpu", "--pairs", "--priority", "--dscp", "--load"], NUMBERS),
            (VERDICT, &["--size", "--cpu", "--priority", "--dscp", "--seed"], NUMBERS),
            (&["noise"], &["--cpus", "--rt"], NUMBERS),
            (&["watch"], &["--port", "--pid"], NUMBERS),
            (&["bypass", "hugepages", "--node", "99999"], &["--count"], NUMBERS),
            (&["bypass", "hugepages", "--count", "1"], &["--node"], NUMBERS),
            (&["serve"], &["--port", "--cpu", "--source-limit", "--total-limit", "--sockperf", "--stamp"], NUMBERS),
        ],
    ),
    (
        "a name that no list has",
        &[
            (MEASURE, &["--proto", "--mode", "--clock", "--engine", "--peer"], NAMES),
            (COMPARE, &["--proto"], NAMES),
            (OPTIMIZE, &["--proto", "--engine"], NAMES),
            (VERDICT, &["--proto", "--peer", "--engines"], NAMES),
            (&["bypass", "new", "af-xdp", "project"], &["--lang"], NAMES),
            (&["bypass", "hugepages", "--node", "0", "--count", "1"], &["--size"], NAMES),
            (&["plan", "--set", "steer.rps", "lo/rx-0", "0"], &["--export"], NAMES),
            (&["report", "last"], &["--format"], NAMES),
            (&["demo"], &["--lab"], NAMES),
        ],
    ),
    (
        "a goal or threshold that is none",
        &[
            (MEASURE, &["--goal"], GOALS),
            (&["check", "--window", "none"], &["--goal"], GOALS),
            (&["plan"], &["--goal"], GOALS),
            (&["demo"], &["--goal"], GOALS),
            (OPTIMIZE, &["--goal"], GOALS),
            (OPTIMIZE, &["--worth", "--false-keep"], SHARES),
            (VERDICT, &["--goal"], GOALS),
            (VERDICT, &["--worth"], SHARES),
        ],
    ),
    (
        "a schedule that is none",
        &[
            (MEASURE, &["--sweep"], SWEEPS),
            (&["measure", "127.0.0.1", "--mode", "open-loop", "--rate", "10"], &["--pattern"], PATTERNS),
        ],
    ),
    ("an address or range that is none", &[(SERVE, &["--allow"], RANGES), (SERVE, &["--bind"], ADDRESSES)]),
    (
        "a DPDK port that is none",
        &[
            (&["measure", "127.0.0.1", "--engine", "dpdk"], &["--dpdk-port"], DPDK_PORTS),
            (&["measure", "127.0.0.1", "--engine", "dpdk", "--dpdk-port", "net_tap"], &["--dpdk-address"], SUBNETS),
            (&["serve", "--engine", "dpdk", "--dpdk-address", "192.0.2.1/24"], &["--dpdk-port"], DPDK_PORTS),
            (&["serve", "--engine", "dpdk"], &["--dpdk-address"], SUBNETS),
        ],
    ),
    (
        "an interface that there is none of",
        &[
            (&["facts"], &["--iface"], INTERFACES),
            (&["check", "--window", "none"], &["--iface"], INTERFACES),
            (&["plan"], &["--iface"], INTERFACES),
            (MEASURE, &["--iface"], INTERFACES),
            (COMPARE, &["--iface"], INTERFACES),
            (&["optimize", "--target", "127.0.0.1", "--dry-run"], &["--iface"], INTERFACES),
            (&["bypass", "check"], &["--iface"], INTERFACES),
            (VERDICT, &["--iface"], INTERFACES),
            (&["serve", "--bind", "127.0.0.1", "--port", "8620"], &["--xdp"], INTERFACES),
        ],
    ),
];

/// Options that are keys of a config file too, of `measure`.
const KEYS: &[&str] = &[
    "proto",
    "peer",
    "size",
    "cpu",
    "timeout",
    "dscp",
    "priority",
    "key-file",
    "busy-poll",
    "engine",
    "iface",
    "mode",
    "rate",
    "pattern",
    "duration",
    "count",
    "warmup",
    "load",
    "goal",
    "sweep",
    "rt",
    "log",
    "out",
    "clock",
];
/// What follows `key = ` and is no value of any of them, or no TOML.
const NO_VALUES: &[&str] = &["{ a = 1 }", "[[1]]", "2024-01-01", "\"open", "", "1 2", "truely", "0x"];

/// Documents that are none of those that are asked for.
const DOCUMENTS: &[&str] = &[
    "",
    "[]",
    "null",
    "1",
    "\"x\"",
    "{}",
    "{",
    "{}}",
    "\u{feff}{}",
    "\0\u{1}\u{2}",
    "{\"schema\": 1}",
    "{\"schema\": {}}",
    "{\"schema\": {\"name\": \"lowlat.plan\"}}",
    "{\"schema\": {\"name\": \"left-pad\", \"version\": 1}}",
    "{\"schema\": {\"name\": \"lowlat.plan\", \"version\": 0}}",
    "{\"schema\": {\"name\": \"lowlat.facts\", \"version\": 99}}",
    "{\"schema\": {\"name\": \"lowlat.plan\", \"version\": -1}}",
    "{\"schema\": {\"name\": \"lowlat.facts\", \"version\": \"1\"}}",
    "{\"schema\": {\"name\": \"lowlat.schema\", \"version\": 1}}",
    "{\"schema\": {\"name\": [\"lowlat.plan\"], \"version\": 1}}",
];

type Case = Vec<String>;

fn words(all: &[&str]) -> Case {
    all.iter().map(|s| (*s).to_owned()).collect()
}

/// Kinds of case, and the cases.
fn matrix(files: &Scratch) -> Vec<(&'static str, Vec<Case>)> {
    let with = |(base, options, values): &Takes| -> Vec<Case> {
        let of = |option: &&str, value: &&str| [words(base), vec![format!("{option}={value}")]].concat();
        options.iter().flat_map(|o| values.iter().map(move |v| of(o, v))).collect()
    };
    let mut all: Vec<(&str, Vec<Case>)> =
        OPTIONS.iter().map(|(kind, takes)| (*kind, takes.iter().flat_map(with).collect())).collect();
    let targets = |before: &[&str], after: &[&str]| -> Vec<Case> {
        TARGETS.iter().map(|t| [words(before), words(&[t]), words(after)].concat()).collect()
    };
    all.push((
        "a target that is none",
        [
            targets(&["measure"], &[]),
            targets(&["compare", "block", "spin", "--target"], &[]),
            targets(&["optimize", "--iface", "lo", "--dry-run", "--target"], &[]),
        ]
        .concat(),
    ));
    let nowhere = ["nope0", "cpu99999", ""];
    let of_knob = |k: &&lowlat_knobs::Knob| nowhere.map(|t| words(&["plan", "--set", k.meta.name, t, "no such value"]));
    all.push(("a setting at a place that there is none of", lowlat_knobs::KNOBS.iter().flat_map(of_knob).collect()));
    let by_name = ["explain", "schema", "report"];
    let unknown = by_name.iter().flat_map(|c| NAMES.iter().map(|n| words(&[c, "--", n]))).collect();
    all.push(("a page, schema or run that there is none of", unknown));
    let mut configs = Vec::new();
    for (key, value) in KEYS.iter().flat_map(|k| NO_VALUES.iter().map(move |v| (k, v))) {
        let file = files.file(&format!("{}.toml", configs.len()), format!("{key} = {value}\n"));
        configs.push(words(&["measure", "127.0.0.1", "--config", &file]));
    }
    all.push(("a configuration that cannot be read", configs));
    let mut documents = Vec::new();
    for (n, text) in DOCUMENTS.iter().enumerate() {
        let file = files.file(&format!("{n}.json"), text);
        let taken = [&["check", "--window", "none", "--facts"][..], &["plan", "--facts"], &["apply"], &["report"]];
        documents.extend(taken.map(|before| [words(before), words(&[&file])].concat()));
    }
    all.push(("a document that is none", documents));
    all
}

/// Every name below a directory, with its bytes.
fn below(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
    entries
        .flat_map(|e| {
            let path = e.path();
            let own = (path.display().to_string(), if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() });
            below(&path).into_iter().chain([own])
        })
        .collect()
}

/// What is wrong with each case, by its number. A few at a time: most of a case is the start of a process.
fn tried(scratch: &Scratch, cases: &[Case]) -> BTreeMap<usize, String> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                while let Some((n, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, cases.get(n)?)))
                {
                    let args: Vec<&str> = case.iter().map(String::as_str).collect();
                    // What takes its value for good runs on: it is ended, and wrong.
                    let mut command = Command::new("timeout");
                    command.args(["20", common::LOWLAT]).args(&args).stdin(Stdio::null()).current_dir(scratch.path());
                    command.env("LOWLAT_STATE", scratch.state()).env("HOME", scratch.path());
                    if let Some(why) = run(&mut command).unlike_a_refusal(&[]) {
                        wrong.lock().unwrap().insert(n, why);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn every_option_refuses_what_it_cannot_take() {
    let (scratch, files) = (Scratch::new(), Scratch::new());
    let (mut wrong, mut record, mut distinct) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for (kind, cases) in matrix(&files) {
        for case in &cases {
            assert!(distinct.insert(case.clone()), "{case:?} is there twice");
        }
        let bad = tried(&scratch, &cases);
        record.insert(kind, BTreeMap::from([("tried", cases.len()), ("right", cases.len() - bad.len())]));
        wrong.extend(bad.into_values());
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(below(scratch.path()), BTreeMap::new(), "something was written");
    let tried: usize = record.values().map(|row| row["tried"]).sum();
    assert!(tried >= 1_500, "{tried} cases");
    let text = serde_json::to_string_pretty(&record).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bad-input.json");
    if std::env::var_os("LOWLAT_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "LOWLAT_BLESS=1 writes it anew");
}
