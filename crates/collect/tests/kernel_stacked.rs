//! Kinds of stacked links on the real kernel: a fault on the device beneath is named there, and one on the device beneath a
//! neighbour of the same kind is elsewhere.
//!
//! Each kind has a namespace of its own, which ends with its thread. A kind that this kernel has no module for is counted and
//! printed; bond, VLAN, macvlan, team, ipvlan and wireguard are tried in the VM lab too (`kernel_vm_stack`).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lowlat_model::Finding;
use lowlat_rules::{Input, check_all};
use lowlat_sys::Live;

/// Fewer kinds than these, and the suite has tried next to nothing: red.
const AT_LEAST: usize = 3;

struct Kind {
    name: &'static str,
    /// Makes the link TOP; LOW is the device beneath, N a number that differs between the two.
    make: &'static str,
    /// `false` where nothing is beneath in this namespace: the fault then lies on the link itself.
    beneath: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "bond",
        make: "ip link add TOP type bond mode active-backup; ip link set LOW down; ip link set LOW master TOP",
        beneath: true,
    },
    Kind {
        name: "team",
        make: "ip link add TOP type team; ip link set LOW down; ip link set LOW master TOP",
        beneath: true,
    },
    Kind { name: "vlan", make: "ip link add link LOW name TOP type vlan id 5", beneath: true },
    Kind { name: "bridge", make: "ip link add TOP type bridge; ip link set LOW master TOP", beneath: true },
    Kind { name: "macvlan", make: "ip link add link LOW name TOP type macvlan mode bridge", beneath: true },
    Kind { name: "ipvlan", make: "ip link add link LOW name TOP type ipvlan", beneath: true },
    Kind {
        name: "vxlan",
        make: "ip addr add 198.18.N.1/24 dev LOW; ip link add TOP type vxlan id N remote 198.18.N.2 dstport 4789",
        beneath: true,
    },
    // A program sends on what it reads from the tunnel, by whatever way: nothing beneath is known.
    Kind { name: "tun", make: "ip tuntap add dev TOP mode tun", beneath: false },
    Kind { name: "tap", make: "ip tuntap add dev TOP mode tap", beneath: false },
    // The other end is in a container, whose namespace is not looked into.
    Kind { name: "veth", make: "ip link add TOP type veth peer name cN; ip link set cN netns PID", beneath: false },
];

fn try_sh(line: &str) -> Result<(), String> {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(()) } else { Err(said) }
}

fn sh(line: &str) {
    try_sh(line).unwrap_or_else(|e| panic!("{line}: {e}"));
}

/// The shapers found on the path of `top`, and next to it.
fn shapers() -> [Vec<String>; 2] {
    let facts = lowlat_collect::gather(&Live::new(), Some("top"), None);
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    let titles = |all: Vec<Finding>| -> Vec<String> {
        all.into_iter().filter(|f| f.rule == "shaper-below-line-rate").map(|f| f.title).collect()
    };
    [titles(seen.findings), titles(seen.elsewhere)]
}

/// `Err` where this kernel has no such links.
fn tried(kind: &Kind) -> Result<(), String> {
    lowlat_os::namespace::own_network().unwrap();
    lowlat_os::namespace::own_mounts().unwrap();
    lowlat_os::namespace::mount_sys().unwrap();
    sh("ip link set lo up");
    let container = Container::new();
    for (n, top, low) in [("7", "top", "low0"), ("8", "twin", "off0")] {
        sh(&format!("ip link add {low} type veth peer name {low}p; ip link set {low} up; ip link set {low}p up"));
        let make = kind.make.replace("TOP", top).replace("LOW", low).replace("PID", &container.pid());
        match try_sh(&make.replace('N', n)) {
            Err(e) if e.contains("Unknown device type") || e.contains("not supported") => {
                return Err(e.trim().to_owned());
            }
            Err(e) => panic!("{make}: {e}"),
            Ok(()) => sh(&format!("ip link set {low} up; ip link set {top} up")),
        }
    }
    let (on, off) = if kind.beneath { ("low0", "off0") } else { ("top", "twin") };
    let none = Vec::<String>::new;
    assert_eq!(shapers(), [none(), none()], "{}: healthy", kind.name);
    for dev in [on, off] {
        sh(&format!("tc qdisc replace dev {dev} root handle 1: tbf rate 2mbit burst 1600 limit 65536"));
        let named = vec![format!("a shaper on {dev} is too slow")];
        let want = if dev == on { [named, none()] } else { [none(), named] };
        assert_eq!(shapers(), want, "{}", kind.name);
        sh(&format!("tc qdisc del dev {dev} root"));
    }
    Ok(())
}

/// A network namespace that ends with its one process.
struct Container(Child);

impl Container {
    fn new() -> Self {
        let made = Self(Command::new("unshare").args(["-n", "sleep", "600"]).spawn().unwrap());
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while of(&made.pid()) == of("thread-self") {
            assert!(Instant::now() < until, "unshare has made no namespace after 10 s");
            std::thread::sleep(Duration::from_millis(2));
        }
        made
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_fault_beneath_a_link_of_each_kind_is_named_there() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: root only");
        return eprintln!("NOT RUN: network namespaces need root");
    }
    let mut without = Vec::new();
    for kind in KINDS {
        // The namespace is the thread's, and ends with it.
        let result = std::thread::scope(|s| s.spawn(|| tried(kind)).join());
        match result {
            Ok(Ok(())) => {}
            Ok(Err(why)) => without.push(format!("{}: {why}", kind.name)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    eprintln!("{} of {} kinds tried; not on this kernel: {without:?}", KINDS.len() - without.len(), KINDS.len());
    assert!(KINDS.len() - without.len() >= AT_LEAST, "{without:?}");
}
