//! `lowlat persist` and a reboot, with a real systemd: one guest applies a setting of every kind and keeps them, another
//! boots with the files it wrote, and everything is there again; then `lowlat rollback` takes all of it away. And the
//! other way back: the shell scripts beside the journals, without lowlat.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use lowlat_lab::vm::{Guest, GuestOutcome, KernelChoice, Lab, Share, topology};

use common::{LOWLAT, Scratch};

/// What both guests share: where the program is, and every setting in words.
const COMMON: &str = include_str!("guest/persist-common.sh");
const APPLY: &str = include_str!("guest/persist-apply.sh");
const BOOT: &str = include_str!("guest/persist-boot.sh");

/// What is set, and how it then shows.
const SET: [&str; 13] = [
    "slow_start_after_idle 0",
    "busy_read 50",
    "gro off",
    "rx-usecs 10",
    "ring 512",
    "channels 1",
    "qdisc pfifo limit 500p",
    "irq 1 cpu 1",
    "rps 2",
    "xps 2",
    "hugepages 16",
    "isolcpus isolcpus=1",
    "dma-latency 20",
];

fn guest(lab: &Lab, script: &str, results: &Path, shares: Vec<Share>) -> GuestOutcome {
    let program = Path::new(LOWLAT);
    let bin = Share { host: program.parent().unwrap().into(), guest: "/run/lowlat/bin".into(), writable: false };
    let mut guest = Guest::new(&topology::IGB_PAIR, format!("{COMMON}{script}"), results);
    guest.shares = shares.into_iter().chain([bin]).collect();

    guest.time_limit = Duration::from_secs(400);
    // Nothing is timed, so the CPUs may run beside each other.
    guest.icount = false;
    // The names of both boots are those that the drivers give.
    guest.cmdline_extra = "net.ifnames=0 printk.devkmsg=on".into();
    let outcome = lab.run(&guest).unwrap();
    eprintln!("{:.1?}", outcome.wall);
    assert_eq!(outcome.exit_code, 0, "{}", outcome.console);
    outcome
}

#[test]
fn what_is_kept_comes_back_at_boot_and_goes_by_rollback() {
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let tree = Share { host: lab.systemd().unwrap(), guest: "/run/lowlat/tree".into(), writable: false };
    let scratch = Scratch::new();
    let results = scratch.path().join("results");
    let text = |file: &str| fs::read_to_string(results.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let lines = |file: &str| text(file).lines().map(str::to_owned).collect::<Vec<_>>();

    guest(&lab, APPLY, &results, Vec::new());
    assert_eq!(lines("set"), SET, "{}", text("said"));
    let before = lines("before");
    assert!(before.iter().zip(SET).all(|(was, set)| was != set), "{before:?}");
    assert!(text("governor").contains("scaling_governor"), "{}", text("governor"));
    assert_eq!(lines("scripted"), before, "the scripts: {}", text("scripts"));
    assert_eq!(lines("files-left"), [] as [&str; 0], "the scripts left files");

    let console = guest(&lab, BOOT, &results, vec![tree]).console;
    assert_eq!(lines("booted"), SET, "{}\n{console}", text("units"));
    // What stands is reported, and a second `persist` in this boot loses nothing of the first.
    let status = text("status");
    for knob in [
        "busy_read",
        "nic.ring.rx",
        "qdisc.kind",
        "irq.affinity",
        "steer.rps",
        "cpu.dma-latency",
        "hugepages",
        "boot.isolcpus",
    ] {
        assert!(status.contains(knob), "{knob} is not in {status}");
    }
    let kept = text("kept-again");
    assert!(kept.contains("tcp_notsent_lowat = 16384") && kept.contains("busy_read = 50"), "{kept}");
    assert!(kept.contains("ethtool -G eth0 rx 512") && kept.contains("hold-dma-latency 20"), "{kept}");
    let rollback = text("rollback");
    assert!(rollback.contains("rollback verified"), "{rollback}");
    assert_eq!(lines("rolled-back"), before, "{rollback}");
    assert_eq!(lines("files"), [] as [&str; 0], "{rollback}");
}
