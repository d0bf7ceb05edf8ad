//! From a stored host with a planted fault to the plan: what acts only together is one step, and what resets is known.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

use std::collections::BTreeMap;
use std::path::Path;

use lowlat_model::tune::{Resets, Scope};
use lowlat_model::{Plan, Reading, Risk};
use lowlat_plan::PlanOptions;
use lowlat_rules::{Input, check_all};
use lowlat_sys::{Captured, NetQuery, Sys};

/// A stored host with some answers replaced.
struct Planted {
    base: Captured,
    files: BTreeMap<String, String>,
    net: BTreeMap<String, serde_json::Value>,
}

impl Planted {
    fn ixgbe() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/roots/ixgbe-metal");
        Self { base: Captured::open(root).unwrap(), files: BTreeMap::new(), net: BTreeMap::new() }
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    fn reply(mut self, name: &str, value: serde_json::Value) -> Self {
        self.net.insert(format!("ens1f0/{name}"), value);
        self
    }

    fn driver(self, driver: &str) -> Self {
        self.reply("driver", serde_json::json!({"driver": driver, "version": "", "firmware": "", "bus": ""}))
    }

    fn coalesce(self, params: serde_json::Value) -> Self {
        self.reply("coalesce", params)
    }

    /// `cpus` of a governor, each with the CPUs of its policy.
    fn governors(mut self, cpus: u32, governor: &str, affected: impl Fn(u32) -> String) -> Self {
        self = self.file("/sys/devices/system/cpu/online", &format!("0-{}\n", cpus - 1));
        for n in 0..cpus {
            let at = |file: &str| format!("/sys/devices/system/cpu/cpu{n}/cpufreq/{file}");
            self = self.file(&at("scaling_governor"), &format!("{governor}\n"));
            self = self.file(&at("affected_cpus"), &format!("{}\n", affected(n)));
        }
        self
    }

    /// The plan of one rule's findings, with every consent.
    fn plan(&self, rule: &str, options: &PlanOptions) -> Plan {
        let facts = lowlat_collect::gather(self, Some("ens1f0"), None);
        let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(50_000) });
        let (mut steps, mut left_out) = (Vec::new(), Vec::new());
        for finding in seen.findings.iter().filter(|f| f.rule == rule) {
            for setting in &finding.remedy.settings {
                match lowlat_knobs::resolve(self, setting, &format!("{}: {}", finding.rule, finding.title)) {
                    Ok(step) => steps.push(step),
                    Err(left) => left_out.push(left),
                }
            }
        }
        lowlat_plan::order(steps, left_out, options)
    }
}

impl Sys for Planted {
    fn read(&self, path: &str) -> Reading<String> {
        self.files.get(path).cloned().map_or_else(|| self.base.read(path), Reading::Value)
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.base.list(path)
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        self.base.link_target(path)
    }
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        self.net.get(&query.name()).cloned().map_or_else(|| self.base.net(query), Reading::Value)
    }
    fn now_ns(&self) -> u64 {
        self.base.now_ns()
    }
    fn wait(&self, ns: u64) {
        self.base.wait(ns);
    }
}

fn all() -> PlanOptions {
    PlanOptions { allow_disruptive: true, reach: Scope::Host, ..PlanOptions::default() }
}

/// 64 processors, one policy each (github.com/scylladb/scylladb issue 1895 asks for all at once).
#[test]
fn sixty_four_governors_are_one_step() {
    let host = Planted::ixgbe().governors(64, "schedutil", |n| n.to_string());
    let plan = host.plan("governor-not-performance", &all());
    let [one] = plan.steps.as_slice() else { panic!("{} steps", plan.steps.len()) };
    assert_eq!((one.members.len(), one.ops.len()), (64, 64));
    assert_eq!((one.from.as_str(), one.to.as_str()), ("schedutil (64 policies)", "performance (64 policies)"));
}

/// Four processors of one policy: an ARM board.
#[test]
fn one_policy_is_one_write() {
    let host = Planted::ixgbe().governors(4, "ondemand", |_| "0 1 2 3".to_owned());
    let plan = host.plan("governor-not-performance", &all());
    let [one] = plan.steps.as_slice() else { panic!("{} steps", plan.steps.len()) };
    assert_eq!((one.ops.len(), one.target.to_string().as_str()), (1, "cpu0"));
    assert_eq!((one.from.as_str(), one.to.as_str()), ("ondemand", "performance"));
}

