//! Faults planted in network namespaces of the real kernel: the right finding stands first.
//!
//! Each has a namespace of its own, which ends with its thread. What the machine itself suffers from meanwhile (stolen time,
//! page faults of others) is no fault of a namespace and is left out. `LOWLAT_BLESS=1` writes
//! `fixtures/planted/namespaces.json` anew.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

mod hosts;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lowlat_netlink::nft::{self, Hook};
use lowlat_rules::{Input, check_all};
use lowlat_sys::Live;
use rustix::net::{AddressFamily, SocketType, socket};

/// Long enough for a few hundred packets.
const WINDOW_NS: u64 = 200_000_000;

/// Rules of the whole machine: in a namespace of it they report others.
const OF_THE_MACHINE: [&str; 14] = [
    "steal-time",
    "cpu-quota-throttled",
    "thermal-throttling",
    "swapping",
    "major-faults",
    "huge-page-compaction",
    "page-merging-active",
    "softnet-drops",
    "softnet-time-squeeze",
    "clock-not-synchronized",
    "clocksource-not-tsc",
    "tasks-wait-for-cpu",
    "direct-reclaim",
    "governor-not-performance",
];

fn sh(line: &str) {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A namespace with `lan0`, whose other end is in a namespace of its own, 198.18.9.1 and 198.18.9.2.
fn net() {
    lowlat_os::namespace::own_network().unwrap();
    lowlat_os::namespace::own_mounts().unwrap();
    lowlat_os::namespace::mount_sys().unwrap();
    sh("ip link set lo up; ip link add lan0 type veth peer name lan1; ip addr add 198.18.9.1/24 dev lan0;
        ip link set lan0 up; ip link set lan1 up; ip neigh add 198.18.9.2 lladdr 02:00:00:00:00:09 dev lan0");
}

/// What goes on while a fault is looked for; it ends with the flag.
type Traffic = Box<dyn Fn(&AtomicBool) + Send + Sync>;

/// What plants a fault, and what goes on while it is looked for; it ends with the flag.
struct Fault {
    name: &'static str,
    rule: &'static str,
    iface: &'static str,
    plant: fn() -> Traffic,
}

/// Nothing goes on.
fn quiet() -> Traffic {
    Box::new(|_| {})
}

fn sends(size: usize) -> Traffic {
    let from = UdpSocket::bind("198.18.9.1:0").unwrap();
    from.set_nonblocking(true).unwrap();
    Box::new(move |stop| {
        let bytes = vec![0; size];
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..64 {
                let _ = from.send_to(&bytes, "198.18.9.2:9");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "tbf-left-behind",
        rule: "shaper-below-line-rate",
        iface: "lan0",
        plant: || {
            sh("tc qdisc add dev lan0 root tbf rate 1mbit burst 1600 limit 60000");
            sends(64)
        },
    },
    Fault {
        name: "fifo-in-front-of-a-slow-line",
        rule: "plain-fifo-backlog",
        iface: "lan0",
        plant: || {
            sh(
                "tc qdisc add dev lan0 root handle 1: tbf rate 50mbit burst 10k limit 100k; tc qdisc add dev lan0 parent 1:1 handle 2: pfifo limit 50",
            );
            sends(1_400)
        },
    },
    Fault {
        name: "two-thousand-rules",
        rule: "long-filter-chain",
        iface: "lan0",
        plant: || {
            nft::create_table("grown", "input", Hook::Input, 20_000..22_000).unwrap();
            quiet()
        },
    },
    Fault {
        name: "a-packet-socket",
        rule: "packet-sockets",
        iface: "lan0",
        plant: || {
            // ETH_P_ALL, as tcpdump asks.
            let all = rustix::net::Protocol::from_raw(core::num::NonZeroU32::new(u32::from(3u16.to_be())).unwrap());
            let tap = socket(AddressFamily::PACKET, SocketType::RAW, Some(all)).unwrap();
            Box::new(move |_| {
                let _ = &tap;
            })
        },
    },
    Fault {
        name: "rps-to-another-cpu",
        rule: "rps-remote-cpu",
        iface: "lan0",
        plant: || {
            sh("echo 1 > /sys/class/net/lan0/queues/rx-0/rps_cpus");
            quiet()
        },
    },
    Fault {
        name: "a-filter-at-the-hook",
        rule: "traffic-control-filters",
        iface: "lan0",
        plant: || {
            sh("tc qdisc add dev lan0 clsact; tc filter add dev lan0 ingress protocol ip u32 match u32 0 0 flowid 1:1");
            quiet()
        },
    },
    Fault {
        name: "a-reader-that-sleeps",
        rule: "receive-buffer-errors",
        iface: "lo",
        plant: || {
            let (reader, from) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
            from.connect(reader.local_addr().unwrap()).unwrap();
            Box::new(move |stop| {
                let _ = &reader;
                while !stop.load(Ordering::Relaxed) {
                    let _ = from.send(&[0; 1_000]);
                    std::thread::sleep(Duration::from_micros(50));
                }
            })
        },
    },
    Fault {
        name: "a-server-that-does-not-accept",
        rule: "listen-queue-overflows",
        iface: "lo",
        plant: || {
            sh("echo 1 > /proc/sys/net/core/somaxconn");
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let to = server.local_addr().unwrap();
            Box::new(move |stop| {
                let mut held = vec![server.local_addr().ok().map(|_| ()).and_then(|()| TcpStream::connect(to).ok())];
                while !stop.load(Ordering::Relaxed) {
                    held.push(TcpStream::connect_timeout(&to, Duration::from_millis(20)).ok());
                }
            })
        },
    },
    Fault {
        name: "bulk-written-far-ahead",
        rule: "unsent-data-queued",
        iface: "lo",
        plant: || {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
            let reader = server.accept().unwrap().0;
            client.set_nonblocking(true).unwrap();
            while client.write(&[0; 65_536]).is_ok() {}
            Box::new(move |_| {
                let _ = (&reader, &client);
            })
        },
    },
    Fault {
        name: "selective-acknowledgements-off",
        rule: "tcp-features-off",
        iface: "lan0",
        plant: || {
            sh("echo 0 > /proc/sys/net/ipv4/tcp_sack");
            quiet()
        },
    },
];

/// The rules of the findings, first to last.
fn found(fault: &Fault) -> Vec<String> {
    net();
    let while_looking = (fault.plant)();
    let stop = AtomicBool::new(false);
    let facts = std::thread::scope(|s| {
        s.spawn(|| while_looking(&stop));
        let facts = lowlat_collect::gather(&Live::new(), Some(fault.iface), Some(WINDOW_NS));
        stop.store(true, Ordering::Relaxed);
        facts
    });
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    let rules = seen.findings.into_iter().map(|f| f.rule);
    rules.filter(|rule| !OF_THE_MACHINE.contains(&rule.as_str())).collect()
}

#[test]
fn each_fault_of_a_namespace_stands_first() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: root only");
        return eprintln!("NOT RUN: network namespaces need root");
    }
    let mut planted: BTreeMap<String, [String; 3]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for fault in FAULTS {
        // The namespace is the thread's, and ends with it.
        let rules = std::thread::spawn(|| found(fault)).join().unwrap();
        let became = match rules.iter().position(|rule| rule == fault.rule) {
            Some(0) => "top",
            Some(_) => "found",
            None => "missed",
        };
        if became != "top" {
            wrong.push(format!("{}: {} is {became} in {rules:?}", fault.name, fault.rule));
        }
        planted.insert(fault.name.to_owned(), ["fault".to_owned(), fault.rule.to_owned(), became.to_owned()]);
    }
    let at = hosts::fixtures().join("planted/namespaces.json");
    let text = serde_json::to_string_pretty(&planted).unwrap() + "\n";
    if std::env::var_os("LOWLAT_BLESS").is_some() {
        std::fs::write(&at, text).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(&at).unwrap(), text, "stale; run with LOWLAT_BLESS=1");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
