//! What is on the path is looked at and planned for, and nothing else: on the real kernel, in namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod common;

use common::lab::{FAR, IFACE, Lab, in_netns};
use common::{Ran, Scratch};
use lowlat_os::bpf::{self, Tcx};
use serde_json::Value;

/// A shaper that is far too slow.
fn shape(lab: &Lab, iface: &str) {
    lab.sh(&format!("tc qdisc replace dev {iface} root handle 1: tbf rate 2mbit burst 1600 limit 65536"));
}

/// A second veth pair of the near namespace, both ends in it, with an address of its own.
fn beside(lab: &Lab, name: &str) {
    lab.ip(&format!("link add {name} type veth peer name {name}-peer"));
    for link in [name.to_owned(), format!("{name}-peer")] {
        lab.ip(&format!("link set {link} addrgenmode none up"));
    }
}

#[track_caller]
fn names(document: &Value, list: &str, field: &str) -> Vec<String> {
    document[list].as_array().unwrap().iter().map(|f| f[field].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn check(lab: &Lab, args: &[&str]) -> Value {
    let all: Vec<&str> = ["check", "--window", "none", "--json"].iter().chain(args).copied().collect();
    let ran: Ran = lab.run(&Scratch::new(), &all);
    assert!(ran.code.is_some_and(|c| c < 2), "{ran:#?}");
    ran.json()
}

#[track_caller]
fn planned(lab: &Lab, args: &[&str]) -> Vec<String> {
    let all: Vec<&str> = ["plan", "--json"].iter().chain(args).copied().collect();
    names(&lab.run(&Scratch::new(), &all).exits(0).json(), "steps", "target")
}

#[track_caller]
fn path(document: &Value) -> Vec<String> {
    document["path"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect()
}

/// Settings of interfaces that a plan names, those of the host left out.
fn interfaces(targets: &[String]) -> Vec<&str> {
    let mut all: Vec<&str> = targets.iter().filter_map(|t| t.split_once('/').map(|(iface, _)| iface)).collect();
    all.dedup();
    all
}

/// A shaper on another interface of the namespace is reported, and is not a step; on the path it is one.
#[test]
fn a_shaper_on_another_interface_is_reported_and_never_planned() {
    let lab = Lab::new();
    beside(&lab, "other0");
    shape(&lab, "other0");
    for args in [&["--iface", IFACE][..], &["--target", FAR], &["--iface", IFACE, "--target", FAR]] {
        let found = check(&lab, args);
        assert_eq!(path(&found), [IFACE], "{args:?}");
        assert!(!names(&found, "findings", "rule").contains(&"shaper-below-line-rate".to_owned()), "{found:#}");
        assert_eq!(names(&found, "elsewhere", "rule"), ["shaper-below-line-rate"], "{found:#}");
        assert_eq!(found["elsewhere"][0]["remedy"]["settings"], serde_json::json!([]));
        assert_eq!(interfaces(&planned(&lab, args)), Vec::<&str>::new(), "{args:?}");
    }
    shape(&lab, IFACE);
    let found = check(&lab, &["--target", FAR]);
    assert!(names(&found, "findings", "rule").contains(&"shaper-below-line-rate".to_owned()), "{found:#}");
    assert_eq!(interfaces(&planned(&lab, &["--target", FAR])), [IFACE]);
    // What people read has it too.
    let text = lab.run(&Scratch::new(), &["check", "--window", "none", "--iface", IFACE]);
    assert!(text.out.contains("ELSEWHERE ON THIS HOST") && text.out.contains("a shaper on other0"), "{text:#?}");
}

#[test]
fn a_healthy_namespace_has_nothing_elsewhere() {
    let lab = Lab::new();
    beside(&lab, "other0");
    let found = check(&lab, &["--target", FAR]);
    assert_eq!(found["elsewhere"], serde_json::json!([]), "{found:#}");
    let text = lab.run(&Scratch::new(), &["check", "--window", "none", "--target", FAR]);
    assert!(!text.out.contains("ELSEWHERE"), "{text:#?}");
}

/// Of a bridge the port behind which the far end is; before it has been heard, every port, which is said.
#[test]
fn of_a_bridge_the_port_that_leads_to_the_far_end() {
    let lab = Lab::new();
    beside(&lab, "other0");
    lab.sh(&format!("ip address flush dev {IFACE}"));
    lab.ip("link add br0 type bridge");
    lab.ip("link set br0 addrgenmode none");
    for port in [IFACE, "other0"] {
        lab.ip(&format!("link set {port} master br0"));
    }
    lab.ip("address add 198.18.7.1/24 dev br0");
    lab.ip("link set br0 up");
    shape(&lab, "other0");
    lab.sh("ip neighbour flush all");
    let found = check(&lab, &["--target", FAR]);
    assert_eq!(path(&found), ["br0", IFACE, "other0"]);
    let said = names(&found, "not_seen", "fact");
    assert!(said.contains(&format!("port of br0 that leads to {FAR}")), "{said:?}");
    lab.run(&Scratch::new(), &["measure", FAR, "--proto", "icmp", "--count", "3"]).exits(0);
    let found = check(&lab, &["--target", FAR]);
    assert_eq!(path(&found), ["br0", IFACE]);
    assert_eq!(names(&found, "elsewhere", "rule"), ["shaper-below-line-rate"], "{found:#}");
    assert_eq!(interfaces(&planned(&lab, &["--iface", "br0", "--target", FAR])), Vec::<&str>::new());
}

/// The device beneath a vxlan is the one of the route to its far end.
#[test]
fn a_vxlan_stands_on_the_route_to_its_far_end() {
    let lab = Lab::new();
    beside(&lab, "other0");
    lab.ip(&format!("link add vx0 type vxlan id 7 remote {FAR} dstport 4789"));
    lab.ip("link set vx0 addrgenmode none up");
    lab.ip("address add 198.18.8.1/24 dev vx0");
    shape(&lab, IFACE);
    shape(&lab, "other0");
    let found = check(&lab, &["--target", "198.18.8.2"]);
    assert_eq!((path(&found), found["iface"].as_str()), (vec!["vx0".to_owned(), IFACE.to_owned()], Some("vx0")));
    assert_eq!(names(&found, "elsewhere", "title"), ["a shaper on other0 is too slow"]);
    assert_eq!(interfaces(&planned(&lab, &["--target", "198.18.8.2"])), [IFACE]);
}

/// The kernel is asked, so a rule that sends one destination by another table counts.
#[test]
fn a_policy_route_is_heeded_and_the_other_way_is_refused() {
    let lab = Lab::new();
    let scratch = Scratch::new();
    beside(&lab, "pol0");
    lab.ip("address add 198.18.9.1/24 dev pol0");
    lab.ip(&format!("route add 198.51.100.0/24 dev {IFACE}"));
    lab.ip("route add 198.51.100.0/24 dev pol0 table 77");
    lab.ip("rule add to 198.51.100.7 lookup 77");
    assert_eq!(path(&check(&lab, &["--target", "198.51.100.7"])), ["pol0"]);
    assert_eq!(path(&check(&lab, &["--target", "198.51.100.8"])), [IFACE]);
    for command in
        [&["measure", "198.51.100.7", "--iface", IFACE][..], &["check", "--target", "198.51.100.7", "--iface", IFACE]]
    {
        let ran = lab.run(&scratch, command);
        let wrong = ran.unlike_a_refusal(&["198.51.100.7", "leaves by pol0", "--iface pol0"]);
        assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    }
    // An address of this host is reached by lo, whatever interface has it.
    let own = lab.run(&scratch, &["measure", "198.18.9.1", "--iface", IFACE]);
    let wrong = own.unlike_a_refusal(&["an address of this host", "--iface lo"]);
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    // Both next hops of a multipath route are on the path.
    lab.ip(&format!("route add 203.0.113.0/24 nexthop dev {IFACE} nexthop dev pol0"));
    let mut both = path(&check(&lab, &["--target", "203.0.113.9"]));
    both.sort();
    assert_eq!(both, [IFACE, "pol0"]);
}

/// An ifb is on the path where a filter of the path leads to it, and off it where none does.
#[test]
fn an_ifb_is_on_the_path_where_a_filter_leads_to_it() {
    let lab = Lab::new();
    for ifb in ["ifb-on", "ifb-off"] {
        lab.ip(&format!("link add {ifb} type ifb"));
        lab.ip(&format!("link set {ifb} addrgenmode none up"));
        shape(&lab, ifb);
    }
    lab.sh(&format!("tc qdisc add dev {IFACE} ingress"));
    lab.sh(&format!(
        "tc filter add dev {IFACE} parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev ifb-on"
    ));
    let found = check(&lab, &["--target", FAR]);
    assert_eq!(path(&found), [IFACE, "ifb-on"]);
    let titles = names(&found, "findings", "title");
    assert!(titles.contains(&"a shaper on ifb-on is too slow".to_owned()), "{titles:?}");
    assert_eq!(names(&found, "elsewhere", "title"), ["a shaper on ifb-off is too slow"]);
    assert_eq!(interfaces(&planned(&lab, &["--target", FAR])), ["ifb-on"]);
}

/// A route that goes another way, an interface that is set down and one that goes: each is one line.
#[test]
fn a_path_that_changes_is_noticed() {
    use lowlat_collect::path::{find, path_changed};
    let lab = Lab::new();
    let target = || "198.18.7.1".parse::<std::net::IpAddr>().unwrap().into();
    let before = lab.in_far(move || find(&lowlat_sys::Live::new(), None, Some(target())).unwrap().links);
    assert_eq!(before.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["far0"]);
    let now = || {
        let before = before.clone();
        lab.in_far(move || path_changed(&lowlat_sys::Live::new(), &before, Some(target())))
    };
    assert_eq!(now(), None);
    lab.far_ip("link add other0 type veth peer name other1");
    lab.far_ip("link set other0 up");
    lab.far_ip("route add 198.18.7.1/32 dev other0");
    assert_eq!(now().unwrap(), "the route to 198.18.7.1 leaves by other0 now, and left by far0 before");
    lab.far_ip("route delete 198.18.7.1/32 dev other0");
    assert_eq!(now(), None);
    lab.far_ip("link set far0 down");
    assert_eq!(now().unwrap(), "interface far0 was set down");
    lab.far_ip("link delete far0");
    assert_eq!(now().unwrap(), "interface far0 is gone");
}

/// How many programs are at both hooks of the path's interface.
fn at_the_hooks(lab: &Lab, index: u32) -> [usize; 2] {
    in_netns(&lab.near, move || [Tcx::Ingress, Tcx::Egress].map(|hook| bpf::tcx_programs(index, hook).unwrap().len()))
}

/// Agents attach programs by links (Linux 6.6): they are counted and named, with whoever holds them, and no step or rollback takes one off.
#[test]
fn a_program_of_tcx_is_named_and_stays() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    beside(&lab, "other0");
    let index = |iface: &str| lab.sh(&format!("cat /sys/class/net/{iface}/ifindex")).parse::<u32>().unwrap();
    let (on, off) = (index(IFACE), index("other0"));
    let found = |list: &str| {
        let all = check(&lab, &["--iface", IFACE]);
        let filters = all[list].as_array().unwrap().iter().filter(|f| f["rule"] == "traffic-control-filters");
        let all = filters.flat_map(|f| f["evidence"].as_array().unwrap().clone());
        all.map(|e| e.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("findings"), [""; 0]);
    let held = in_netns(&lab.near, move || {
        [(on, Tcx::Ingress, "agent_in"), (on, Tcx::Egress, "agent_out"), (off, Tcx::Ingress, "")]
            .map(|(at, hook, name)| bpf::plant_tcx(at, hook, name).unwrap())
    });
    let [first, second, third] = in_netns(&lab.near, move || {
        [(on, Tcx::Ingress), (on, Tcx::Egress), (off, Tcx::Ingress)]
            .map(|(at, hook)| bpf::tcx_programs(at, hook).unwrap()[0].id)
    });
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    let by = format!("held by {} ({})", comm.trim(), std::process::id());
    assert_eq!(
        found("findings"),
        [
            format!("filters on {IFACE}: 2 at the hook tcx"),
            format!(
                "programs on {IFACE}: tcx ingress agent_in (id {first}, {by}), tcx egress agent_out (id {second}, {by})"
            )
        ]
    );
    assert_eq!(
        found("elsewhere"),
        [
            "filters on other0: 1 at the hook tcx".to_owned(),
            format!("programs on other0: tcx ingress without a known name (id {third}, {by})")
        ]
    );

    shape(&lab, IFACE);
    let mut plan = lab.run(&scratch, &["plan", "--iface", IFACE, "--json"]).exits(0).json();
    plan["steps"].as_array_mut().unwrap().retain(|s| s["scope"] == "interface");
    assert!(names(&plan, "steps", "knob").contains(&"qdisc.kind".to_owned()), "{plan:#}");
    let file = scratch.file("plan.json", serde_json::to_vec(&plan).unwrap());
    lab.run(&scratch, &["apply", &file]).exits(0);
    assert_eq!(at_the_hooks(&lab, on), [1, 1], "applied");
    lab.run(&scratch, &["rollback"]).exits(0);
    assert_eq!(at_the_hooks(&lab, on), [1, 1], "put back");
    drop(held);
    assert_eq!(at_the_hooks(&lab, on), [0, 0]);
    assert_eq!(found("findings"), [""; 0]);
}
