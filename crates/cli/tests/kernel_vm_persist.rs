//! `lowlat persist` and three boots of one root with a real systemd, whose `/etc` and state are carried from boot to boot:
//! the first applies a setting of every kind and keeps them; in the second everything is there again, though the interface
//! has the name and the interrupt numbers of another, and the files are taken away; in the third all is gone.
//! irqbalance runs in each. And the rollback by the shell scripts next to the journals, without lowlat.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lowlat_lab::vm::{Guest, GuestOutcome, KernelChoice, Lab, Share, topology};

use common::{LOWLAT, Scratch};

/// What the guests share: where the program is, what a disk keeps, and every setting as text.
const COMMON: &str = concat!(include_str!("guest/persist-common.sh"), include_str!("guest/persist-systemd.sh"));
const APPLY: &str = include_str!("guest/persist-apply.sh");
const BOOT: &str = include_str!("guest/persist-boot.sh");
const GONE: &str = include_str!("guest/persist-gone.sh");

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

/// One boot; what it keeps in the results folder the next one finds.
fn boot(lab: &Lab, script: &str, results: &Path) -> GuestOutcome {
    let program = Path::new(LOWLAT);
    let bin = Share { host: program.parent().unwrap().into(), guest: "/run/lowlat/bin".into(), writable: false };
    let mut guest = Guest::new(&topology::IGB_PAIR, format!("{COMMON}{script}"), results);
    let tree = Share { host: lab.systemd().unwrap(), guest: "/run/lowlat/tree".into(), writable: false };
    guest.shares = vec![tree, bin];

    guest.time_limit = Duration::from_secs(400);
    // Nothing is timed, so the CPUs may run next to each other.
    guest.icount = false;
    // The names are those that the driver gives.
    guest.cmdline_extra = "net.ifnames=0 printk.devkmsg=on".into();
    let outcome = lab.run(&guest).unwrap();
    eprintln!("{:.1?}", outcome.wall);
    assert_eq!(outcome.exit_code, 0, "{}", outcome.console);
    outcome
}

/// What a boot wrote into the results folder.
struct Results(PathBuf);

impl Results {
    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    }
    fn lines(&self, file: &str) -> Vec<String> {
        self.text(file).lines().map(str::to_owned).collect()
    }
    fn holds(&self, file: &str, parts: &[&str]) {
        let text = self.text(file);
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in {file}:\n{text}");
        }
    }
}

#[test]
fn what_is_kept_comes_back_at_boot_and_goes_when_it_is_removed() {
    let lab = Lab::prepare(KernelChoice::V6_12).unwrap();
    let scratch = Scratch::new();
    let results = Results(scratch.path().join("results"));

    boot(&lab, APPLY, &results.0);
    applied(&results);
    let console = boot(&lab, BOOT, &results.0).console;
    held(&results, &console);
    boot(&lab, GONE, &results.0);
    // But for the interrupt, which irqbalance has moved: nothing keeps it away any more.
    let [gone, before] = ["gone", "before"].map(|file| without_irq(&results, file));
    assert_eq!(gone, before, "{}", results.text("units"));
    assert!(!results.text("status-3").contains("busy_read"), "{}", results.text("status-3"));
}

fn without_irq(r: &Results, file: &str) -> Vec<String> {
    r.lines(file).into_iter().filter(|l| !l.starts_with("irq")).collect()
}

fn applied(r: &Results) {
    assert_eq!(r.lines("set"), SET, "{}", r.text("said"));
    let before = r.lines("before");
    assert!(before.iter().zip(SET).all(|(was, set)| was != set), "{before:?}");
    assert!(r.text("governor").contains("scaling_governor"), "{}", r.text("governor"));
    // What is printed is what is then written, and nothing is written by printing it.
    assert_eq!(r.lines("files-printed"), r.lines("files-printed-before"));
    let printed = r.text("print");
    let written = r.lines("files-written");
    for file in written.iter().filter(|f| !f.contains("grub.d")) {
        assert!(printed.contains(&format!("--- /{file}\n")), "{file} was not printed: {printed}");
    }
    assert!(written.len() >= 6, "{written:?}");
    // The one that a later file sets is named with its winner, and not kept.
    for file in ["print", "persist"] {
        r.holds(file, &["tcp_autocorking is not kept: systemd-sysctl sets it to 1 (/etc/sysctl.d/99-mine.conf:1)"]);
        assert_eq!(r.text(&format!("{file}-exit")).trim(), "1");
    }
    assert_eq!(r.lines("scripted"), before, "the scripts: {}", r.text("scripts"));
    assert_eq!(r.lines("files-left"), [] as [&str; 0], "the scripts left files");
}

fn held(r: &Results, console: &str) {
    assert_eq!(r.text("name-2").trim(), "eth1", "the interface has another name");
    assert_ne!(r.text("line-1"), r.text("line-2"), "and its interrupt another number");
    assert_eq!(r.lines("booted"), SET, "{}\n{console}", r.text("units"));
    assert_ne!(r.text("other-ring").trim(), "512", "the other card was touched");
    r.holds("irqbalance", &["--foreground", "--interval=1", &format!("--banirq={}", r.text("line-2").trim())]);
    // What is set is reported, and a second `persist` in this boot loses nothing of the first.
    r.holds(
        "status",
        &[
            "busy_read",
            "nic.ring.rx",
            "qdisc.kind",
            "irq.affinity",
            "steer.rps",
            "cpu.dma-latency",
            "hugepages",
            "boot.isolcpus",
        ],
    );
    let again = ["tcp_notsent_lowat = 16384", "busy_read = 50", "hold-dma-latency 20", " rx 512", "/lowlat/net/eth1"];
    r.holds("kept-again", &again);
    r.holds("rollback", &["rollback verified"]);
    let [back, before] = ["rolled-back", "before"].map(|file| without_irq(r, file));
    assert_eq!(back, before, "{}", r.text("rollback"));
    assert_eq!(r.lines("files"), [] as [&str; 0], "{}", r.text("rollback"));
    // The files of `persist` alone.
    assert_eq!(r.text("removed-exit").trim(), "0", "{}", r.text("removed"));
    r.holds("removed", &["removed /etc/systemd/system/lowlat.service", "stays until the next boot"]);
    assert!(r.lines("files-removed").iter().all(|f| f.contains("grub.d")), "{:?}", r.lines("files-removed"));
    r.holds("removed-again", &["nothing to remove"]);
}
