//! A captured tree: its manifest files (lists, links, readings, replies), each of them any bytes.

use std::fs;
use std::path::PathBuf;

use lowlat_sys::{Captured, NetQuery, Sys, query};

/// Files of the tree, in the order of the input's parts.
const FILES: &[&str] = &[
    "proc/.list.json",
    "proc/a.reading.json",
    "proc/b",
    "proc/c.link",
    "proc/.list.reading.json",
    "net/links.json",
    "net/qdiscs.json",
    "now_ns",
];

/// Parts, each ended by a byte 0xff.
pub fn run(data: &[u8]) {
    thread_local! {
        static TREE: PathBuf = {
            let shared = PathBuf::from("/dev/shm");
            let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
            let tree = folder.join(format!("lowlat-fuzz-{}", std::process::id()));
            let _ = fs::create_dir_all(tree.join("proc"));
            let _ = fs::create_dir_all(tree.join("net"));
            tree
        };
    }
    TREE.with(|tree| {
        for (file, part) in FILES.iter().zip(data.split(|b| *b == 0xff).map(Some).chain(std::iter::repeat(None))) {
            let path = tree.join(file);
            match part {
                Some(part) if !part.is_empty() => fs::write(path, part).expect("the tree can be written"),
                _ => drop(fs::remove_file(path)),
            }
        }
        let sys = Captured::open(tree).expect("a tree");
        let _ = (sys.list("/proc"), sys.read("/proc/a"), sys.read("/proc/b"), sys.read_bytes("/proc/b"));
        let _ = (sys.link_target("/proc/c"), sys.now_ns(), sys.read("/proc/../../etc/hostname"));
        let _ = (sys.net(&NetQuery::Links), query::links(&sys), query::qdiscs(&sys));
        sys.wait(1);
        let _ = sys.now_ns();
    });
}
