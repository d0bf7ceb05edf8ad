//! `lowlat serve` and `lowlat measure` as their users run them, between two namespaces: what does not fit is one line
//! and exit 2; the far end reports how it is confined and what it did.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::process::Command;

use common::lab::{FAR, Lab};
use common::{Scratch, Started};

#[test]
fn a_far_end_of_another_protocol_is_named() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &["--sockperf", "--stamp"]);
    let key = scratch.secret("key", "0123456789abcdef0123456789abcdef\n");
    let at = |port: u16| format!("{FAR}:{port}");
    let (ours, sockperf, stamp) = (at(8620), at(11111), at(862));
    let cases: &[(&str, &[&str])] = &[
        (&sockperf, &["--peer", "lowlat"]),
        (&stamp, &["--peer", "lowlat"]),
        (&ours, &["--peer", "sockperf"]),
        (&ours, &["--peer", "stamp"]),
        (&ours, &["--peer", "irtt"]),
        (&sockperf, &["--peer", "irtt"]),
        (&stamp, &["--peer", "irtt"]),
        (&sockperf, &["--peer", "lowlat", "--proto", "tcp"]),
        (&ours, &["--peer", "sockperf", "--proto", "tcp"]),
        // One with a key, the other without.
        (&ours, &["--key-file", &key]),
        (&stamp, &["--peer", "stamp", "--key-file", &key, "--size", "112"]),
        // Nothing listens there at all.
        (&at(9), &["--peer", "stamp"]),
        (&at(9), &["--proto", "tcp"]),
    ];
    for (target, more) in cases {
        let args = [&["measure", target, "--timeout", "200ms", "--count", "5"], *more].concat();
        lab.run(&scratch, &args).refuses(&[target]);
    }
}

#[test]
fn a_message_beyond_the_mtu_is_named_with_what_fits() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &["--stamp"]);
    for engine in ["block", "spin", "busy-poll", "epoll", "io-uring"] {
        let args = ["measure", FAR, "--engine", engine, "--size", "1473", "--count", "5"];
        lab.run(&scratch, &args).refuses(&["1473", "1472", FAR]);
        let args = ["measure", FAR, "--engine", engine, "--size", "1472", "--count", "5"];
        lab.run(&scratch, &args).exits(0);
    }
    for proto in ["icmp", "udp"] {
        lab.run(&scratch, &["measure", FAR, "--proto", proto, "--size", "1473"]).refuses(&["1473", "1472"]);
    }
    lab.run(&scratch, &["measure", FAR, "--engine", "af-xdp", "--size", "1473"]).refuses(&["1473"]);
    lab.run(&scratch, &["measure", FAR, "--peer", "stamp", "--size", "1473"]).refuses(&["1473", "1472"]);
    // A stream has no such limit.
    lab.run(&scratch, &["measure", FAR, "--proto", "tcp", "--size", "9000", "--count", "5"]).exits(0);
}

#[test]
fn what_serve_cannot_start_with() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &["--sockperf", "--stamp"]);
    let key = scratch.secret("key", "0123456789abcdef0123456789abcdef\n");
    let odd = scratch.secret("odd", "hex:0123456789abcdef0123456789abcde\n");
    let none = scratch.secret("none", "hex:0123456789abcdefzz23456789abcdef\n");
    let short = scratch.secret("short", "hex:0123456789abcdef\n");
    let folder = scratch.path().to_str().unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        // The first far end has these, in the far namespace; here they are free.
        (&["--bind", "203.0.113.9"], &["203.0.113.9"]),
        (&["--allow", "10.0.0.1/8"], &["10.0.0.1/8", "10.0.0.0"]),
        (&["--allow", "everybody"], &["everybody"]),
        (&["--allow", "10.0.0.0/8/8"], &["10.0.0.0/8/8"]),
        (&["--allow", ""], &["\"\""]),
        (&["--source-limit", "0"], &["--source-limit", "0"]),
        (&["--total-limit=-1"], &["--total-limit"]),
        (&["--report", "0s"], &["--report", "0s"]),
        (&["--key-file", &odd], &[&odd, "hex"]),
        (&["--key-file", &none], &[&none, "hex"]),
        (&["--key-file", &short], &[&short, "16"]),
        (&["--key-file", folder], &[folder]),
        (&["--key-file", &key, "--sockperf"], &["sockperf", "key"]),
        (&["--cpu", "4095"], &["4095"]),
        (&["--port", "65536"], &["65536"]),
    ];
    for (args, named) in cases {
        lab.run(&scratch, &[&["serve"], *args].concat()).refuses(named);
    }
    // A second far end next to the first, on each of its ports in turn.
    let far = |args: &[&str]| {
        let all = [&["serve"], args].concat();
        Started::new(&mut lab.lowlat_far(&scratch, &all)).wait()
    };
    far(&[]).refuses(&["8620", "ss -lnp"]);
    far(&["--port", "8621", "--sockperf"]).refuses(&["11111", "ss -lnp"]);
    far(&["--port", "8621", "--stamp"]).refuses(&["862", "ss -lnp"]);
}

