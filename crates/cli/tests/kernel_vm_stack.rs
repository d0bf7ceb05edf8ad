//! A path that is stacked: a VLAN on an active-backup bond of two igb, and a macvlan or WireGuard on top of it. What
//! lies beneath is found, named, tuned and protected; what is off the path is reported and left alone.

#![allow(clippy::unwrap_used)] // a test may end by panic

mod common;

use common::LOWLAT;
use common::guest::*;
use lowlat_lab::vm::{KernelChoice, Suite, topology};
use serde_json::{Value, json};

static SUITE: Suite = Suite::new(&topology::IGB_FOUR, KernelChoice::V6_12).program(PROGRAM, LOWLAT);

/// The path to the far end, from the top down.
const PATH: [&str; 4] = ["bond0.5", "bond0", "eth0", "eth2"];

/// The NICs of the near end: the bond's two ports, and the one beside.
const NICS: [&str; 3] = ["eth0", "eth2", "eth3"];

/// `rx-usecs` of the near end's NICs, put back when dropped.
struct Delays([String; 3]);

impl Delays {
    /// None holds anything back. (As its driver starts it, each adapts to the load, which is a finding of its own.)
    fn none() -> Self {
        let before = Self(NICS.map(rx_usecs));
        for nic in NICS {
            delay(nic, 0);
        }
        before
    }
}

impl Drop for Delays {
    fn drop(&mut self) {
        for (nic, usecs) in NICS.iter().zip(&self.0) {
            let _ = try_sh(&format!("ethtool -C {nic} rx-usecs {usecs}"));
        }
    }
}

#[track_caller]
fn delay(nic: &str, usecs: u32) {
    sh(&format!("ethtool -C {nic} rx-usecs {usecs}"));
}

/// `check` of the path to a far end.
#[track_caller]
fn check(node: &Node, target: &str) -> Value {
    let ran = node.lowlat(&format!("check --target {target} --goal 200us --window none --json"));
    assert!(ran.code.is_some_and(|c| c < 2), "{ran:?}");
    ran.json()
}

/// Names of the path's interfaces.
#[track_caller]
fn path(document: &Value) -> Vec<String> {
    let name = |p: &Value| p.as_str().or(p["name"].as_str()).unwrap().to_owned();
    document["path"].as_array().unwrap().iter().map(name).collect()
}

/// Titles of a rule's findings, of one list of a document.
#[track_caller]
fn titles(document: &Value, list: &str, rule: &str) -> Vec<String> {
    let found = document[list].as_array().unwrap().iter().filter(|f| f["rule"] == rule);
    found.map(|f| f["title"].as_str().unwrap().to_owned()).collect()
}

/// What both lists of a document say of delayed interrupts.
#[track_caller]
fn delayed(document: &Value) -> [Vec<String>; 2] {
    ["findings", "elsewhere"].map(|list| titles(document, list, "interrupt-coalescing"))
}

fn holds_back(nics: &[&str]) -> Vec<String> {
    nics.iter().map(|nic| format!("{nic} delays receive interrupts")).collect()
}

/// The interfaces whose `rx-usecs` a plan for a path would set.
#[track_caller]
fn planned(node: &Node, target: &str) -> Vec<String> {
    let plan = node.lowlat(&format!("plan --target {target} --goal 200us --json")).exits(0).json();
    steps(&plan, "nic.coalesce.rx-usecs").iter().map(|s| s["target"].as_str().unwrap().to_owned()).collect()
}

/// Waits until an address answers: a link comes up, a tunnel greets.
#[track_caller]
fn answers(address: &str) {
    common::until(address, || try_sh(&format!("ping -q -c 1 -W 1 {address}")).is_ok());
}

/// `wg0` at both ends, 10.81.0.1 and 10.81.0.2, which has 203.0.113.1 too; gone when dropped.
struct WireGuard;

impl WireGuard {
    fn new(allowed: &str, mark: &str) -> Self {
        sh(
            "umask 077; wg genkey > /tmp/near.key; wg genkey > /tmp/far.key; ip link add wg0 type wireguard; ip netns exec far ip link add wg0 type wireguard",
        );
        sh(&format!(
            "wg set wg0 private-key /tmp/near.key fwmark {mark} peer $(wg pubkey < /tmp/far.key) endpoint {FAR}:51820 allowed-ips {allowed}"
        ));
        sh(
            "ip netns exec far wg set wg0 private-key /tmp/far.key listen-port 51820 peer $(wg pubkey < /tmp/near.key) allowed-ips 10.81.0.1/32",
        );
        sh(
            "ip addr add 10.81.0.1/24 dev wg0; ip link set wg0 up; ip netns exec far sh -ec 'ip addr add 10.81.0.2/24 dev wg0; ip addr add 203.0.113.1/32 dev wg0; ip link set wg0 up'",
        );
        answers("10.81.0.2");
        Self
    }
}

