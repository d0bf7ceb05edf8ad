//! netdevsim in a guest, the widest ethtool surface there is, driven through the program's own commands; and a driver's
//! errors given on request (`crates/lab/src/vm/fault.c`): nothing crashes, nothing stays half-applied, and the five
//! answers are kept apart.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

#[path = "common/vm.rs"]
mod vm;

use std::fmt::Write as _;
use std::path::Path;

use lowlat_lab::vm::KernelChoice;
use serde_json::Value;

use vm::{NETDEVSIM, Results, boot};

const LOWLAT: &str = env!("CARGO_BIN_EXE_lowlat");

/// Each setter: knob, target, value, and what the other program shows of it afterwards. The prior values are
/// netdevsim's own or made by [`PREPARE`].
const SETTERS: &[(&str, &str, &str, &str)] = &[
    ("nic.coalesce.rx-usecs", "eth0", "17", "rx-usecs: 17"),
    ("nic.coalesce.rx-frames", "eth0", "9", "rx-frames: 9"),
    ("nic.coalesce.tx-usecs", "eth0", "18", "tx-usecs: 18"),
    ("nic.coalesce.adaptive-rx", "eth0", "off", "Adaptive RX: off TX: on"),
    ("nic.coalesce.adaptive-tx", "eth0", "off", "Adaptive RX: on TX: off"),
    ("nic.ring.rx", "eth0", "1024", "RX: 1024"),
    ("nic.ring.tx", "eth0", "256", "TX: 256"),
    ("nic.channels.combined", "eth0", "2", "Combined: 2"),
    ("nic.pause", "eth0", "on", "RX: on TX: on"),
    ("nic.feature.gro", "eth0", "off", "generic-receive-offload: off"),
];

/// What netdevsim does not offer: the refusal names it, and which of the five answers it is.
const LACKING: &[(&str, &str, &str)] = &[
    ("nic.eee", "off", "unsupported"),
    ("nic.hw-timestamping", "on", "unsupported"),
    ("nic.private-flag.rx_striding_rq", "on", "unsupported"),
    ("nic.private-flag.rx_cqe_compress", "on", "unsupported"),
];

/// Adaptive moderation on, so that a fixed value takes two writes; and what another program shows of all of it.
const PREPARE: &str = "
ethtool -C eth0 adaptive-rx on adaptive-tx on rx-usecs 50 tx-usecs 50 || exit 3
ethtool -G eth0 rx 512 tx 512 || exit 3
dump() { for o in c g l a k; do ethtool -$o eth0; done > $RESULTS/$1.dump 2>&1; }
plan() { run $1.plan $L plan --set $2 $3 \"$4\" --out /tmp/$1.json; }
";

/// The answers of the netlink family's own table (`lowlat_sys::reading_of_errno`), by errno.
const ANSWERS: &[(i32, &str)] = &[
    (libc::EPERM, "denied"),
    (libc::ENODEV, "absent"),
    (libc::EOPNOTSUPP, "unsupported"),
    (libc::EINVAL, "unsupported"),
    (libc::EIO, "garbled"),
    (libc::EBUSY, "garbled"),
    (libc::ENOMEM, "garbled"),
];

fn program() -> &'static Path {
    Path::new(LOWLAT)
}

fn iface(facts: &Value) -> &Value {
    &facts["interfaces"]["eth0"]
}

/// Nothing is applied, and another program sees what it saw before.
#[track_caller]
fn untouched(r: &Results, case: &str) {
    let status = r.ran(&format!("{case}.status"));
    assert_eq!(status.exits(0).json()["applied"].as_array().unwrap().len(), 0, "{case}: {status:#?}");
    assert_eq!(r.text(&format!("{case}.dump")), r.text("base.dump"), "{case}");
}

