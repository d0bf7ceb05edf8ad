//! What igb shows and e1000e does not: queues, and a fault of one end that hides from the median.

#![allow(clippy::unwrap_used)]

mod common;

use common::LOWLAT;
use common::guest::*;
use lowlat_lab::vm::{KernelChoice, Suite, topology};

static SUITE: Suite = Suite::new(&topology::IGB_PAIR, KernelChoice::V6_12).program(PROGRAM, LOWLAT);

#[test]
fn a_fault_of_one_end_that_shows_in_p99_is_found_and_fixed() {
    SUITE.case("a_fault_of_one_end_that_shows_in_p99_is_found_and_fixed", || {
        let mut node = Node::new();
        let far = node.serve("");
        sh("ip netns exec far ethtool -C eth1 rx-usecs 0");
        Node::hold_back(500);
        let ask = format!(
            "optimize --iface eth0 --target {far} --goal 200us --cpu {NEAR_CPU} --duration 1300ms --pairs 10 --round 300ms --load 0 --engines none --json"
        );
        let run = node.lowlat(&ask);
        let run = run.json();
        let (p50, p99) = (number(&run, "/baseline/rtt/p50_ns"), number(&run, "/baseline/rtt/p99_ns"));
        assert!(p99 >= 4.0 * p50, "the fault hides from the median: P50 {p50}, P99 {p99}");
        assert!(run["findings"].as_array().unwrap().iter().any(|f| f["rule"] == "interrupt-coalescing"));
        let step = steps(&run, "nic.coalesce.rx-usecs").pop().cloned().unwrap();
        assert_eq!((&step["verdict"], &step["kept"]), (&"better".into(), &true.into()), "{step:#}");
        let after = number(&run, "/result/rtt/p99_ns");
        assert!(p99 >= 4.0 * after, "P99 {p99} -> {after}");
    });
}

#[test]
fn small_values_are_modes_and_told() {
    SUITE.case("small_values_are_modes_and_told", || {
        let node = Node::new();
        for mode in ["1", "3"] {
            sh(&format!("ethtool -C eth0 rx-usecs {mode}"));
            let check = node.lowlat("check --iface eth0 --window none").exits(1).out.clone();
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
