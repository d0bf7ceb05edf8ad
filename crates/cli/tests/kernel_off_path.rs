//! Thirty random topologies with faults on and off the path: every fault on the path is found, and what is planned is
//! applied without one write off the path.
//!
//! `bench/off-path` runs it alone and prints what it did.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)] // a test

mod common;

use common::Scratch;
use common::lab::{FAR, IFACE, Lab};
use lowlat_model::random::Random;
use serde_json::Value;

const TOPOLOGIES: u64 = 30;

/// Faults, each with the rule that finds it.
const FAULTS: &[(&str, &str)] = &[
    ("shaper-below-line-rate", "tc qdisc replace dev DEV root handle 1: tbf rate 2mbit burst 1600 limit 65536"),
    ("shaper-below-line-rate", "tc qdisc replace dev DEV root handle 7: tbf rate 500kbit burst 3200 limit 9000"),
    ("rps-remote-cpu", "echo 2 > /sys/class/net/DEV/queues/rx-0/rps_cpus"),
];

/// Builds the path and gives its target and its interfaces.
fn path(lab: &Lab, draw: &mut Random) -> (&'static str, Vec<&'static str>) {
    match draw.below(3) {
        0 => (FAR, vec![IFACE]),
        1 => {
            lab.sh(&format!("ip address flush dev {IFACE}"));
            lab.ip("link add br0 type bridge");
            lab.ip("link set br0 addrgenmode none");
            lab.ip(&format!("link set {IFACE} master br0"));
            lab.ip("address add 198.18.7.1/24 dev br0");
            lab.ip("link set br0 up");
            (FAR, vec!["br0", IFACE])
        }
        _ => {
            lab.ip(&format!("link add vx0 type vxlan id 7 remote {FAR} dstport 4789"));
            lab.ip("link set vx0 addrgenmode none up");
            lab.ip("address add 198.18.8.1/24 dev vx0");
            ("198.18.8.2", vec!["vx0", IFACE])
        }
    }
}

fn plant(lab: &Lab, draw: &mut Random, iface: &str) -> &'static str {
    let (rule, script) = FAULTS[draw.below(FAULTS.len())];
    lab.sh(&script.replace("DEV", iface));
    rule
}

