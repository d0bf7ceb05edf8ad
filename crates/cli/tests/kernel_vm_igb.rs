//! What igb shows and e1000e does not: queues, and a fault of one end that hides from the median; so do far ends that
//! hold answers back.

#![allow(clippy::unwrap_used)] // a test may end by panic

mod common;

use common::LOWLAT;
use common::guest::*;
use common::holds;
use lowlat_lab::vm::{KernelChoice, Suite, topology};

static SUITE: Suite = Suite::new(&topology::IGB_PAIR, KernelChoice::V6_12).program(PROGRAM, LOWLAT);

#[test]
fn a_fault_of_one_end_that_shows_in_p99_is_found_and_fixed() {
    SUITE.case("a_fault_of_one_end_that_shows_in_p99_is_found_and_fixed", || {
        let mut node = Node::new();
        let far = node.serve("");
        sh("ip netns exec far ethtool -C eth1 rx-usecs 0");
        Node::hold_back(500);
        // The emulated NIC holds back what comes within 2 ms of the answer before: at 150 a second a quarter of them,
        // and of a ping-pong each second one, whose median is then now the one and now the other.
        let spread = format!(
            "measure {far} --cpu {NEAR_CPU} --mode open-loop --pattern poisson --rate 150 --duration 9s --warmup 1ms --json"
        );
        let spread = node.lowlat(&spread).exits(0).json();
        let (p50, p99) = (number(&spread, "/rtt/p50_ns"), number(&spread, "/rtt/p99_ns"));
        assert!(p99 >= 4.0 * p50, "the fault hides from the median: P50 {p50}, P99 {p99}");
        let ask = format!(
            "optimize --iface eth0 --target {far} --goal 200us --cpu {NEAR_CPU} --duration 1300ms --pairs 16 --round 60ms --worth 10%,1us --load 0 --engines none --json"
        );
        let run = node.lowlat(&ask);
        let run = run.json();
        let p99 = number(&run, "/baseline/rtt/p99_ns");
        assert!(run["findings"].as_array().unwrap().iter().any(|f| f["rule"] == "interrupt-coalescing"));
        let step = steps(&run, "nic.coalesce.rx-usecs").pop().cloned().unwrap();
        assert_eq!((&step["verdict"], &step["kept"]), (&"better".into(), &true.into()), "{step:#}");
        let after = number(&run, "/result/rtt/p99_ns");
        assert!(p99 >= 4.0 * after, "P99 {p99} -> {after}");
    });
}

/// Two answers of five are late, never two together. (Of every second one the median of a ping-pong would be now the
/// one and now the other.) So the median is a prompt one, and hides the rest.
#[test]
fn answers_that_are_held_back_one_by_one_show_on_the_plan() {
    SUITE.case("answers_that_are_held_back_one_by_one_show_on_the_plan", || {
        let (node, _link) = (Node::new(), holds::Link::new());
        holds::answers(9_001, |_| false);
        holds::answers(9_002, |n| matches!(n % 5, 1 | 3));
        let comparison = holds::compared(&node, [9_001, 9_002]);
        holds::shows_on_the_plan(&comparison);
        let (a, b, _) = holds::quantile(&comparison, 0.5, "send");
        assert!(a < 0.1 && b < 0.1, "{a} {b}: {comparison:#}");
    });
}

/// A far end that stands still for a tenth of the time: ping-pong takes one sample of each standstill, of hundreds.
#[test]
fn a_far_end_that_stands_still_now_and_then_shows_on_the_plan_alone() {
    SUITE.case("a_far_end_that_stands_still_now_and_then_shows_on_the_plan_alone", || {
        let (node, _link) = (Node::new(), holds::Link::new());
        let _far = [(9_003, false), (9_004, true)].map(|(port, halting)| holds::Serving::new(port, halting));
        let comparison = holds::compared(&node, [9_003, 9_004]);
        holds::shows_on_the_plan(&comparison);
        for q in [0.5, 0.99] {
            let (a, b, _) = holds::quantile(&comparison, q, "send");
            assert!(a < 0.1 && b < 0.1, "{q}: {a} {b}: {comparison:#}");
        }
    });
}

#[test]
fn small_values_are_modes_and_reported() {
    SUITE.case("small_values_are_modes_and_reported", || {
        let node = Node::new();
        for mode in ["1", "3"] {
            sh(&format!("ethtool -C eth0 rx-usecs {mode}"));
            let check = node.lowlat("check --iface eth0 --window none --goal 50us").exits(1).out.clone();
            assert!(
                check.contains(&format!("rx-usecs = {mode}, which makes igb adapt the delay to the load")),
                "{check}"
            );
        }
        // igb_ethtool.c, igb_set_coalesce: refused below 10 except the modes, and above 10000.
        for refused in ["7", "20000"] {
            let said = node.set(&[("nic.coalesce.rx-usecs", "eth0", refused)]);
            assert!(said.err.contains("refused"), "{said:?}");
            assert_eq!(rx_usecs("eth0"), "3");
            node.lowlat("rollback").exits(0);
        }
    });
}

