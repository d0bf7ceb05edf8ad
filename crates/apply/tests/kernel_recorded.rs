//! What a write destroys is recorded or refused, and the rollback follows the interface: on a real kernel, every case
//! in a process of its own, in network and mount namespaces of its own.
//!
//! Needs root. Where namespaces cannot be made it says so and passes, unless `LOWLAT_REQUIRE_ROOT=1`: then it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing
#![allow(clippy::print_stdout)] // says what it tried

mod common;

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitCode, Stdio};

use lowlat_apply::{RollbackOutcome, Session, StepError};
use lowlat_lab::netns::enter_private;
use lowlat_model::{Locus, Op, PlannedStep, State};
use lowlat_netlink::ethtool::{features, sizes};
use lowlat_netlink::message::{CREATE, Message, REPLACE};
use lowlat_netlink::route::link;
use lowlat_netlink::socket::{NetlinkSocket, Protocol};
use lowlat_netlink::tc::{self, Parent, TcHandle};
use lowlat_netlink::{Error, netdev};
use lowlat_settings::state;
use lowlat_sys::store::Store;
use lowlat_sys::{Live, query};

use common::{Case, Cases, planned, veth, with_args};

const CASES: &[(&str, Case)] = &[
    ("a queue discipline that does not come back whole is not planned", not_planned),
    ("what came to hang there since the plan is seen before the write", since_the_plan),
    ("what another program hung at ours is not thrown away", hung_at_ours),
    ("a refused feature leaves the wish as it was", a_refused_feature),
    ("each NAPI instance gets its own value back", own_napi_values),
    ("one NAPI instance is set alone and put back, without its thread where somebody placed it", one_napi_instance),
    ("a link reset gives its queues' settings back, and is refused where it cannot", a_link_reset),
    ("a renamed interface is followed, and another of its name is not written", renamed),
    ("an interface is followed into another namespace", moved),
    ("an interface that is gone is said to be", gone),
    ("a session follows a rename", renamed_in_a_session),
    ("the script next to the journal follows a rename", renamed_by_script),
    ("a limit's holder ends from another process-id namespace", holder_elsewhere),
    ("a sysfs of another namespace is not written", foreign_sysfs),
];

const SUITE: Cases = Cases { name: "kernel_recorded", all: CASES, prepare: || veth("v0", "v1") };