#[test]
fn targets_and_priorities_that_cannot_be_had() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let cases: &[(&[&str], &[&str])] = &[
        (&["fe80::1"], &["fe80::1", "%INTERFACE"]),
        (&["fe80::1%nosuch0"], &["nosuch0"]),
        (&["[fe80::1%lo]:many"], &["many"]),
        (&[FAR, "--priority", "16"], &["--priority", "16"]),
        (&[FAR, "--priority=-1"], &["--priority"]),
        (&[FAR, "--dscp", "64"], &["--dscp", "64"]),
    ];
    for (args, named) in cases {
        lab.run(&scratch, &[&["measure"], *args].concat()).refuses(named);
    }
}

/// The resolver gives the IPv6 address first (RFC 6724, default policy table); nobody has it.
#[test]
fn a_name_whose_first_address_is_silent_is_measured_by_the_next() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let _far = lab.serve(&scratch, &[]);
    lab.ip("address add 2001:db8:7::1/64 dev near0 nodad");
    let hosts = scratch.file("hosts", format!("2001:db8:7::77 twin\n{FAR} twin\n2001:db8:7::77 dead\n"));
    let prepare = format!("mount --bind {hosts} /etc/hosts");
    let measure = |name: &str, proto: &str| {
        let args = ["measure", name, "--proto", proto, "--timeout", "100ms", "--count", "50", "--json"];
        common::run(&mut lab.lowlat_after(&scratch, &prepare, &args))
    };
    for proto in ["udp", "tcp", "icmp"] {
        let ran = measure("twin", proto);
        let document = ran.exits(0).json();
        // An echo request has no port.
        let target = if proto == "icmp" { FAR.to_owned() } else { format!("{FAR}:8620") };
        assert_eq!(document["target"], target, "{document:#}");
        let warned = document["warnings"].to_string();
        assert!(warned.contains("2001:db8:7::77") && warned.contains("did not answer"), "{warned}");
    }
    measure("dead", "udp").refuses(&["measure dead", "no answer"]);
}

#[test]
fn an_interface_deleted_under_the_xdp_program_is_reported() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    // linkwatch says so some time after the link was set up.
    let state =
        || Command::new("ip").args(["netns", "exec", &lab.far, "cat", "/sys/class/net/far0/operstate"]).output();
    common::until("the far link is up", || state().unwrap().stdout.starts_with(b"up"));
    let mut far = lab.serve(&scratch, &["--xdp", "far0", "--port", "8620"]);
    far.says("XDP");
    lab.run(&scratch, &["measure", FAR, "--count", "50"]).exits(0);
    lab.far_ip("link add other type veth peer name another");
    lab.far_ip("link del other");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!far.err().contains("deleted"), "{}", far.err());
    lab.far_ip("link del far0");
    far.says("far0 was deleted or left this network namespace");
    far.signal("TERM");
    let ran = far.wait();
    assert_eq!(ran.exits(0).err.matches("was deleted").count(), 1, "{}", ran.err);
}

