//! `lowlat persist` and three boots of one disk with a small Debian, by its own GRUB, kernel and systemd: the first applies a
//! setting of every kind and keeps them; in the second everything is there again, though the interface has the name and the
//! interrupt numbers of another, irqbalance runs, and the files are taken away; in the third all is gone. And the rollback by
//! the shell scripts next to the journals, without lowlat.
//!
//! Then systemd-boot starts a kernel by the entry for one boot that `persist` wrote, once, and the next time by the host's own.
//! In the third boot systemd starts the package's unit of `lowlat serve`, and tuned and NetworkManager come too: who changed
//! what is named, what they override is not kept, and an exported profile loads in tuned.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;
#[path = "common/vm.rs"]
mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lowlat_lab::vm::{Guest, GuestOutcome, KernelChoice, Lab, Share, topology};

use common::{LOWLAT, Scratch};

/// What the guests share: the program on their disk, and every setting as text.
const COMMON: &str = include_str!("guest/persist-common.sh");
const APPLY: &str = include_str!("guest/persist-apply.sh");
const BOOT: &str = include_str!("guest/persist-boot.sh");
const GONE: &str = concat!(
    include_str!("guest/persist-gone.sh"),
    "cat >/lib/systemd/system/lowlat-serve.service <<'UNIT'\n",
    include_str!("../debian/lowlat-serve.service"),
    "UNIT\n",
    include_str!("guest/persist-serve.sh"),
    include_str!("guest/persist-daemons.sh")
);

/// What is set, and how it then shows.
const SET: [&str; 12] = [
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
    "dma-latency 20",
];

/// The options of the host's own entry of the Boot Loader Specification, in `persist-gone.sh`.
const OPTIONS: &str = "root=/dev/vda1 ro console=ttyS0 panic=-1";

/// One boot of the disk.
fn boot(lab: &Lab, disk: &Path, script: &str, results: &Path) -> GuestOutcome {
    let program = vm::stripped(Path::new(LOWLAT));
    let bin = Share { host: program.parent().unwrap().into(), guest: "/run/lowlat/bin".into(), writable: false };
    let mut guest = Guest::new(&topology::IGB_PAIR, format!("{COMMON}{script}"), results);
    guest.shares = vec![bin];
    guest.disk = Some(disk.to_owned());
    // Seen: 115 to 370 s a boot, next to five compilers; it guards against a guest that hangs.
    guest.time_limit = Duration::from_secs(900);
    // Nothing is timed, so the CPUs may run next to each other.
    guest.icount = false;
    // Then nothing was done to the disk.
    let outcome = vm::run(lab, &guest, &[vm::NO_TIMER]);
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

    let disk = scratch.path().join("disk");
    lab.disk(&disk).unwrap();

    boot(&lab, &disk, APPLY, &results.0);
    applied(&results);
    let console = boot(&lab, &disk, BOOT, &results.0).console;
    held(&results, &console);
    boot(&lab, &disk, GONE, &results.0);
    // With the interrupt, which nothing else moves in this boot.
    assert_eq!(results.lines("gone"), results.lines("before"), "{}", results.text("units-3"));
    assert!(!results.text("cmdline-3").contains("skew_tick"), "the boot after is without it");
    assert!(!results.text("status-3").contains("busy_read"), "{}", results.text("status-3"));
    entry_of_the_specification(&results);
    entry_boots_once(&lab, &results);
    far_end_by_its_unit(&results);
    others_came(&results);
    exported_profile(&results);
}

/// The entry for a first boot, as bootctl reads it: behind the host's own, which stays the default.
fn entry_of_the_specification(r: &Results) {
    r.holds("persist-entry", &["skew_tick=1: to boot once with it, run `bootctl set-oneshot a-lowlat.conf`"]);
    r.holds("bootctl", &["bootctl: 0", "title: lab (default)"]);
    let text = r.text("bootctl");
    let (host, ours) =
        text.split_once("id: 6c6f.conf").map(|(_, rest)| rest.split_once("id: a-lowlat.conf").unwrap()).unwrap();
    assert!(host.contains(&format!("options: {OPTIONS}\n")), "{text}");
    assert!(ours.contains(&format!("options: {OPTIONS} skew_tick=1\n")), "{text}");
    assert_eq!(r.text("entries-left").trim(), "6c6f.conf", "{}", r.text("rollback-entry"));
}