#[test]
fn every_setting_is_made_read_back_and_put_back() {
    let mut script = format!("{PREPARE}dump base\nrun facts $L facts --iface eth0\n");
    for (n, (knob, target, value, _)) in SETTERS.iter().enumerate() {
        let _ = writeln!(
            script,
            "plan s{n} {knob} {target} {value}; run s{n}.apply $L apply /tmp/s{n}.json; run s{n}.status $L status --json\n\
             dump s{n}.set; run s{n}.rollback $L rollback; dump s{n}.back"
        );
    }
    for (n, (knob, value, _)) in LACKING.iter().enumerate() {
        let _ = writeln!(script, "plan l{n} {knob} eth0 {value}");
    }
    // Beyond what the device has: refused by the kernel, or by the knob before that.
    script.push_str(
        "plan big nic.ring.rx eth0 999999; [ -e /tmp/big.json ] && run big.apply $L apply /tmp/big.json\n\
         run big.status $L status --json; dump big\n\
         plan none nic.channels.combined eth0 9; [ -e /tmp/none.json ] && run none.apply $L apply /tmp/none.json\n\
         run none.status $L status --json; dump none\n\
         echo 2000 > /sys/kernel/debug/netdevsim/netdevsim1/ports/0/ethtool/ring/rx_max_pending\n\
         run limits $L facts --iface eth0\n",
    );
    let r = boot(&NETDEVSIM, KernelChoice::V6_12, program(), &script);

    let facts = r.ran("facts").exits(0).json();
    let eth0 = iface(&facts);
    assert_eq!(eth0["driver"]["value"], "netdevsim", "{eth0:#}");
    assert_eq!(eth0["coalesce"]["value"]["rx-usecs"], 50);
    assert_eq!(eth0["rings"]["value"]["rx"]["current"], 512);
    assert_eq!(eth0["channels"]["value"]["combined"]["max"], 4);
    assert_eq!(eth0["pause"]["value"]["rx"], false);
    assert_eq!(eth0["timestamping"]["value"]["phc"], 0);
    for what in ["eee", "private_flags", "speed_mbps"] {
        assert!(eth0[what].get("unsupported").is_some(), "{what}: {}", eth0[what]);
    }
    assert!(eth0["pcie"].get("absent").is_some(), "{}", eth0["pcie"]);
    for (n, (knob, _, value, shown)) in SETTERS.iter().enumerate() {
        r.ran(&format!("s{n}.plan")).exits(0);
        r.ran(&format!("s{n}.apply")).exits(0);
        let status = r.ran(&format!("s{n}.status")).exits(0).json();
        let applied = status["applied"].as_array().unwrap();
        assert!(applied.iter().any(|a| a["knob"] == *knob && a["changed_by_other"] == false), "{knob}: {status:#}");
        let set = r.text(&format!("s{n}.set.dump")).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(set.contains(shown), "{knob} to {value}: no {shown:?} in {set}");
        let rollback = r.ran(&format!("s{n}.rollback"));
        assert!(rollback.exits(0).out.contains("rollback verified"), "{knob}: {rollback:#?}");
        assert_eq!(r.text(&format!("s{n}.back.dump")), r.text("base.dump"), "{knob}");
    }
    for (n, (knob, _, kind)) in LACKING.iter().enumerate() {
        r.ran(&format!("l{n}.plan")).refuses(&[knob, "eth0", kind]);
    }
    for case in ["big", "none"] {
        untouched(&r, case);
    }
    let limits = r.ran("limits").exits(0).json();
    assert_eq!(iface(&limits)["rings"]["value"]["rx"]["max"], 2000);
}

/// Steps that meet the errors: two writes in one request, several requests of one step, single ones, a feature.
const FAULTED: &[(&str, &str)] = &[
    ("nic.coalesce.rx-usecs", "17"),
    ("nic.pause", "on"),
    ("nic.ring.rx", "1024"),
    ("nic.channels.combined", "2"),
    ("nic.feature.gro", "off"),
];

/// Calls after which the driver fails, for each place of a transaction: reading before, writing, reading back, undoing.
const SKIPS: std::ops::Range<u32> = 0..9;