impl Drop for WireGuard {
    fn drop(&mut self) {
        let _ = try_sh("ip link del wg0; ip netns exec far ip link del wg0");
    }
}

/// What lowlat may change of each NIC of the near end, and what is set on them.
fn nics() -> String {
    sh(r"
for i in eth0 eth2 eth3; do
for o in c g l k x T; do echo; echo ethtool -$o; ethtool -$o $i 2>&1; done
grep -H . /sys/class/net/$i/queues/*/*ps_* /sys/class/net/$i/*gro* /proc/irq/[0-9]*/smp_affinity_list
done
ip -d link show bond0; ip -d link show bond0.5; ethtool -k bond0; ethtool -k bond0.5; cat /sys/class/net/bond0/bonding/active_slave
")
}

#[test]
fn the_path_goes_down_from_the_vlan_to_both_ports() {
    SUITE.case("the_path_goes_down_from_the_vlan_to_both_ports", || {
        let node = Node::new();
        let facts = node.lowlat(&format!("facts --target {FAR}")).exits(0).json();
        let links = facts["path"].as_array().unwrap();
        let reported: Vec<[&str; 4]> = links
            .iter()
            .map(|l| ["name", "role", "kind", "above"].map(|field| l[field].as_str().unwrap_or("none")))
            .collect();
        assert_eq!(
            reported,
            [
                ["bond0.5", "route", "vlan", "none"],
                ["bond0", "lower", "bond", "bond0.5"],
                ["eth0", "lower", "none", "bond0"],
                ["eth2", "lower", "none", "bond0"],
            ]
        );
        assert_eq!(facts["path_not_seen"], json!([]), "{:#}", facts["path_not_seen"]);
        assert_eq!(path(&check(&node, FAR)), PATH);
    });
}

#[test]
fn a_fault_beneath_is_named_where_it_lies_and_one_beside_is_elsewhere() {
    SUITE.case("a_fault_beneath_is_named_where_it_lies_and_one_beside_is_elsewhere", || {
        let node = Node::new();
        let _delays = Delays::none();
        assert_eq!(delayed(&check(&node, FAR)), [holds_back(&[]), holds_back(&[])]);
        for (nic, beneath, beside) in
            [("eth0", &["eth0"][..], &[][..]), ("eth2", &["eth2"], &[]), ("eth3", &[], &["eth3"])]
        {
            delay(nic, 1_000);
            let found = check(&node, FAR);
            assert_eq!(delayed(&found), [holds_back(beneath), holds_back(beside)], "{found:#}");
            assert_eq!(planned(&node, FAR), beneath);
            delay(nic, 0);
        }
        for (nic, list, not) in [("eth2", "findings", "elsewhere"), ("eth3", "elsewhere", "findings")] {
            sh(&format!("tc qdisc add dev {nic} root tbf rate 2mbit burst 1600 limit 65536"));
            let found = check(&node, FAR);
            let [here, there] = [list, not].map(|l| titles(&found, l, "shaper-below-line-rate"));
            assert_eq!(here, [format!("a shaper on {nic} is too slow")], "{found:#}");
            assert_eq!(there, Vec::<String>::new(), "{found:#}");
            sh(&format!("tc qdisc del dev {nic} root"));
        }
    });
}

#[test]
fn what_is_set_on_the_vlan_leads_to_the_ports_too() {
    SUITE.case("what_is_set_on_the_vlan_leads_to_the_ports_too", || {
        let node = Node::new();
        let _delays = Delays::none();
        delay("eth0", 1_000);
        sh("ip link add link bond0.5 name mv0 type macvlan mode bridge; ip addr add 10.80.0.1/24 dev mv0; ip link set mv0 up");
        sh("ip netns exec far ip addr add 10.80.0.2/24 dev eth1.5");
        answers("10.80.0.2");
        let _tunnel = WireGuard::new("10.81.0.0/24", "0");
        for (top, target) in [("mv0", "10.80.0.2"), ("wg0", "10.81.0.2")] {
            let found = check(&node, target);
            assert_eq!(path(&found), [&[top][..], &PATH].concat(), "{found:#}");
            assert_eq!(delayed(&found), [holds_back(&["eth0"]), holds_back(&[])], "{top}: {found:#}");
            assert_eq!(planned(&node, target), ["eth0"], "{top}");
        }
        sh("ip link del mv0; ip netns exec far ip addr del 10.80.0.2/24 dev eth1.5");
    });
}

/// `eth3` on its own again, as the other cases have it.
struct Beside;

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = try_sh("ip link del ipv0");
        let _ = try_sh("ip link del team0");
        let _ = try_sh("ip link set eth3 up; ip addr replace 10.79.0.1/24 dev eth3");
    }
}