#[test]
fn channels_are_set_with_their_link_reset_and_put_back() {
    SUITE.case("channels_are_set_with_their_link_reset_and_put_back", || {
        let node = Node::new();
        let now = || field(&sh("ethtool -l eth0 | sed -n '/Current/,$p'"), "Combined:");
        let lines = || sh("grep -c eth0-rx /proc/interrupts");
        let before = (now(), lines());
        assert_eq!(before, ("2".into(), "2".into()));
        node.set(&[("nic.channels.combined", "eth0", "1")]).exits(0);
        assert_eq!((now(), lines()), ("1".into(), "1".into()));
        common::until("the link is up again", || sh("cat /sys/class/net/eth0/carrier") == "1");
        sh(&format!("ping -q -c 3 -i 0.01 {FAR}"));
        node.lowlat("rollback").exits(0);
        assert_eq!((now(), lines()), before);
        common::until("the link is up again", || sh("cat /sys/class/net/eth0/carrier") == "1");
        sh(&format!("ping -q -c 3 -i 0.01 {FAR}"));
    });
}

#[test]
fn a_rollback_restores_everything() {
    SUITE.case("a_rollback_restores_everything", || {
        let node = Node::new();
        let before = captured();
        let said = node.set(&[
            ("nic.channels.combined", "eth0", "1"),
            ("nic.coalesce.rx-usecs", "eth0", "100"),
            ("nic.ring.tx", "eth0", "512"),
            ("nic.feature.gro", "eth0", "off"),
            ("irq.affinity", "eth0/irq-1", "1"),
            ("steer.rps", "eth0/rx-0", "1"),
        ]);
        assert!(!said.exits(0).err.contains("refused"), "{}", said.err);
        assert!(differences(&before, &captured()).len() >= 8);
        node.lowlat("rollback").exits(0);
        common::until("the link is up again", || sh("cat /sys/class/net/eth0/carrier") == "1");
        assert_eq!(differences(&before, &captured()), Vec::<String>::new());
    });
}

/// What the far end's classifier saw of the probes to a port, one count for each priority code point asked for.
fn seen(points: &[u8]) -> Vec<u64> {
    let text = sh("ip netns exec far tc -s -j filter show dev eth1 ingress");
    let filters: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packets = |point: &u8| {
        let mine =
            filters.as_array().unwrap().iter().find(|f| f["pref"] == point + 1 && f["options"]["actions"].is_array());
        let packets = mine.and_then(|f| f.pointer("/options/actions/0/stats/packets"));
        packets.and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("no filter {point}: {text}"))
    };
    points.iter().map(packets).collect()
}

