//! `unsafe` lives in few rooms: these files of four crates, each for one reason. Every other crate forbids it, and all
//! take the workspace's lints.

use crate::tree::{Tree, is};

/// The rooms of the program.
const ROOMS: &[(&str, &str)] = &[
    ("crates/os/src/bpf.rs", "bpf(2), to count the programs at a hook, and to plant one"),
    ("crates/os/src/clock.rs", "the time stamp counter and adjtimex"),
    ("crates/os/src/cpu.rs", "scheduling classes"),
    ("crates/os/src/identity.rs", "the user of the whole process"),
    ("crates/os/src/ioctl.rs", "ioctl with structures of <linux/ethtool.h> and <linux/ptp_clock.h>"),
    ("crates/os/src/namespace.rs", "unshare"),
    ("crates/os/src/signal.rs", "sigaction and sigprocmask"),
    ("crates/os/src/socket.rs", "options by number, control messages as bytes, epoll with nanoseconds"),
    ("crates/os/src/thread.rs", "rseq, close_range, tgkill and timers"),
    ("crates/peers/src/serve/privilege.rs", "a thread's own table of descriptors is a promise that its caller makes"),
    ("crates/transport-uring/src/buffer.rs", "memory shared with the kernel"),
    ("crates/transport-uring/src/engine.rs", "submissions name memory that must outlive them"),
    ("crates/transport-uring/src/messages.rs", "submissions name memory that must outlive them"),
    ("crates/transport-uring/src/ring.rs", "submissions name memory that must outlive them"),
    ("crates/transport-uring/src/zerocopy.rs", "submissions name memory that must outlive them"),
    ("crates/transport-xdp/src/bpf.rs", "bpf(2) and a mapped counter"),
    ("crates/transport-xdp/src/mapping.rs", "memory shared with the kernel"),
    ("crates/transport-xdp/src/xsk.rs", "rings shared with the kernel"),
];

/// The crates of the rooms; every other crate forbids it, and no room lifts that.
const CRATES: &[&str] = &["os", "peers", "transport-uring", "transport-xdp"];

/// Files that lift the ban against the list, and manifests without the workspace's lints.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed = |path: &str| ROOMS.iter().any(|(room, _)| *room == path);
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
    wrong.extend(ROOMS.iter().filter(|(p, _)| !tree.has(p)).map(|(p, _)| format!("{p}: is listed and not there")));
    let room_of = |krate: &str| ROOMS.iter().any(|(path, _)| path.starts_with(&format!("crates/{krate}/")));
    wrong.extend(
        CRATES.iter().filter(|c| !room_of(c)).map(|c| format!("{c}: may have unsafe and has none: take it out")),
    );
    let forbids = ["#![forbid(", &lint, ")]"].concat();
    for (path, text) in tree.files(|p| p.ends_with("/src/lib.rs") || p.ends_with("/src/main.rs")) {
        let folder = path.split("/src/").next().unwrap_or_default();
        // The fuzz targets are tests in a workspace of their own.
        let free = folder != "fuzz" && !CRATES.iter().any(|c| folder.strip_prefix("crates/") == Some(*c));
        if free && !text.lines().any(|l| l == forbids) {
            wrong.push(format!("{path}: does not say {forbids}"));
        }
    }
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
        proves(check, |t| t.with("crates/os/src/socket.rs", ""), "has none");
        proves(check, |t| t.without("crates/os/src/socket.rs"), "not there");
        proves(check, |t| t.with("crates/netlink/src/lib.rs", ""), "crates/netlink/src/lib.rs: does not say");
        proves(check, |t| t.with("crates/plan/Cargo.toml", "[package]"), "workspace's lints");
    }
}