/// The two kinds of stacked links that few kernels have loaded: beneath both is the NIC that is off every other path.
#[test]
fn a_team_and_an_ipvlan_lead_to_the_nic_beneath() {
    SUITE.case("a_team_and_an_ipvlan_lead_to_the_nic_beneath", || {
        let node = Node::new();
        let _delays = Delays::none();
        let beside = Beside;
        let team =
            "ip link add team0 type team; ip link set eth3 down; ip link set eth3 master team0; ip link set eth3 up";
        for (top, target, made) in
            [("team0", "10.83.0.2", team), ("ipv0", "10.84.0.2", "ip link add link eth3 name ipv0 type ipvlan mode l2")]
        {
            sh(made);
            sh(&format!("ip link set {top} up; ip addr add {}1/24 dev {top}", target.trim_end_matches('2')));
            let healthy = check(&node, target);
            assert_eq!(path(&healthy), [top, "eth3"], "{healthy:#}");
            assert_eq!(delayed(&healthy), [holds_back(&[]), holds_back(&[])], "{top}: {healthy:#}");
            for (nic, beneath, off) in [("eth3", &["eth3"][..], &[][..]), ("eth0", &[], &["eth0"])] {
                delay(nic, 1_000);
                let found = check(&node, target);
                assert_eq!(delayed(&found), [holds_back(beneath), holds_back(off)], "{top}: {found:#}");
                assert_eq!(planned(&node, target), beneath, "{top}");
                delay(nic, 0);
            }
            sh("tc qdisc add dev eth3 root tbf rate 2mbit burst 1600 limit 65536");
            let found = check(&node, target);
            assert_eq!(
                titles(&found, "findings", "shaper-below-line-rate"),
                ["a shaper on eth3 is too slow"],
                "{top}: {found:#}"
            );
            sh(&format!("tc qdisc del dev eth3 root; ip link del {top}; ip link set eth3 up"));
        }
        drop(beside);
    });
}

/// As wg-quick(8) sets it up: all goes into the tunnel but the tunnel's own packets, which a mark reports. Who comes in
/// by it would be cut off by what resets a port beneath.
#[test]
fn a_tunnel_for_everything_leads_to_the_ports_and_protects_them() {
    SUITE.case("a_tunnel_for_everything_leads_to_the_ports_and_protects_them", || {
        let node = Node::new();
        let _delays = Delays::none();
        delay("eth0", 1_000);
        let _tunnel = WireGuard::new("0.0.0.0/0", "51820");
        sh("ip route add default dev wg0 table 51820; ip rule add not fwmark 51820 table 51820; ip rule add table main suppress_prefixlength 0");
        // Its own far end is reached by the default route of the other table alone.
        sh("ip netns exec far ip addr add 198.51.100.9/32 dev lo; ip route add 198.51.100.0/24 via 10.77.0.2 table 77; ip rule add fwmark 51820 table 77");
        sh("wg set wg0 peer $(wg pubkey < /tmp/far.key) endpoint 198.51.100.9:51820");
        answers("203.0.113.1");
        let found = check(&node, "203.0.113.1");
        assert_eq!(path(&found), [&["wg0"][..], &PATH].concat(), "{found:#}");
        assert_eq!(delayed(&found), [holds_back(&["eth0"]), holds_back(&[])], "{found:#}");
        let set = |iface: &str| node.lowlat(&format!("plan --set nic.ring.rx {iface} 512"));
        for port in ["eth0", "eth2"] {
            set(port).refuses(&[port, "default route", "--allow-disruptive"]);
        }
        set("eth3").exits(0);
        sh("for rule in 'fwmark 51820 table 77' 'table main suppress_prefixlength 0' 'not fwmark 51820 table 51820'; do ip rule del $rule; done; ip route flush table 77; ip netns exec far ip addr del 198.51.100.9/32 dev lo");
    });
}