/// SO_PRIORITY becomes the code point that the interface's map says (net/8021q, `egress-qos-map`), and setting the
/// DSCP, which sets a priority of its own (net/ipv4/ip_sockglue.c, `rt_tos2priority`; for 46 it is 4), does not undo
/// it.
#[test]
fn a_priority_is_the_code_point_on_a_vlan_and_the_dscp_is_next_to_it() {
    SUITE.case("a_priority_is_the_code_point_on_a_vlan_and_the_dscp_is_next_to_it", || {
        let mut node = Node::new();
        let far = node.serve("");
        let port = far.rsplit(':').next().unwrap();
        sh("ip link add link eth0 name eth0.5 type vlan id 5 egress-qos-map 5:6 && ip addr add 10.78.0.1/24 dev eth0.5 && ip link set eth0.5 up");
        sh("ip netns exec far sh -ec 'ip link add link eth1 name eth1.5 type vlan id 5; ip addr add 10.78.0.2/24 dev eth1.5; ip link set eth1.5 up; tc qdisc add dev eth1 clsact'");
        for point in [0, 6] {
            // Expedited forwarding, 46, is 0xb8 in the byte it shares with ECN.
            sh(&format!("ip netns exec far tc filter add dev eth1 ingress prio {} protocol 802.1Q flower vlan_id 5 vlan_prio {point} vlan_ethtype ip ip_proto udp dst_port {port} ip_tos 0xb8/0xfc action pass", point + 1));
        }
        let ask = |more: &str| {
            node.lowlat(&format!("measure 10.78.0.2:{port} --cpu {NEAR_CPU} --count 100 --dscp 46 {more} --json")).exits(0).json()
        };
        assert_eq!(seen(&[0, 6]), [0, 0]);
        ask("--priority 5");
        let with = seen(&[0, 6]);
        assert!(with[0] == 0 && with[1] >= 100, "{with:?}");
        // A priority that the map does not name goes out as 0.
        ask("--priority 3");
        let without = seen(&[0, 6]);
        assert!(without[0] >= 100 && without[1] == with[1], "{with:?} {without:?}");
        // The AF_XDP engine builds its frames itself, on the device under the interface, with the tag of the interface
        // and the code point of its map.
        let got = ask("--priority 5 --engine af-xdp");
        let xdp = seen(&[0, 6]);
        assert!(xdp[1] >= with[1] + 100 && xdp[0] == without[0], "{without:?} {xdp:?}");
        let bypass = &got["flow"]["bypass"];
        assert_eq!((&bypass["iface"], &bypass["vlan"], &bypass["hook"]), (&"eth0".into(), &5.into(), &"native".into()), "{got:#}");
        assert!(bypass["by_socket"].as_u64().unwrap() >= 100 && bypass["by_kernel"] == 0, "{got:#}");
        assert_eq!(got["lost"], 0);
        // Frames as small as they come and as large as the MTU, both with their checksums right: the far end answers them.
        for size in ["48", "1472"] {
            let got = ask(&format!("--size {size} --engine af-xdp"));
            assert_eq!((&got["lost"], &got["flow"]["bypass"]["by_kernel"]), (&0.into(), &0.into()), "{got:#}");
        }
        // A VLAN in the VLAN needs two tags, and tags of another kind another EtherType: refused, and nothing attached.
        sh("ip link add link eth0.5 name eth0.5.6 type vlan id 6 && ip addr add 10.79.0.1/24 dev eth0.5.6 && ip link set eth0.5.6 up");
        sh("ip link add link eth0 name eth0.9 type vlan protocol 802.1ad id 9 && ip addr add 10.80.0.1/24 dev eth0.9 && ip link set eth0.9 up");
        for (to, why) in [("10.79.0.2", "eth0.5.6 is a VLAN in the VLAN eth0.5 (QinQ)"), ("10.80.0.2", "the tags of eth0.9 are not 802.1Q")] {
            node.lowlat(&format!("measure {to}:{port} --count 5 --engine af-xdp")).refuses(&[why, "use --engine spin"]);
        }
        assert!(!sh("ip -d link show dev eth0").contains("xdp"));
        sh("ip link del eth0.9; ip link del eth0.5.6");
        sh("ip link del eth0.5; ip netns exec far sh -ec 'ip link del eth1.5; tc qdisc del dev eth1 clsact'");
    });
}

/// The run's own engine attaches a program in every round, which resets this driver's link: it is announced, the link is waited
/// for, no step is blamed, and at the end no program is left and everything is as before. A signal ends it after its first
/// step: each round waits seconds for the link, and a whole run has fifty.
#[test]
fn af_xdp_as_the_run_s_own_engine_resets_the_link_and_leaves_nothing() {
    SUITE.case("af_xdp_as_the_run_s_own_engine_resets_the_link_and_leaves_nothing", || {
        let mut node = Node::new();
        let far = node.serve("");
        sh("ethtool -C eth0 rx-usecs 0");
        let before = captured();
        let resets = || sh("cat /sys/class/net/eth0/carrier_changes").parse::<u64>().unwrap();
        let at_first = resets();
        let ask = format!(
            "optimize --iface eth0 --target {far} --goal 1us --engine af-xdp --cpu {NEAR_CPU} --duration 200ms --pairs 4 --round 10ms --load 0 --engines none --own-settings-only --try nic.coalesce.rx-usecs eth0 100"
        );
        let mut command = std::process::Command::new(program());
        command.args(ask.split_whitespace()).env("LOWLAT_STATE", node.scratch().state());
        let mut running = common::Started::new(&mut command);
        running.says("[1/");
        running.signal("INT");
        let ran = running.wait();
        let step = ran.err.lines().find(|l| l.contains("[1/")).unwrap();
        assert!(step.contains("pairs of rounds") && !step.contains("reset the link"), "{step}");
        assert!(ran.err.contains("af-xdp: attaching its XDP program resets the link"), "{ran:?}");
        ran.fails(&["interrupted by a signal", "every applied change was undone"]);
        // In each round of at least four pairs.
        assert!(resets() >= at_first + 8, "{at_first} {}", resets());
        common::until("the link is up again", || sh("cat /sys/class/net/eth0/carrier") == "1");
        assert!(!sh("ip -d link show dev eth0").contains("xdp"), "{}", sh("ip -d link show dev eth0"));
        assert_eq!(differences(&before, &captured()), Vec::<String>::new());
    });
}