/// The driver's default delay is its adaptive mode; leaving it resets the device, both ways.
#[test]
fn ixgbe_out_of_its_adaptive_mode_needs_consent() {
    let host = Planted::ixgbe().coalesce(serde_json::json!({"rx-usecs": 1, "tx-usecs": 0}));
    let plan = host.plan("interrupt-coalescing", &PlanOptions { reach: Scope::Host, ..PlanOptions::default() });
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    assert!(plan.left_out[0].why.contains("--allow-disruptive"), "{:?}", plan.left_out);
    let plan = host.plan("interrupt-coalescing", &all());
    let [one] = plan.steps.as_slice() else { panic!("{} steps", plan.steps.len()) };
    assert_eq!((one.risk, one.resets, one.resets_link), (Risk::High, Resets::Link, true));
    assert!(one.resets_why.as_ref().unwrap().contains("TXDCTL.WTHRESH"), "{:?}", one.resets_why);
    // The same step of a driver that writes registers resets nothing and asks nobody.
    let igb = host.driver("igb").plan("interrupt-coalescing", &PlanOptions::default());
    assert_eq!((igb.steps[0].risk, igb.steps[0].resets), (Risk::Low, Resets::Nothing));
}

/// A delay and the packets to wait for: tg3's own (tg3.h, `LOW_RXCOL_TICKS_CLRTCKS`, `LOW_RXMAX_FRAMES`), and the 88 of
/// github.com/Mellanox/sockperf issue 21.
#[test]
fn the_packets_to_wait_for_go_with_the_delay() {
    let tg3 = serde_json::json!({"rx-usecs": 20, "rx-frames": 5, "tx-usecs": 72, "tx-frames": 53});
    let plan = Planted::ixgbe().driver("tg3").coalesce(tg3).plan("interrupt-coalescing", &PlanOptions::default());
    let [one] = plan.steps.as_slice() else { panic!("{} steps", plan.steps.len()) };
    assert_eq!((one.from.as_str(), one.to.as_str()), ("rx-usecs 20, rx-frames 5", "rx-usecs 1, rx-frames 1"));

    let mlx4 = serde_json::json!({"adaptive-rx": 0, "rx-usecs": 0, "rx-frames": 88, "tx-usecs": 0, "tx-frames": 16});
    let plan = Planted::ixgbe().driver("mlx4_en").coalesce(mlx4).plan("interrupt-coalescing", &PlanOptions::default());
    let [one] = plan.steps.as_slice() else { panic!("{} steps", plan.steps.len()) };
    assert_eq!((one.knob.as_str(), one.from.as_str(), one.to.as_str()), ("nic.coalesce.rx-frames", "88", "1"));

    let mlx5 = serde_json::json!({"adaptive-rx": 1, "rx-usecs": 8, "rx-frames": 128});
    let plan =
        Planted::ixgbe().driver("mlx5_core").coalesce(mlx5).plan("interrupt-coalescing", &PlanOptions::default());
    let [one] = plan.steps.as_slice() else { panic!("{} steps", plan.steps.len()) };
    assert_eq!(one.to, "adaptive-rx off, rx-usecs 0, rx-frames 1");
    assert_eq!((one.ops.len(), one.members.len(), one.resets), (3, 3, Resets::Nothing));
}

/// On a host whose driver nobody has read, rings ask for consent and say why.
#[test]
fn a_driver_that_is_not_known_gets_a_cautious_answer() {
    let host = Planted::ixgbe().driver("nobody_knows");
    let setting = lowlat_model::finding::Setting {
        knob: "nic.ring.rx".into(),
        target: "ens1f0".parse().unwrap(),
        value: "1024".into(),
        joint: None,
    };
    let step = lowlat_knobs::resolve(&host, &setting, "a test").unwrap();
    assert_eq!((step.resets, step.risk), (Resets::Link, Risk::High));
    assert!(step.resets_why.unwrap().starts_with("not known for driver nobody_knows"));
}