fn main() -> ExitCode {
    with_args(|args| match args {
        ["--park"] => {
            enter_private().unwrap();
            println!("parked");
            loop {
                std::thread::park();
            }
        }
        ["--roll-back", dir] => {
            let report = lowlat_apply::rollback_from_disk(&Store::at(*dir), &Live::new(), false).unwrap();
            println!("{}", report.words());
            if report.complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        other => SUITE.main(other),
    })
}

fn apply(store: &Store, step: &PlannedStep) -> Result<(), StepError> {
    let mut session = Session::begin(store, &Live::new()).unwrap();
    let applied = session.apply(&Live::new(), step).map(drop);
    session.leave_open().unwrap();
    applied
}

fn roll_back(store: &Store) -> Vec<RollbackOutcome> {
    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(report.complete(), "{}", report.words());
    report.done.into_iter().map(|i| i.outcome).collect()
}

fn file(path: &str) -> Locus {
    Locus::File { path: path.into() }
}

fn rps(iface: &str) -> Locus {
    file(&format!("/sys/class/net/{iface}/queues/rx-0/rps_cpus"))
}

fn now(locus: &Locus) -> State {
    state(&Live::new(), locus).into_value().unwrap_or_else(|| panic!("{:?}", state(&Live::new(), locus)))
}

fn text(locus: &Locus) -> String {
    now(locus).to_string()
}

/// Steering of the first queue to the first processor.
fn steered(store: &Store) {
    apply(store, &planned("steer.rps", "v0/rx-0", "0").unwrap()).unwrap();
    assert_eq!(text(&rps("v0")), "1");
}

/// A queue discipline with attributes that lowlat itself never sends.
fn with_attributes(kind: &str, options: &[u8], more: fn(Message) -> Message) -> Result<(), Error> {
    let mut fixed = [0; 20];
    fixed[4..8].copy_from_slice(&link::index("v0").unwrap().to_ne_bytes());
    fixed[8..12].copy_from_slice(&0x5_0000u32.to_ne_bytes());
    fixed[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
    // RTM_NEWQDISC; TCA_KIND and TCA_OPTIONS.
    let m = more(Message::new(36, CREATE | REPLACE, &fixed).text(1, kind).attr(2, options));
    NetlinkSocket::open(Protocol::Route).unwrap().ask("make a queue discipline", m).map(drop)
}

fn tbf() -> Vec<u8> {
    tc::options::tbf(8_000_000, 3_000, 30_000)
}

fn not_planned(_: &Store) {
    let root = Locus::Qdisc { iface: "v0".into(), parent: "root".into() };
    let refused = |what: &str| {
        let before = now(&root);
        let left = planned("qdisc.kind", "v0/qdisc-root", "default").unwrap_err();
        assert!(left.why.contains(what), "{}", left.why);
        assert_eq!(now(&root), before);
        tc::delete("v0", Parent::Root).unwrap();
    };
    // TCA_STAB with TCA_STAB_BASE (struct tc_sizespec): 14 bytes more for each packet, and no table.
    let stab = |m: Message| {
        let mut spec = [0; 24];
        spec[4] = 14;
        m.nest(8, |m| m.attr(1, &spec))
    };
    with_attributes("tbf", &tbf(), stab).unwrap();
    refused("a size table (stab)");
    // TCA_RATE (struct tc_estimator): every quarter of a second, averaged over four.
    with_attributes("pfifo", &tc::options::fifo(9), |m| m.attr(5, &[0, 2])).unwrap();
    refused("a rate estimator");
    // Without any of it the same step is planned.
    with_attributes("tbf", &tbf(), |m| m).unwrap();
    planned("qdisc.kind", "v0/qdisc-root", "default").unwrap();
}

fn since_the_plan(store: &Store) {
    tc::put("v0", Parent::Root, TcHandle(0x5_0000), "tbf", Some(&tbf())).unwrap();
    let step = planned("qdisc.kind", "v0/qdisc-root", "default").unwrap();
    let inner = Parent::Class(TcHandle(0x5_0001));
    tc::put("v0", inner, TcHandle(0x6_0000), "bfifo", Some(&tc::options::fifo(5_000))).unwrap();
    let before = tc::qdiscs().unwrap().into_iter().map(|q| (q.kind, q.handle, q.options)).collect::<Vec<_>>();
    let Err(StepError::Refused { why }) = apply(store, &step) else { panic!("it was applied") };
    assert!(why.contains("bfifo inside it at 5:1"), "{why}");
    let after = tc::qdiscs().unwrap().into_iter().map(|q| (q.kind, q.handle, q.options)).collect::<Vec<_>>();
    assert_eq!(after, before);
    assert!(roll_back(store).is_empty());
}

fn hung_at_ours(store: &Store) {
    let root = Locus::Qdisc { iface: "v0".into(), parent: "root".into() };
    let before = text(&root);
    apply(store, &planned("qdisc.kind", "v0/qdisc-root", "pfifo limit 8").unwrap()).unwrap();
    let State::Qdisc(ours) = now(&root) else { panic!() };
    let handle: TcHandle = ours.handle.parse().unwrap();
    // Another program gives it an estimator, by putting it anew.
    let mut fixed = [0; 20];
    fixed[4..8].copy_from_slice(&link::index("v0").unwrap().to_ne_bytes());
    fixed[8..12].copy_from_slice(&handle.0.to_ne_bytes());
    fixed[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
    let m = Message::new(36, 0, &fixed).text(1, "pfifo").attr(5, &[0, 2]);
    NetlinkSocket::open(Protocol::Route).unwrap().ask("change a queue discipline", m).unwrap();
    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(
        matches!(&report.failed[0].outcome, RollbackOutcome::ChangedByOther { now } if now.contains("estimator")),
        "{}",
        report.words()
    );
    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), true).unwrap();
    assert!(report.complete(), "{}", report.words());
    assert_eq!(text(&root), before);
}

fn a_refused_feature(store: &Store) {
    const GSO: &str = "tx-generic-segmentation";
    let feature = || features::features("v0").unwrap()[GSO];
    // Segmentation needs scatter-gather (net/core/dev.c, `netdev_fix_features`).
    features::set_feature("v0", "tx-scatter-gather", false).unwrap();
    for wanted in [true, false] {
        features::set_feature("v0", GSO, wanted).unwrap();
        assert_eq!((feature().active, feature().wanted), (false, wanted));
        let step = planned("nic.feature.gso", "v0", "on").unwrap();
        assert_eq!(step.from, if wanted { "off [requested on]" } else { "off" });
        assert!(matches!(apply(store, &step), Err(StepError::Refused { .. })));
        assert_eq!((feature().active, feature().wanted), (false, wanted), "the wish was changed");
        assert!(roll_back(store).is_empty());
    }
    // A wish that is withdrawn is an effect, and comes back.
    features::set_feature("v0", GSO, true).unwrap();
    apply(store, &planned("nic.feature.gso", "v0", "off").unwrap()).unwrap();
    assert!(!feature().wanted);
    assert_eq!(roll_back(store), [RollbackOutcome::Restored]);
    assert!(feature().wanted);
}

/// NAPI id → gro-flush-timeout.
fn flush_timeouts() -> Vec<(u32, u64)> {
    let all = query::napis(&Live::new(), "v0").into_value().unwrap();
    all.into_iter().map(|n| (n.id, n.values["gro-flush-timeout"])).collect()
}

/// Whether this kernel is of that version or a later one.
fn is_since(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-', '\n']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

/// Gives `v0` NAPI instances of its own, and the first of them its own value; `false` on a kernel before 6.13.
fn napi_with_its_own(value: u64) -> bool {
    // A veth pair has instances once it collects packets (drivers/net/veth.c, `veth_set_features`).
    features::set_feature("v0", "rx-gro", true).unwrap();
    let first = query::napis(&Live::new(), "v0").into_value().and_then(|all| all.into_iter().next());
    match first {
        Some(first) if first.values.contains_key("gro-flush-timeout") => {
            netdev::set_napi(first.id, "gro-flush-timeout", value).unwrap();
            true
        }
        _ => {
            assert!(!is_since(6, 13), "no instance of v0 has values of its own");
            println!("NOT RUN: this kernel has no values of single NAPI instances");
            false
        }
    }
}

fn own_napi_values(store: &Store) {
    if !napi_with_its_own(77_000) {
        return;
    }
    let before = flush_timeouts();
    assert!(before.iter().any(|(_, v)| *v == 77_000), "{before:?}");
    let device = file("/sys/class/net/v0/gro_flush_timeout");
    let step = planned("nic.gro-flush-timeout", "v0", "50000").unwrap();
    apply(store, &step).unwrap();
    assert!(flush_timeouts().iter().all(|(_, v)| *v == 50_000), "{:?}", flush_timeouts());
    assert_eq!(roll_back(store), [RollbackOutcome::Restored]);
    assert_eq!((flush_timeouts(), text(&device).as_str()), (before.clone(), "0"));

    // Set by another program meanwhile: left alone, although the rollback writes the device's value over it.
    apply(store, &step).unwrap();
    let last = before.last().unwrap().0;
    netdev::set_napi(last, "gro-flush-timeout", 88_000).unwrap();
    let mut expected = before.clone();
    expected.last_mut().unwrap().1 = 88_000;
    roll_back(store);
    if before.len() > 1 {
        assert_eq!(flush_timeouts(), expected);
    }
    // A link that is down does not show them, so nothing is said to be verified.
    apply(store, &step).unwrap();
    link::down("v0").unwrap();
    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(!report.complete() && report.words().contains("while it is up"), "{}", report.words());
    // A veth makes its instances anew, and the old ones' values went with them.
    link::up("v0").unwrap();
    roll_back(store);
}

/// NAPI id → all that the kernel keeps for it.
fn napi_values() -> Vec<(u32, std::collections::BTreeMap<String, u64>)> {
    let mut all = query::napis(&Live::new(), "v0").into_value().unwrap();
    all.sort_by_key(|n| n.id);
    all.into_iter().map(|n| (n.id, n.values)).collect()
}

fn one_napi_instance(store: &Store) {
    sizes::set_channels("v0", "rx", 2).unwrap();
    if !napi_with_its_own(77_000) {
        return;
    }
    let before = napi_values();
    assert!(before.len() > 1, "{before:?}");
    for (knob, param, file, value) in [
        ("nic.gro-flush-timeout", "gro-flush-timeout", "gro_flush_timeout", 50_000),
        ("nic.napi-defer-hard-irqs", "defer-hard-irqs", "napi_defer_hard_irqs", 2),
        ("nic.irq-suspend-timeout", "irq-suspend-timeout", "", 20_000_000),
        ("nic.napi-threaded", "threaded", "threaded", 1),
    ] {
        if !before[0].1.contains_key(param) {
            assert_eq!(param, "threaded", "the others came together, in 6.13");
            println!("NOT RUN: this kernel has no {param} of single NAPI instances");
            assert!(planned(knob, "v0/napi-0", &value.to_string()).is_err());
            continue;
        }
        let whole = || std::fs::read_to_string(format!("/sys/class/net/v0/{file}")).unwrap_or_default();
        let device = whole();
        apply(store, &planned(knob, "v0/napi-0", &value.to_string()).unwrap()).unwrap();
        let mut expected = before.clone();
        expected[0].1.insert(param.to_owned(), value);
        assert_eq!((napi_values(), whole()), (expected, device.clone()), "{knob}");
        assert_eq!(roll_back(store), [RollbackOutcome::Restored]);
        assert_eq!((napi_values(), whole()), (before.clone(), device), "{knob}");
    }
    let none = planned("nic.gro-flush-timeout", "v0/napi-99", "1").unwrap_err();
    assert!(none.why.contains("none at position 99"), "{}", none.why);
    if !before[0].1.contains_key("threaded") {
        return;
    }
    // A thread that polls without a pause came with 6.19; kernels before it take 0 and 1 alone.
    match apply(store, &planned("nic.napi-threaded", "v0/napi-0", "2").unwrap()) {
        Ok(()) => assert_eq!(roll_back(store), [RollbackOutcome::Restored]),
        Err(e) => assert!(e.to_string().contains("threaded of NAPI instance"), "{e}"),
    }
    assert_eq!(napi_values(), before);
    // A thread that somebody placed is not ended.
    netdev::set_napi(before[0].0, "threaded", 1).unwrap();
    let thread = format!("napi/v0-{}", before[0].0);
    let pid = Command::new("pgrep").args(["-x", &thread]).output().unwrap().stdout;
    let pid = String::from_utf8(pid).unwrap();
    assert!(Command::new("renice").args(["-n", "5", "-p", pid.trim()]).status().unwrap().success());
    let refused = apply(store, &planned("nic.napi-threaded", "v0/napi-0", "0").unwrap()).unwrap_err();
    assert!(refused.to_string().contains(&format!("its thread {}", pid.trim())), "{refused}");
}

fn a_link_reset(store: &Store) {
    for param in ["rx", "tx"] {
        for iface in ["v0", "v1"] {
            sizes::set_channels(iface, param, 2).unwrap();
        }
    }
    let places = [
        file("/sys/class/net/v0/queues/rx-1/rps_cpus"),
        file("/sys/class/net/v0/queues/rx-1/rps_flow_cnt"),
        file("/sys/class/net/v0/queues/tx-1/xps_cpus"),
    ];
    for (place, value) in places.iter().zip(["1", "64", "1"]) {
        lowlat_sysmut::open().write(&Op::text(place.clone(), value)).unwrap();
    }
    let before: Vec<State> = places.iter().map(now).collect();
    let channels = Locus::Channels { iface: "v0".into(), param: "rx".into() };
    let step = PlannedStep {
        knob: "nic.channels".into(),
        target: "v0".parse().unwrap(),
        ops: vec![Op::text(channels.clone(), "1")],
        resets_link: true,
        ..PlannedStep::default()
    };
    // Its journal would not be trusted: the catalogue sets the channels that a device has in common alone, and a veth
    // pair has none of these.
    let mut session = Session::begin(store, &Live::new()).unwrap();
    session.apply(&Live::new(), &step).unwrap();
    assert_eq!(text(&channels), "1");
    assert!(session.rollback(&Live::new()).unwrap().complete());
    drop(session);
    assert_eq!(places.iter().map(now).collect::<Vec<_>>(), before);

    if napi_with_its_own(77_000) {
        let Err(StepError::Refused { why }) = apply(store, &step) else { panic!("it was applied") };
        assert!(why.contains("NAPI instance"), "{why}");
        assert_eq!(text(&channels), "2");
    }
}

fn rename(from: &str, to: &str) {
    link::down(from).unwrap();
    link::rename(from, to).unwrap();
    link::up(to).unwrap();
}

/// Another pair of the name, set as lowlat had set the first.
fn impostor(value: &str) {
    link::veth("v0", "v9").unwrap();
    lowlat_sysmut::open().write(&Op::text(rps("v0"), value)).unwrap();
}

fn renamed(store: &Store) {
    steered(store);
    rename("v0", "w0");
    impostor("1");
    let status = lowlat_apply::status(store, &Live::new()).unwrap();
    assert_eq!((status.applied[0].locus.clone(), status.applied[0].now.as_str()), (rps("w0"), "1"));
    assert_eq!(roll_back(store), [RollbackOutcome::Restored]);
    assert_eq!((text(&rps("w0")).as_str(), text(&rps("v0")).as_str()), ("0", "1"));
}

fn renamed_in_a_session(store: &Store) {
    let live = Live::new();
    let mut session = Session::begin(store, &live).unwrap();
    let handle = session.apply(&live, &planned("steer.rps", "v0/rx-0", "0").unwrap()).unwrap();
    rename("v0", "w0");
    impostor("1");
    session.undo(&live, handle).unwrap();
    assert_eq!((text(&rps("w0")).as_str(), text(&rps("v0")).as_str()), ("0", "1"));
}

fn script(store: &Store) -> std::path::PathBuf {
    let all = std::fs::read_dir(store.journal_dir()).unwrap().flatten().map(|e| e.path());
    all.filter(|p| p.extension().is_some_and(|e| e == "sh")).max().unwrap()
}

fn renamed_by_script(store: &Store) {
    steered(store);
    rename("v0", "w0");
    impostor("1");
    assert!(Command::new("sh").arg(script(store)).status().unwrap().success());
    assert_eq!((text(&rps("w0")).as_str(), text(&rps("v0")).as_str()), ("0", "1"));
    assert_eq!(roll_back(store), [RollbackOutcome::AlreadyPrior]);
    // Gone: it says so, and writes nothing.
    steered_again(store);
    link::delete("w0").unwrap();
    let out = Command::new("sh").arg(script(store)).output().unwrap();
    assert!(
        !out.status.success() && String::from_utf8_lossy(&out.stderr).contains("w0 is no longer in this"),
        "{out:?}"
    );
    assert_eq!(text(&rps("v0")), "1");
}

fn steered_again(store: &Store) {
    apply(store, &planned("steer.rps", "w0/rx-0", "0").unwrap()).unwrap();
}

struct Parked(Child);

impl Drop for Parked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn another_namespace() -> Parked {
    let me = std::env::current_exe().unwrap();
    let mut child = Command::new(me).arg("--park").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "parked");
    Parked(child)
}

fn moved(store: &Store) {
    steered(store);
    let there = another_namespace();
    let netns = format!("/proc/{}/ns/net", there.0.id());
    rename("v0", "w0");
    link::to_netns("w0", std::fs::File::open(&netns).unwrap().as_fd()).unwrap();
    impostor("1");
    let value = || lowlat_sys::in_netns(&netns, || Ok(text(&rps("w0")))).unwrap();
    assert_eq!(value(), "1");
    let status = lowlat_apply::status(store, &Live::new()).unwrap();
    assert_eq!(status.applied[0].now, "1");
    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(report.complete() && report.words().contains("/ns/net"), "{}", report.words());
    assert_eq!((value().as_str(), text(&rps("v0")).as_str()), ("0", "1"));
}

fn gone(store: &Store) {
    steered(store);
    link::delete("v0").unwrap();
    impostor("1");
    let outcomes = roll_back(store);
    assert!(
        matches!(&outcomes[..], [RollbackOutcome::Absent { why }] if why.contains("in no network namespace")),
        "{outcomes:?}"
    );
    assert_eq!(text(&rps("v0")), "1");
}

fn limit() -> i32 {
    query::cpu_dma_latency(&Live::new()).into_value().unwrap()
}

fn holder_elsewhere(store: &Store) {
    // Below "no limit" (include/linux/pm_qos.h), so that the host does not feel it.
    let mine = 1_999_999_997;
    let step = PlannedStep {
        knob: "cpu.dma-latency".into(),
        target: "host".parse().unwrap(),
        ops: vec![Op::text(Locus::CpuDmaLatency, mine.to_string())],
        ..PlannedStep::default()
    };
    let elsewhere = || {
        let me = std::env::current_exe().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]).arg(me).arg("--roll-back").arg(store.dir());
        command.output().unwrap()
    };
    let before = limit();
    let held = before.min(mine);
    apply(store, &step).unwrap();
    assert_eq!(limit(), held);
    let out = elsewhere();
    assert!(out.status.success(), "{out:?}");
    assert_eq!(limit(), before);

    // Without its pipe nothing is known of it there: not said to be verified, and the journal stays open.
    apply(store, &step).unwrap();
    for entry in std::fs::read_dir(store.journal_dir()).unwrap().flatten() {
        if entry.file_name().to_str().unwrap().starts_with("hold-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    if held < before {
        let out = elsewhere();
        assert!(!out.status.success() && String::from_utf8_lossy(&out.stdout).contains("is not seen here"), "{out:?}");
        assert_eq!(limit(), held);
    }
    assert_eq!(roll_back(store), [RollbackOutcome::Restored]);
    assert_eq!(limit(), before);

    // The script that stands next to the journal ends it too, by the same pipe.
    apply(store, &step).unwrap();
    assert!(Command::new("sh").arg(script(store)).status().unwrap().success());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while limit() != before {
        assert!(std::time::Instant::now() < until, "the holder still holds {}", limit());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    roll_back(store);
}

fn foreign_sysfs(_: &Store) {
    // As `nsenter --net` does: the namespace is entered, and /sys is the old one's.
    let step = planned("steer.rps", "v0/rx-0", "0").unwrap();
    let there = another_namespace();
    let netns = format!("/proc/{}/ns/net", there.0.id());
    let refused = std::thread::scope(|s| {
        s.spawn(|| {
            enter_net_only(&netns);
            lowlat_apply::beside::of(&Live::new(), &step.ops[0]).unwrap_err()
        })
        .join()
        .unwrap()
    });
    assert!(refused.contains("another network namespace"), "{refused}");
    assert_eq!(text(&rps("v0")), "0");
}

fn enter_net_only(netns: &str) {
    let file = std::fs::File::open(netns).unwrap();
    lowlat_os::namespace::enter_network(file.as_fd()).unwrap();
}