/// Its answers come from a process of DPDK, at an address that the kernel does not have; the interface stays the kernel's.
#[test]
fn a_far_end_behind_dpdk_answers_and_counts() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let (at, subnet) = ("198.18.7.77", "198.18.7.77/24");
    let serve = |address: &str| {
        let args = ["serve", "--engine", "dpdk", "--dpdk-address", address, "--iface", "far0", "--json"];
        Started::new(&mut lab.lowlat_far(&scratch, &args))
    };
    serve(&format!("{FAR}/24")).wait().refuses(&[FAR, "the kernel has"]);
    let mut far = serve(subnet);
    far.says("lowlat over Udp on 198.18.7.77:8620 by DPDK net_af_packet");
    let measured = lab.run(&scratch, &["measure", at, "--count", "50", "--json"]).exits(0).json();
    assert_eq!((&measured["sent"], &measured["lost"]), (&50.into(), &0.into()), "{measured:#}");
    far.signal("TERM");
    let counted = far.wait().exits(0).json();
    assert!(counted["answered"].as_u64() >= Some(50) && counted["answered"] == counted["received"], "{counted:#}");
}

/// The first thread and that of the sinks have every descriptor; the others, each in a table of its own, what they
/// answer with, a connected socket's thread just that. The sinks' thread alone is not one step ahead.
#[track_caller]
fn threads_have_what_they_answer_with(far: &Started) {
    let tasks: Vec<_> = std::fs::read_dir(format!("/proc/{}/task", far.pid())).unwrap().map(|t| t.unwrap()).collect();
    let descriptors = |task: &std::fs::DirEntry| {
        let open = std::fs::read_dir(task.path().join("fd")).unwrap();
        open.filter(|fd| !["0", "1", "2"].iter().any(|n| fd.as_ref().unwrap().file_name() == *n)).count()
    };
    let counts: Vec<usize> = tasks.iter().map(descriptors).collect();
    let most = *counts.iter().max().unwrap();
    assert_eq!(counts.iter().filter(|n| **n == most).count(), 2, "{counts:?}");
    assert_eq!(
        counts.iter().filter(|n| **n == 1).count(),
        2 * counts.iter().filter(|n| **n == 3).count(),
        "{counts:?}"
    );
    // proc_pid_stat(5): the nice value is field 19, the 17th behind the name.
    let nice = |task: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().to_owned()
    };
    let usual: Vec<_> = tasks.iter().map(nice).filter(|nice| nice != "-1").collect();
    assert_eq!(usual, ["0"]);
}

#[test]
fn the_far_end_reports_how_it_is_confined_and_what_it_did() {
    let (lab, scratch) = (Lab::new(), Scratch::new());
    let mut far = lab.serve(&scratch, &["--stamp", "--report", "200ms", "--json"]);
    far.says("privileges: user and group 65534");
    far.says("landlock: ");
    far.says("seccomp: ");
    let status = std::fs::read_to_string(format!("/proc/{}/status", far.pid())).unwrap();
    for held in ["Uid:\t65534\t65534\t65534\t65534", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.contains(held), "{held} in {status}");
    }
    // Each thread is filtered; the first one too, once the others run.
    common::until("every thread is filtered", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", far.pid())).unwrap();
        let mut all = tasks.map(|t| std::fs::read_to_string(t.unwrap().path().join("status")).unwrap_or_default());
        all.all(|text| text.contains("Seccomp:\t2"))
    });
    threads_have_what_they_answer_with(&far);
    for args in [&["measure", FAR, "--count", "20000"][..], &["measure", FAR, "--proto", "tcp", "--count", "500"]] {
        lab.run(&scratch, args).exits(0);
    }
    lab.run(&scratch, &["measure", FAR, "--peer", "stamp", "--count", "500"]).exits(0);
    far.says("received ");
    far.signal("TERM");
    let ran = far.wait();
    let reported = ran.exits(0).json();
    let count = |key: &str| reported[key].as_u64().unwrap_or_else(|| panic!("{key} of {reported:#}"));
    // Warm-up and the first reach come on top. Every 16th answer is timed, and a P99 needs a thousand of them.
    assert!(count("received") >= 21_000 && count("answered") == count("received"), "{reported:#}");
    assert!(count("residence_p50_ns") > 0 && count("residence_max_ns") >= count("residence_p99_ns"), "{reported:#}");
    for nothing in ["malformed", "send_failed", "receive_failed", "kernel_dropped"] {
        assert_eq!(count(nothing), 0, "{reported:#}");
    }
    assert!(ran.err.contains("residence p50"), "{}", ran.err);
}