/// Both entries in the menu of a host with UEFI, by systemd-boot itself: ours when it is asked for, once, and else the host's own.
fn entry_boots_once(lab: &Lab, r: &Results) {
    let entries = ["6c6f.conf", "a-lowlat.conf"].map(|name| (name, r.text(&format!("entries/{name}"))));
    let entries = entries.each_ref().map(|(name, text)| (*name, text.as_str()));
    let host = lab.efi(&r.0.join("vmlinuz"), &entries).unwrap();
    host.set_oneshot("a-lowlat.conf").unwrap();
    let booted = [(); 2].map(|()| host.boot().unwrap());
    assert!(booted[0].ends_with(&format!("{OPTIONS} skew_tick=1")), "{booted:?}");
    assert!(booted[1].ends_with(OPTIONS), "{booted:?}");
}

/// The package's unit: sound and confined as systemd sees it, answers as a user of its own without a capability left, and
/// comes again when it was killed.
fn far_end_by_its_unit(r: &Results) {
    r.holds("serve-analyzed", &["verify: 0", "confined: 0"]);
    r.holds("serve-xdp", &["xdp: 0"]);
    let analyzed = r.text("serve-analyzed");
    assert!(!analyzed.contains("Unknown"), "{analyzed}");
    let said = r.text("serve");
    for held in [
        "answers: 0",
        "stamp: 0",
        "again: 0",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "ActiveState=inactive",
        "Result=success",
        "NRestarts=1",
    ] {
        assert!(said.contains(held), "{held}: {said}");
    }
    // What the program does itself is allowed by the unit.
    assert!(!said.contains("seccomp: not here") && !said.contains("Unknown system call"), "{said}");
    assert!(!said.contains("landlock: not here") || !said.contains("landlock,"), "{said}");
    // DynamicUser= takes one of these (systemd.exec(5)).
    let user = said.split_once("\nUid:\t").and_then(|(_, rest)| rest.split('\t').next()?.parse::<u32>().ok());
    assert!(user.is_some_and(|u| (61_184..=65_519).contains(&u)), "{user:?}: {said}");
}

/// tuned and NetworkManager came after lowlat, and lowlat came after them.
fn others_came(r: &Results) {
    let why = r.text("daemons");
    assert!(why.contains("taken over: 0"), "{why}");
    let status: serde_json::Value = serde_json::from_str(&r.text("taken")).unwrap();
    let by = |knob: &str| {
        let all = status["applied"].as_array().unwrap();
        let one = all.iter().find(|a| a["knob"] == knob).unwrap_or_else(|| panic!("{knob}: {status:#}"));
        assert_eq!(one["changed_by_other"], true, "{one:#}");
        one["changed_by"].as_str().unwrap_or_else(|| panic!("{one:#}\n{why}")).to_owned()
    };
    let lan = "/etc/NetworkManager/system-connections/lan.nmconnection:7";
    assert_eq!(by("sysctl.net.core.busy_read"), "tuned, profile lab (/usr/lib/tuned/network-latency/tuned.conf:13)");
    assert_eq!(by("nic.ring.rx"), "tuned, profile lab (/etc/tuned/lab/tuned.conf:6)");
    assert_eq!(by("nic.coalesce.rx-usecs"), format!("NetworkManager ({lan})"));

    for named in ["named_by_plan", "named_by_apply"] {
        r.holds(
            named,
            &[
                "sysctl.net.core.busy_read on host: tuned, profile lab sets it to 50",
                "nic.ring.rx on eth0: tuned, profile lab sets it to 1024 (/etc/tuned/lab/tuned.conf:6)",
                &format!("nic.coalesce.rx-usecs on eth0: NetworkManager sets it to 40 ({lan})"),
                "`nmcli connection modify \"lan\" ethtool.coalesce-rx-usecs VALUE`",
            ],
        );
        // Where irqbalance has chosen the same CPU there is nothing to plan.
        if !r.text("named_by_plan").contains("plan irq.affinity on eth0/irq-1: already") {
            r.holds(named, &["irq.affinity on eth0/irq-1: irqbalance sets it as it decides"]);
        }
    }
    // What they override is not kept; what they yield to is.
    r.holds("persist-daemons", &["rx of eth0 is not kept: tuned", "rx-usecs of eth0 is not kept: NetworkManager"]);
    assert_eq!(r.text("persist-daemons-exit").trim(), "1", "{}", r.text("persist-daemons"));
    r.holds("kept-daemons", &["net.core.busy_read = 20"]);
    let kept = r.text("kept-daemons");
    assert!(!kept.contains("ethtool"), "{kept}");
    assert_eq!(r.text("busy-read-restarted").trim(), "20", "{why}");
}