#[test]
fn a_setting_beneath_is_kept_proven_and_put_back() {
    SUITE.case("a_setting_beneath_is_kept_proven_and_put_back", || {
        let mut node = Node::new();
        let far = node.serve("");
        sh("ip netns exec far ethtool -C eth1 rx-usecs 0");
        let _delays = Delays::none();
        Node::hold_back(250);
        delay("eth3", 1_000);
        // Without other traffic a ping-pong steps around: every second answer passes at once.
        node.beside("ping -q -i 0.0004 10.77.0.1");
        let before = [captured(), nics()];
        let ask = format!("optimize --iface bond0.5 --target {far} --goal 200us --cpu {NEAR_CPU} --duration 200ms --pairs 14 --round 25ms --worth 10%,1us --load 0 --engines none --own-settings-only --json");
        // The host's other threads keep QEMU waiting now and then, and a tail that was hit on one side reads as harm.
        let run = common::tries(3, || {
            let run = node.lowlat(&ask);
            assert!(run.code.is_some_and(|c| c < 2), "{run:?}");
            let json = run.json();
            let kept = steps(&json, "nic.coalesce.rx-usecs").iter().any(|s| {
                s["target"] == "eth0" && s["verdict"] == "better" && s["kept"] == true
            });
            if kept && json["headline"]["idle"]["verdict"] == "better" {
                return Ok(json);
            }
            node.lowlat("rollback");
            Err(run.err)
        });
        let of = |iface: &str| {
            let all = steps(&run, "nic.coalesce.rx-usecs");
            all.into_iter().filter(|s| s["target"] == iface).cloned().collect::<Vec<_>>()
        };
        assert_eq!(of("eth3"), Vec::<Value>::new());
        assert_eq!(rx_usecs("eth0"), "0");
        assert_eq!(rx_usecs("eth3"), "1000");
        let (before_ns, after_ns) = (number(&run, "/baseline/rtt/p50_ns"), number(&run, "/result/rtt/p50_ns"));
        assert!(before_ns >= 3.0 * after_ns, "P50 {before_ns} -> {after_ns}");
        node.lowlat("rollback").exits(0);
        for (before, after) in before.iter().zip([captured(), nics()]) {
            assert_eq!(differences(before, &after), Vec::<String>::new());
        }
        assert_eq!(rx_usecs("eth0"), "250");
    });
}

#[test]
fn ports_beneath_the_default_route_are_reset_by_a_flag_alone() {
    SUITE.case("ports_beneath_the_default_route_are_reset_by_a_flag_alone", || {
        let node = Node::new();
        let set = |more: &str, iface: &str, knob: &str, value: &str| {
            node.lowlat(&format!("plan --set {knob} {iface} {value} --out {} {more}", node.scratch().name("one.json")))
        };
        let disruptive = [("nic.ring.rx", "512"), ("nic.channels.combined", "1")];
        for (knob, value) in disruptive {
            set("", "eth2", knob, value).exits(0);
            set("", "eth0", knob, value).refuses(&["bond0 sends by", "type bond primary eth0"]);
        }
        sh("ip route add default via 10.77.0.2");
        for (knob, value) in disruptive {
            for iface in ["eth0", "eth2"] {
                set("", iface, knob, value).refuses(&[knob, iface, "default route", "--allow-disruptive"]);
            }
            set("", "eth3", knob, value).exits(0);
        }
        // Without a primary the bond would go over to the other port and stay there, which nothing puts back.
        let before = nics();
        set("--allow-disruptive", "eth0", "nic.ring.rx", "512").refuses(&["bond0 sends by", "type bond primary eth0"]);
        // A plan from before it was the active port is refused by apply.
        sh("echo eth2 > /sys/class/net/bond0/bonding/active_slave");
        set("--allow-disruptive", "eth0", "nic.ring.rx", "512").exits(0);
        sh("echo eth0 > /sys/class/net/bond0/bonding/active_slave");
        let said = node.lowlat(&format!("apply {}", node.scratch().name("one.json")));
        assert!(said.err.contains("refused") && said.err.contains("type bond primary eth0"), "{said:?}");
        node.lowlat("rollback").exits(0);
        assert_eq!(differences(&before, &nics()), Vec::<String>::new());
        sh("ip link set bond0 type bond primary eth0");
        let before = nics();
        set("--allow-disruptive", "eth0", "nic.channels.combined", "1").exits(0);
        node.lowlat(&format!("apply {}", node.scratch().name("one.json"))).exits(0);
        assert_eq!(field(&sh("ethtool -l eth0 | sed -n '/Current/,$p'"), "Combined:"), "1");
        answers(FAR);
        node.lowlat("rollback").exits(0);
        common::until("the bond is back", || sh("cat /sys/class/net/bond0/bonding/active_slave") == "eth0");
        answers(FAR);
        assert_eq!(differences(&before, &nics()), Vec::<String>::new());
        sh("echo > /sys/class/net/bond0/bonding/primary");
        sh("ip route del default");
    });
}