#[test]
fn a_drivers_errors_change_nothing_and_are_told_apart() {
    let mut script = format!(
        "{PREPARE}/run/lowlat/busybox modprobe lowlat_fault dev=eth0 || exit 4\nP=/sys/module/lowlat_fault/parameters\n\
         fault() {{ echo $2 > $P/$1; }}\nclear() {{ for p in begin_err begin_skip begin_times set_err set_skip set_times ignore; do echo 0 > $P/$p; done; }}\n\
         after() {{ clear; run $1.status $L status --json; dump $1; }}\ndump base\n"
    );
    for (n, (knob, value)) in FAULTED.iter().enumerate() {
        let _ = writeln!(script, "plan p{n} {knob} eth0 {value}");
    }
    for (errno, _) in ANSWERS {
        let _ = writeln!(
            script,
            "fault begin_err {errno}; run get{errno}.facts $L facts --iface eth0; plan get{errno} nic.coalesce.rx-usecs eth0 9\n\
             clear; fault set_err {errno}; run set{errno}.apply $L apply /tmp/p0.json; after set{errno}"
        );
    }
    for n in 0..FAULTED.len() {
        let _ = writeln!(
            script,
            "fault set_err 5; run err{n}.apply $L apply /tmp/p{n}.json; after err{n}\n\
             fault ignore 1; run ign{n}.apply $L apply /tmp/p{n}.json; after ign{n}"
        );
    }
    // Two requests: the second is refused, and the undoing of the first too; then the rollback is open again.
    // Coalescing is one request, and where that is refused once, two.
    for (case, n, fault) in [("half", 1, "set_skip"), ("apart", 0, "set_times")] {
        let _ = writeln!(
            script,
            "fault {fault} 1; fault set_err 5; run {case}.apply $L apply /tmp/p{n}.json\n\
             clear; run {case}.rollback $L rollback; after {case}"
        );
    }
    for n in 0..2 {
        for skip in SKIPS {
            let _ = writeln!(
                script,
                "fault begin_skip {skip}; fault begin_err 5; run skip{n}-{skip}.apply $L apply /tmp/p{n}.json\n\
                 clear; run skip{n}-{skip}.rollback $L rollback; after skip{n}-{skip}\n\
                 fault begin_times 1; fault begin_skip {skip}; fault begin_err 5; run once{n}-{skip}.apply $L apply /tmp/p{n}.json\n\
                 run once{n}-{skip}.early $L status --json; clear; run once{n}-{skip}.rollback $L rollback; after once{n}-{skip}"
            );
        }
    }
    // The rollback itself is refused, by the setter and by the getter, and then is open again.
    for (case, how) in [("setter", "set_err"), ("getter", "begin_err")] {
        let _ = writeln!(
            script,
            "run {case}.apply $L apply /tmp/p0.json; fault {how} 5; run {case}.stuck $L rollback; clear\n\
             run {case}.rollback $L rollback; after {case}"
        );
    }
    let r = boot(&NETDEVSIM, KernelChoice::V6_12, program(), &script);

    for (errno, kind) in ANSWERS {
        let facts = r.ran(&format!("get{errno}.facts")).exits(0).json();
        for what in ["coalesce", "rings", "channels", "pause"] {
            let answer = &iface(&facts)[what];
            assert!(answer.get(kind).is_some(), "errno {errno}, {what}: {answer}");
        }
        r.ran(&format!("get{errno}.plan")).refuses(&["nic.coalesce.rx-usecs", kind]);
        r.ran(&format!("set{errno}.apply")).refuses(&["rx-usecs", "eth0"]);
        untouched(&r, &format!("set{errno}"));
    }
    for (n, (knob, _)) in FAULTED.iter().enumerate() {
        r.ran(&format!("err{n}.apply")).refuses(&[knob, "eth0"]);
        untouched(&r, &format!("err{n}"));
        if *knob != "nic.feature.gro" {
            r.ran(&format!("ign{n}.apply")).refuses(&[knob, "without effect"]);
            untouched(&r, &format!("ign{n}"));
        }
    }
    for (case, code) in [("half", 2), ("apart", 0)] {
        r.ran(&format!("{case}.apply")).exits(code);
        untouched(&r, case);
    }
    let mut refused = 0;
    for n in 0..2 {
        for skip in SKIPS {
            let case = format!("skip{n}-{skip}");
            refused += i32::from(r.ran(&format!("{case}.apply")).ended_in_order().code == 2);
            r.ran(&format!("{case}.rollback")).exits(0);
            untouched(&r, &case);
            // An error that comes once: the step is made whole or not at all, without anybody's help.
            let case = format!("once{n}-{skip}");
            let apply = r.ran(&format!("{case}.apply"));
            let writes = r.ran(&format!("{case}.early")).exits(0).json()["applied"].as_array().unwrap().len();
            assert!(
                if apply.ended_in_order().code == 0 { writes >= 2 } else { writes == 0 },
                "{writes} of 2: {apply:#?}"
            );
            r.ran(&format!("{case}.rollback")).exits(0);
            untouched(&r, &case);
        }
    }
    assert!(refused >= 8, "only {refused} of the calls met the error");
    for case in ["setter", "getter"] {
        r.ran(&format!("{case}.apply")).exits(0);
        let stuck = r.ran(&format!("{case}.stuck"));
        assert!(stuck.code != 0 && stuck.out.contains("2 settings not restored"), "{stuck:#?}");
        assert!(r.ran(&format!("{case}.rollback")).exits(0).out.contains("rollback verified"));
        untouched(&r, case);
    }
}