/// `plan --export tuned` in a real tuned: it sets, verifies and puts back.
fn exported_profile(r: &Results) {
    let said = r.text("exported");
    let expected = ["busy_read 50", "gro off", "ring 512", "channels 1", "rps 2", "hugepages 16"];
    let set = r.lines("export-set");
    for line in expected {
        assert!(set.iter().any(|l| l == line), "{line}: {set:?}\n{said}");
        assert!(!r.lines("export-before").iter().any(|l| l == line), "{line} before");
    }
    // tuned of Debian 12 gives up at a line of `ethtool -c`, so coalescing is not in the profile.
    assert!(
        said.contains("not exported: nic.coalesce.rx-usecs on eth0") && set.contains(&"rx-usecs 3".to_owned()),
        "{said}"
    );
    for step in ["profile: 0", "verify: 0", "off: 0"] {
        assert!(said.contains(step), "{step}: {said}");
    }
    assert_eq!(without_irq(r, "export-off"), without_irq(r, "export-before"), "{said}");
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
    // The entry for the parameter's first boot, next to what somebody else added; every boot gets it by update-grub alone.
    r.holds("print", &["--- /boot/grub/custom.cfg", "skew_tick=1: to boot once with it, run `grub-reboot a-lowlat`"]);
    r.holds("custom.cfg", &["set mine=1\n", " --id a-lowlat {", " skew_tick=1\n"]);
    assert_eq!(r.text("custom-checked").trim(), "0", "{}", r.text("custom.cfg"));
    r.holds("mkconfig", &[" skew_tick=1"]);
    // The one that a later file sets is named with its winner, and not kept.
    for file in ["print", "persist"] {
        r.holds(file, &["tcp_autocorking is not kept: systemd-sysctl sets it to 1 (/etc/sysctl.d/99-mine.conf:1)"]);
        assert_eq!(r.text(&format!("{file}-exit")).trim(), "1");
    }
    assert_eq!(r.lines("scripted"), before, "the scripts: {}", r.text("scripts"));
    assert_eq!(r.lines("files-left"), [] as [&str; 0], "the scripts left files");
}

fn held(r: &Results, console: &str) {
    // GRUB gave it to the kernel this once.
    assert!(!r.text("cmdline-1").contains("skew_tick"), "{}", r.text("cmdline-1"));
    assert!(r.text("cmdline-2").contains(" skew_tick=1"), "{}", r.text("cmdline-2"));
    assert!(!r.text("grubenv-2").contains("a-lowlat"), "{}", r.text("grubenv-2"));
    for file in ["custom-rolled-back.cfg", "custom-removed.cfg"] {
        assert_eq!(r.text(file), "set mine=1", "{file}");
    }
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
            "boot.skew_tick",
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