/// A fault on the path: on the device, or behind an ifb that it redirects to.
fn plant_on_path(lab: &Lab, draw: &mut Random, on: &mut Vec<&'static str>) -> &'static str {
    if draw.below(3) > 0 {
        return plant(lab, draw, IFACE);
    }
    lab.ip("link add ifb-on type ifb");
    lab.ip("link set ifb-on addrgenmode none up");
    lab.sh(&format!("tc qdisc add dev {IFACE} ingress"));
    lab.sh(&format!(
        "tc filter add dev {IFACE} parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev ifb-on"
    ));
    on.push("ifb-on");
    let (rule, script) = FAULTS[0];
    lab.sh(&script.replace("DEV", "ifb-on"));
    rule
}

/// What is set on the interfaces off the path, as the shell sees it.
fn beside(lab: &Lab, ifaces: &[String]) -> String {
    let one = |i: &String| {
        format!(
            "tc qdisc show dev {i}; ip -details link show dev {i}; \
             grep -r . /sys/class/net/{i}/queues/*/[rx]ps_* /sys/class/net/{i}/*flush* /sys/class/net/{i}/napi* 2>/dev/null"
        )
    };
    lab.sh(&format!("{}; true", ifaces.iter().map(one).collect::<Vec<_>>().join(";")))
}

/// Writes that journals report; none may name an interface off the path.
fn journalled(scratch: &Scratch, others: &[String]) -> usize {
    let of = |(name, journal): (String, Vec<u8>)| {
        let text = String::from_utf8_lossy(&journal).into_owned();
        let off = others.iter().find(|o| text.contains(o.as_str()));
        assert!(off.is_none(), "{name} wrote to {off:?}: {text}");
        text.matches("\"locus\"").count()
    };
    scratch.journals().into_iter().map(of).sum()
}

/// The whole loop, with short rounds: what it toggles in its trials is on the path too. The number of its writes.
fn the_loop(lab: &Lab, iface: &str, others: &[String], before: &str) -> usize {
    let (near, far) = (Scratch::new(), Scratch::new());
    let _serve = lab.serve(&far, &[]);
    // A bridge has a carrier once its port forwards.
    common::until("the path has a carrier", || lab.sh(&format!("cat /sys/class/net/{iface}/carrier")) == "1");
    let ask = ["optimize", "--iface", iface, "--target", FAR, "--goal", "1us", "--own-settings-only"];
    let short = ["--pairs", "4", "--round", "5ms", "--duration", "100ms", "--load", "0", "--engines", "none", "--json"];
    let run = lab.run(&near, &[&ask[..], &short[..]].concat());
    assert!(run.json()["steps"].as_array().is_some_and(|s| !s.is_empty()), "{run:?}");
    let writes = journalled(&near, others);
    assert!(writes > 0, "{run:?}");
    assert_eq!(beside(lab, others), before, "optimize");
    lab.run(&near, &["rollback"]);
    assert_eq!(beside(lab, others), before, "optimize, put back");
    writes
}

fn list(document: &Value, field: &str, of: &str) -> Vec<String> {
    document[field].as_array().unwrap().iter().map(|v| v[of].as_str().unwrap().to_owned()).collect()
}

#[test]
fn thirty_topologies_and_no_write_off_the_path() {
    let mut draw = Random::new(1);
    let (mut planted, mut writes, mut tried) = (0, 0, 0);
    for n in 0..TOPOLOGIES {
        let (lab, scratch) = (Lab::new(), Scratch::new());
        let (target, mut on) = path(&lab, &mut draw);
        let mut others = Vec::new();
        let mut elsewhere = Vec::new();
        for i in 0..=draw.below(4) {
            let name = format!("off{i}");
            lab.ip(&format!("link add {name} type veth peer name {name}-peer"));
            lab.ip(&format!("link set {name} addrgenmode none up"));
            lab.ip(&format!("link set {name}-peer addrgenmode none up"));
            if draw.below(4) > 0 {
                elsewhere.push(plant(&lab, &mut draw, &name));
            }
            others.push(name);
        }
        let wanted = if draw.below(5) > 0 { vec![plant_on_path(&lab, &mut draw, &mut on)] } else { Vec::new() };
        planted += wanted.len();
        let found = lab.run(&scratch, &["check", "--window", "none", "--target", target, "--json"]).json();
        let rules = list(&found, "findings", "rule");
        assert!(wanted.iter().all(|rule| rules.contains(&(*rule).to_owned())), "topology {n}: {wanted:?}: {found:#}");
        let mut reported = list(&found, "elsewhere", "rule");
        reported.sort();
        elsewhere.sort_unstable();
        assert_eq!(reported, elsewhere, "topology {n}: {found:#}");

        let before = beside(&lab, &others);
        let ran = lab.run(&scratch, &["plan", "--target", target, "--json"]);
        let mut plan = ran.exits(0).json();
        // What reaches beyond an interface is the host's, which this test leaves alone.
        plan["steps"].as_array_mut().unwrap().retain(|s| s["scope"] == "interface");
        for aim in list(&plan, "steps", "target") {
            let iface = aim.split('/').next().unwrap();
            assert!(on.contains(&iface), "topology {n}: a step on {aim}, the path is {on:?}");
        }
        let steps = plan["steps"].as_array().unwrap().len();
        assert!(steps >= wanted.len(), "topology {n}: a fault on the path has no step: {plan:#}");
        if steps > 0 {
            let file = scratch.file("plan.json", serde_json::to_vec(&plan).unwrap());
            lab.run(&scratch, &["apply", &file]).exits(0);
            writes += journalled(&scratch, &others);
            assert_eq!(beside(&lab, &others), before, "topology {n}: applied");
            lab.run(&scratch, &["rollback"]).exits(0);
        }
        assert_eq!(beside(&lab, &others), before, "topology {n}: put back");
        // The vxlan has no far end.
        if n % 3 == 0 && target == FAR && steps > 0 {
            tried += the_loop(&lab, on[0], &others, &before);
        }
    }
    assert!(planted > 0 && writes > 0 && tried > 0, "the soak did nothing");
    eprintln!(
        "off-path: {TOPOLOGIES} topologies, {planted} faults on the path, all found; {writes} writes, 0 next to it; \
         {tried} more by optimize"
    );
}