/// Gives the ports to the bond of the other cases again, also after a failure.
struct BondBack;

impl Drop for BondBack {
    fn drop(&mut self) {
        let _ = try_sh(
            "ip link del bond1; ip addr add 10.77.0.1/24 dev bond0.5; for p in eth0 eth2; do ip link set $p down; ip link set $p master bond0; done; echo eth0 > /sys/class/net/bond0/bonding/active_slave",
        );
    }
}

/// An 802.3ad bond of the near end, `bond1` with 10.82.0.1, and its partner, `bond9` at the far end with 10.82.0.2; gone when
/// dropped. Its first ports are veth, whose peers the partner has; they negotiate as they report speed and duplex.
struct Lacp;

impl Lacp {
    /// `ports` of the near end, `partners` of the far one; `va0` and `va1` here are `vb0` and `vb1` there.
    fn new(ports: &str, partners: &str) -> Self {
        let lacp = Self;
        sh("for p in eth0 eth2; do ip link set $p nomaster; ip link set $p down; done");
        for n in [0, 1] {
            sh(&format!(
                "ip link add va{n} type veth peer name vb{n} netns far; ip link set va{n} up; ip -n far link set vb{n} up"
            ));
        }
        let bond = |name: &str, ports: &str, address: &str| {
            format!(
                "ip link add {name} type bond mode 802.3ad miimon 100 lacp_rate fast; for p in {ports}; do ip link set $p down; ip link set $p master {name}; done; ip link set {name} up; ip addr add {address}/24 dev {name}"
            )
        };
        sh(&bond("bond1", ports, "10.82.0.1"));
        sh(&format!("ip netns exec far sh -ec '{}'", bond("bond9", partners, "10.82.0.2")));
        lacp
    }

    /// What the kernel says of the active group.
    fn of(file: &str) -> String {
        sh(&format!("cat /sys/class/net/bond1/bonding/{file}"))
    }

    /// Waits until so many ports are in the group that the partner is of.
    #[track_caller]
    fn settles(ports: &str) {
        common::until("the ports have a partner", || {
            Self::of("ad_num_ports") == ports && Self::of("ad_partner_mac") != "00:00:00:00:00:00"
        });
        answers("10.82.0.2");
    }
}

impl Drop for Lacp {
    fn drop(&mut self) {
        let _ = try_sh("ip link del bond1; ip -n far link del bond9; ip link del va0; ip link del va1");
        let _ = try_sh(
            "ip -n far link set eth1 up; ip -n far link set eth1.5 up; for p in eth0 eth2; do ip link set $p down; ip link set $p master bond0; done; echo eth0 > /sys/class/net/bond0/bonding/active_slave",
        );
    }
}

/// The bond of the other cases carries again.
#[track_caller]
fn the_usual_bond_is_back() {
    common::until("the bond is back", || sh("cat /sys/class/net/bond0/bonding/active_slave") == "eth0");
    answers(FAR);
}

#[test]
fn a_fault_on_a_port_of_an_lacp_bond_s_active_group_is_found_set_and_put_back() {
    SUITE.case("a_fault_on_a_port_of_an_lacp_bond_s_active_group_is_found_set_and_put_back", || {
        let node = Node::new();
        let bond = Lacp::new("va0 va1", "vb0 vb1");
        Lacp::settles("2");
        sh("tc qdisc add dev va1 root handle 5: tbf rate 2mbit burst 1600 limit 65536");
        let qdiscs = || sh("tc qdisc show dev va0; tc qdisc show dev va1");
        let before = qdiscs();
        let found = check(&node, "10.82.0.2");
        assert_eq!(path(&found), ["bond1", "va0", "va1"], "{found:#}");
        assert_eq!(titles(&found, "findings", "shaper-below-line-rate"), ["a shaper on va1 is too slow"], "{found:#}");
        let plan = node.lowlat("plan --target 10.82.0.2 --goal 200us --json").exits(0).json();
        let targets: Vec<&str> = steps(&plan, "qdisc.kind").iter().map(|s| s["target"].as_str().unwrap()).collect();
        assert!(!targets.is_empty() && targets.iter().all(|t| t.starts_with("va1/")), "{targets:?}");
        node.set(&[("qdisc.kind", "va1/qdisc-root", "pfifo_fast")]).exits(0);
        assert_eq!(titles(&check(&node, "10.82.0.2"), "findings", "shaper-below-line-rate"), Vec::<String>::new());
        Lacp::settles("2");
        node.lowlat("rollback").exits(0);
        assert_eq!(qdiscs(), before);
        Lacp::settles("2");
        drop(bond);
        the_usual_bond_is_back();
    });
}

