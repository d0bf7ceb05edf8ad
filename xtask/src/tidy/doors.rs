//! Files, processes, environment: only through these doors, each with its reason; and in pure crates not even a clock.
//!
//! Product code alone is looked at: tests and examples do as they need.

use crate::tree::{Tree, is, product};

/// What goes past a door, and the words by which it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Files,
    Processes,
    Environment,
}

impl Way {
    const ALL: [Self; 3] = [Self::Files, Self::Processes, Self::Environment];

    fn shows(self, line: &str) -> bool {
        let grouped = line
            .strip_prefix("use std::{")
            .map(|names| names.split([',', '{', '}', ' ', ':', ';']).collect::<Vec<_>>());
        let in_group = |name: &str| grouped.as_ref().is_some_and(|names| names.contains(&name));
        match self {
            Self::Files => line.contains("std::fs") || in_group("fs"),
            Self::Processes => {
                in_group("Command")
                    || line.contains("process::Command")
                    || line.contains("Command::new(")
                    || line.split_once("process::{").is_some_and(|(_, names)| names.contains("Command"))
            }
            Self::Environment => line.contains("std::env") || in_group("env"),
        }
    }
}

use Way::{Environment, Files, Processes};

/// File or folder (ending in `/`), the ways it may go, and why.
const DOORS: &[(&str, &[Way], &str)] = &[
    ("crates/sys/src/live/", &[Files], "the reading door on the running host"),
    ("crates/sys/src/live/path.rs", &[Environment], "the login session's connection"),
    ("crates/sys/src/captured.rs", &[Files], "the reading door on a stored tree"),
    ("crates/sys/src/recorder.rs", &[Files], "stores a tree"),
    ("crates/sys/src/store/", &[Files, Environment], "the tool's own files, and where they are"),
    ("crates/sys/src/tracefs.rs", &[Files], "a tracefs instance of its own, made on request and removed again"),
    ("crates/sysmut/src/file.rs", &[Files], "the writing door: settings of the kernel"),
    ("crates/sysmut/src/dropin.rs", &[Files], "the writing door: drop-ins"),
    (
        "crates/sysmut/src/holder.rs",
        &[Files, Processes, Environment],
        "starts this program again as the holder of a latency limit",
    ),
    ("crates/sysmut/src/pipe.rs", &[Files], "the pipe by which that holder is known and ended"),
    ("crates/apply/src/disk.rs", &[Files], "the journal's disk"),
    ("crates/apply/src/persist.rs", &[Environment], "the boot unit names this program's file"),
    (
        "crates/apply/src/guard/",
        &[Files, Processes, Environment],
        "starts this program again as the guard, and knows who runs",
    ),
    (
        "crates/measure/src/gaps.rs",
        &[Files],
        "the prober's own schedstat between probes: one descriptor kept open, since the reading door opens anew each time",
    ),
    ("crates/noise/src/smi.rs", &[Files], "the register that counts firmware interrupts: eight bytes of a device"),
    ("crates/samplelog/src/", &[Files], "the full sample log, written next to the measurement by a thread of its own"),
    ("crates/lab/src/faults/", &[Files], "plants in the lab's own namespace, next to the journal on purpose"),
    ("crates/lab/src/netns/", &[Files, Processes, Environment], "starts this program again as the far node"),
    ("crates/lab/src/vm/", &[Files, Processes, Environment], "QEMU, kernels and their cache"),
    ("crates/starters/src/lib.rs", &[Files], "the folder that `bypass new` names"),
    ("crates/transport-dpdk/src/child.rs", &[Processes, Environment], "starts lowlat-dpdk, from where it is"),
    ("crates/live/src/suspend.rs", &[Processes, Environment], "starts this program again as the far end that answers"),
    ("crates/live/src/judge/command.rs", &[Processes], "the user's own command, which judges"),
    ("crates/live/src/stored.rs", &[Files], "the folder that --out names"),
    ("crates/cli/src/main.rs", &[Environment], "the arguments"),
    ("crates/terminal/src/output.rs", &[Environment], "NO_COLOR and COLUMNS"),
    ("xtask/src/", &[Files, Processes, Environment], "this tool: files of the repository, git and cargo"),
];

/// Crates that read nothing, not even a clock.
const PURE: &[&str] = &["model", "rules", "plan", "verdict", "assess", "families", "report", "trace", "watch", "shape"];

/// What a pure crate may not name.
const IMPURE: &[&str] = &["Instant::now", "SystemTime::now", "std::net::", "std::thread", "std::os::", "libc::"];

fn is_product(path: &str) -> bool {
    let source = path.starts_with("crates/") || path.starts_with("xtask/");
    source
        && is(path, "rs")
        && path.contains("/src/")
        && !path.ends_with("/tests.rs")
        && !path.starts_with("crates/testkit/")
}

/// Ways past the doors, doors nobody uses, and impurities.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used = vec![Vec::new(); DOORS.len()];
    for (path, text) in tree.files(is_product) {
        let pure = PURE.iter().any(|c| path.strip_prefix("crates/").is_some_and(|p| p.starts_with(&format!("{c}/"))));
        for (number, line) in product(text).lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for way in Way::ALL.into_iter().filter(|w| w.shows(line)) {
                let door = DOORS.iter().position(|(place, ways, _)| {
                    (path == *place || place.ends_with('/') && path.starts_with(place)) && ways.contains(&way)
                });
                match door {
                    Some(door) => used[door].push(way),
                    None => wrong.push(format!(
                        "{path}:{}: {way:?} past the doors of xtask/src/tidy/doors.rs: {}",
                        number + 1,
                        line.trim()
                    )),
                }
            }
            if let Some(word) = IMPURE.iter().find(|w| pure && line.contains(**w)) {
                wrong.push(format!("{path}:{}: {word} in a pure crate", number + 1));
            }
        }
    }
    for ((place, ways, _), used) in DOORS.iter().zip(&used) {
        for way in ways.iter().filter(|w| !used.contains(w)) {
            wrong.push(format!("{place}: is a door for {way:?} that nobody uses: take it out"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    fn appending(path: &'static str, line: &'static str) -> impl Fn(&Tree) -> Tree {
        move |tree| tree.with(path, &format!("{line}\n{}", tree.text(path).unwrap()))
    }

    #[test]
    fn each_way_past_a_door_is_named() {
        for (path, line, word) in [
            ("crates/collect/src/cpus.rs", "use std::fs;", "Files"),
            ("crates/settings/src/lib.rs", "use std::{env, fmt};", "Environment"),
            ("crates/collect/src/cpus.rs", "let c = std::process::Command::new(\"ip\");", "Processes"),
            ("crates/sys/src/live/mod.rs", "use std::process::{Child, Command};", "Processes"),
            ("crates/rules/src/look.rs", "let t = Instant::now();", "in a pure crate"),
        ] {
            proves(check, appending(path, line), &format!("{path}:1: "));
            proves(check, appending(path, line), word);
        }
    }

    #[test]
    fn an_unused_door_is_named() {
        proves(check, |t| t.with("crates/sysmut/src/file.rs", ""), "crates/sysmut/src/file.rs: is a door");
    }
}
