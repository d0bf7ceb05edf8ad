//! `unsafe` lives in small rooms: these files, each for one reason, and every crate takes the workspace's lints.

use crate::tree::{Tree, is};

/// The rooms of the program.
const ROOMS: &[(&str, &str)] = &[
    // The command line is no place for it by the rule of the house; signals are one call that std has no form of.
    ("crates/apply/src/guard/steadfast.rs", "sigprocmask"),
    ("crates/cli/src/signals.rs", "sigaction"),
    ("crates/lab/src/netns/enter.rs", "unshare, mount and prctl"),
    ("crates/lab/src/sockopt.rs", "setsockopt"),
    ("crates/lab/src/vm/lock.rs", "flock"),
    ("crates/measure/src/noise/wakeup.rs", "clock_nanosleep and prctl"),
    ("crates/measure/src/placement.rs", "affinity, scheduling class and memory locking"),
    ("crates/netlink/src/ethtool/ioctl.rs", "ioctl with structures of <linux/ethtool.h>"),
    ("crates/netlink/src/socket.rs", "netlink sockets"),
    ("crates/peers/src/serve/privilege.rs", "setuid, affinity and a thread's own descriptors"),
    (
        "crates/sys/src/live/os.rs",
        "clock_gettime, adjtimex, uname, an ioctl that reads PTP clocks, and a thread that enters another network namespace",
    ),
    ("crates/transport-uring/src/buffer.rs", "memory shared with the kernel"),
    ("crates/transport-uring/src/engine.rs", "submissions name memory that must outlive them"),
    ("crates/transport-uring/src/ring.rs", "submissions name memory that must outlive them"),
    ("crates/transport-xdp/src/bpf.rs", "bpf(2) and a mapped counter"),
    ("crates/transport-xdp/src/netlink.rs", "netlink sockets and ioctls"),
    ("crates/transport-xdp/src/sockopt.rs", "setsockopt and ppoll"),
    ("crates/transport-xdp/src/xsk.rs", "rings shared with the kernel"),
    ("crates/sysmut/src/pipe.rs", "mkfifo"),
    ("crates/transport/src/clock.rs", "the vDSO clock and rdtsc"),
    ("crates/transport/src/os.rs", "socket calls std has no form of"),
    ("crates/transport/src/thread.rs", "rseq, close_range, tgkill, sigaction and timers"),
];

/// Those of tests and examples, which make namespaces of their own.
const TESTS: &[(&str, &str)] = &[
    ("crates/apply/tests/kernel_recorded.rs", "setns"),
    ("crates/apply/tests/kernel_session.rs", "a signal handler"),
    ("crates/cli/tests/common/lab.rs", "setns"),
    ("crates/netlink/tests/common/mod.rs", "unshare"),
    ("crates/peers/tests/common/mod.rs", "unshare"),
    ("crates/peers/tests/kernel_path.rs", "system calls that change one thread"),
    ("crates/peers/tests/kernel_serve.rs", "raw packets"),
    ("crates/sysmut/src/holder.rs", "kill and waitpid, in its test module"),
    ("crates/sysmut/tests/kernel_writes.rs", "unshare and mount"),
    ("crates/transport-xdp/examples/veth_ratio.rs", "affinity"),
    ("crates/transport-xdp/tests/common/mod.rs", "unshare"),
];

/// Files that lift the ban against the list, and manifests without the workspace's lints.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed = |path: &str| ROOMS.iter().chain(TESTS).any(|(room, _)| *room == path);
    let lint = ["unsafe", "_code"].concat();
    let lifts = |text: &str| {
        let lifting = |l: &str| {
            l.trim_start().starts_with('#') && l.contains(&lint) && (l.contains("allow(") || l.contains("expect("))
        };
        text.lines().any(lifting)
    };
    for (path, text) in tree.files(|p| is(p, "rs")) {
        match (lifts(text), listed(path)) {
            (true, false) => {
                wrong.push(format!("{path}: lifts the ban on unsafe and is not in xtask/src/tidy/unsafety.rs"));
            }
            (false, true) => wrong.push(format!("{path}: is listed for unsafe and has none: take it out")),
            _ => {}
        }
    }
    wrong.extend(
        ROOMS.iter().chain(TESTS).filter(|(p, _)| !tree.has(p)).map(|(p, _)| format!("{p}: is listed and not there")),
    );
    for (path, text) in tree.files(|p| p.ends_with("/Cargo.toml")) {
        if !text.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{path}: does not take the workspace's lints, which deny unsafe"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    #[test]
    fn a_new_room_an_empty_one_and_a_crate_without_lints_are_named() {
        let lift = ["#![allow(", "unsafe", "_code)]\n"].concat();
        proves(check, |t| t.with("crates/rules/src/look.rs", &lift), "crates/rules/src/look.rs: lifts the ban");
        proves(check, |t| t.with("crates/netlink/src/socket.rs", ""), "has none");
        proves(check, |t| t.without("crates/netlink/src/socket.rs"), "not there");
        proves(check, |t| t.with("crates/plan/Cargo.toml", "[package]"), "workspace's lints");
    }
}