/// An online CPU that the process's cpuset does not have: refused with those it has, before anything is sent.
#[test]
fn a_cpu_outside_of_the_cpuset_is_refused() {
    SUITE.case("a_cpu_outside_of_the_cpuset_is_refused", || {
        let mut node = Node::new();
        let far = node.serve("");
        sh("mkdir -p /tmp/cg && mount -t cgroup2 none /tmp/cg && echo +cpuset > /tmp/cg/cgroup.subtree_control && mkdir /tmp/cg/one && echo 0 > /tmp/cg/one/cpuset.cpus");
        let inside = |args: &str| {
            let script = format!("echo $$ > /tmp/cg/one/cgroup.procs; exec {} {args}", program());
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &script]).env("LOWLAT_STATE", node.scratch().state());
            common::run(&mut command)
        };
        inside(&format!("measure {far} --cpu 1")).refuses(&["CPU 1", "allowed to this process"]);
        let dry_run = format!("optimize --iface eth0 --target {far} --dry-run --cpu 1");
        inside(&dry_run).refuses(&["CPU 1", "not allowed to this process", "choose one of 0"]);
        inside(&format!("measure {far} --cpu 0 --count 20 --json")).exits(0);
        sh("rmdir /tmp/cg/one; umount /tmp/cg");
    });
}

/// Partitions of the kernel itself: a valid one isolates its CPU for the facts, and one that cannot be is found with the
/// kernel's own reason.
#[test]
fn a_cpuset_partition_isolates_and_an_invalid_one_is_named_with_its_reason() {
    SUITE.case("a_cpuset_partition_isolates_and_an_invalid_one_is_named_with_its_reason", || {
        const ROOT: &str = "/sys/fs/cgroup";
        let node = Node::new();
        let facts = || node.lowlat("facts --iface eth0 --json").exits(0).json()["cpus"].clone();
        let found = || {
            let check = node.lowlat("check --iface eth0 --window none --json").json();
            let all = check["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == "cpuset-partition-invalid");
            let evidence = all.flat_map(|f| f["evidence"].as_array().unwrap().clone());
            evidence.map(|e| e.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        sh(&format!(
            "mount -t cgroup2 none {ROOT}; echo +cpuset > {ROOT}/cgroup.subtree_control; mkdir {ROOT}/rt {ROOT}/two"
        ));
        let _back = PartitionsBack;
        let isolated = facts()["isolated"].clone();
        assert_eq!(facts()["partitions"]["value"], serde_json::json!({}));
        assert_eq!(found(), [""; 0]);

        sh(&format!("echo 1 > {ROOT}/rt/cpuset.cpus; echo isolated > {ROOT}/rt/cpuset.cpus.partition"));
        assert_eq!(sh(&format!("cat {ROOT}/rt/cpuset.cpus.partition")), "isolated");
        let with = facts();
        assert_eq!(with["partitions"]["value"]["/rt"]["kind"], "isolated", "{with:#}");
        assert_eq!(with["partitions"]["value"]["/rt"]["cpus"], serde_json::json!([1]), "{with:#}");
        assert_eq!(with["isolated"]["value"], serde_json::json!([1]), "before: {isolated}");
        assert_eq!(found(), [""; 0], "a valid one is no fault");

        // Two groups that claim one CPU: the kernel says why the second cannot have it, and takes it from the first without a
        // reason.
        sh(&format!("echo 1 > {ROOT}/two/cpuset.cpus; echo root > {ROOT}/two/cpuset.cpus.partition || true"));
        let [first, second] = ["rt", "two"].map(|group| sh(&format!("cat {ROOT}/{group}/cpuset.cpus.partition")));
        assert_eq!(first, "isolated invalid");
        assert!(second.starts_with("root invalid ("), "{second}");
        let of = |group: &str, text: &str| format!("cpuset.cpus.partition of /{group}: {text}");
        assert_eq!(found(), [of("rt", &format!("{first} (the kernel gives no reason)")), of("two", &second)]);
        assert_eq!(facts()["isolated"], isolated, "its CPU is not isolated any more");

        sh(&format!("echo member > {ROOT}/two/cpuset.cpus.partition; echo member > {ROOT}/rt/cpuset.cpus.partition"));
        assert_eq!(facts()["isolated"], isolated);
        assert_eq!(found(), [""; 0]);
    });
}

/// No group has CPUs of its own any more.
struct PartitionsBack;

impl Drop for PartitionsBack {
    fn drop(&mut self) {
        let _ = try_sh("cd /sys/fs/cgroup; for g in two rt; do echo member > $g/cpuset.cpus.partition; rmdir $g; done");
        let _ = try_sh("umount /sys/fs/cgroup");
    }
}