/// The igb port has the partner, and the veth one none: a reset of the first would hand over to the second's group.
#[test]
fn the_only_port_of_an_lacp_bond_s_active_group_is_not_reset() {
    SUITE.case("the_only_port_of_an_lacp_bond_s_active_group_is_not_reset", || {
        let node = Node::new();
        let bond = Lacp::new("eth0 va0", "eth1");
        Lacp::settles("1");
        let group = |port: &str| sh(&format!("cat /sys/class/net/{port}/bonding_slave/ad_aggregator_id"));
        assert!(Lacp::of("ad_aggregator") == group("eth0") && group("eth0") != group("va0"));
        let before = nics();
        let one = node.scratch().name("one.json");
        let plan = |port: &str| node.lowlat(&format!("plan --set nic.ring.rx {port} 512 --out {one}"));
        plan("eth0").refuses(&["the only port of the group that bond1 sends by", "add a second port"]);
        // Alone in the bond it has no other group to go to.
        sh("ip link set va0 nomaster");
        plan("eth0").exits(0);
        sh("ip link set va0 down; ip link set va0 master bond1");
        Lacp::settles("1");
        // A plan from before is refused by apply, and nothing is written.
        let said = node.lowlat(&format!("apply {one}"));
        assert!(said.err.contains("refused") && said.err.contains("the only port of the group"), "{said:?}");
        node.lowlat("rollback").exits(0);
        assert_eq!(differences(&before, &nics()), Vec::<String>::new());
        drop(bond);
        the_usual_bond_is_back();
    });
}

/// Modes that send by all ports: a port that was reset is taken back, so nothing has to be refused.
#[test]
fn a_bond_that_sends_by_all_ports_takes_a_reset_one_back() {
    SUITE.case("a_bond_that_sends_by_all_ports_takes_a_reset_one_back", || {
        let node = Node::new();
        let _delays = Delays::none();
        let built = "ip link add bond1 type bond mode balance-xor miimon 100; for p in eth0 eth2; do ip link set $p nomaster; ip link set $p down; ip link set $p master bond1; done; ip link set bond1 up; ip link add link bond1 name bond1.5 type vlan id 5; ip addr del 10.77.0.1/24 dev bond0.5; ip addr add 10.77.0.1/24 dev bond1.5; ip link set bond1.5 up";
        let back = BondBack;
        sh(built);
        answers(FAR);
        let ports = ["bond1.5", "bond1", "eth0", "eth2"];
        for (nic, found) in [("eth0", ["eth0"]), ("eth2", ["eth2"])] {
            delay(nic, 1_000);
            let checked = check(&node, FAR);
            assert_eq!(path(&checked), ports, "{checked:#}");
            assert_eq!(delayed(&checked), [holds_back(&found), holds_back(&[])], "{checked:#}");
            delay(nic, 0);
        }
        let up = || sh("cat /sys/class/net/bond1/bonding/slaves; cat /sys/class/net/eth0/bonding_slave/mii_status");
        let (before, carries) = (nics(), up());
        let one = node.scratch().name("one.json");
        node.lowlat(&format!("plan --set nic.ring.rx eth0 512 --out {one}")).exits(0);
        node.lowlat(&format!("apply {one}")).exits(0);
        assert_eq!(field(&sh("ethtool -g eth0 | sed -n '/Current/,$p'"), "RX:"), "512");
        common::until("the port is back", || up() == carries);
        answers(FAR);
        node.lowlat("rollback").exits(0);
        common::until("the port is back", || up() == carries);
        answers(FAR);
        assert_eq!(differences(&before, &nics()), Vec::<String>::new());
        drop(back);
        common::until("the bond is back", || sh("cat /sys/class/net/bond0/bonding/active_slave") == "eth0");
        answers(FAR);
    });
}
