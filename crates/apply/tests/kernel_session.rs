//! The session on a real kernel: every case runs in a process of its own, in network and mount namespaces of its own.
//!
//! Needs root. Where namespaces cannot be made it says so and passes, unless `LOWLAT_REQUIRE_ROOT=1`: then it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing
#![allow(clippy::print_stdout)] // says what it tried

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lowlat_apply::disk::Folder;
use lowlat_apply::writer::{BeforeHold, HostWriter, WriteFailure};
use lowlat_apply::{ApplyError, NetnsExists, Orders, Place, Session, ledger};
use lowlat_lab::netns::enter_private;
use lowlat_model::journal::NetnsId;
use lowlat_model::link::{LinkChangeKind, changes};
use lowlat_model::tune::{Resets, Scope};
use lowlat_model::{Locus, Op, PlannedStep, Reading, State};
use lowlat_netlink::route::{address, link};
use lowlat_netlink::tc::{self, Parent, TcHandle};
use lowlat_settings::state;
use lowlat_sys::store::{Store, StoreError};
use lowlat_sys::{Live, Sys, linkwatch, query};

use common::{Case, Cases, fifo_at, planned, veth, with_args};

const CASES: &[(&str, Case)] = &[
    ("applied and put back by another process", applied_and_put_back),
    ("killed between intent and write", killed_before_the_write),
    ("killed between write and read-back", killed_after_the_write),
    ("a joint step goes in and out whole", a_joint_step),
    ("a link that goes down and up is noticed, a quiet toggle is not", links_are_watched),
    ("a second session names the first", a_second_session_names_the_first),
    ("the guard puts back", the_timer_puts_back),
    ("an applier past its time is ended", an_applier_past_its_time_is_ended),
    ("a confirmation ends the guard", a_confirmation_ends_the_timer),
    ("the held limit ends with the rollback", the_held_limit_ends),
    ("a route's metric goes back, with lowlat and without", a_route_metric),
    ("persisted files come and go", persisted_files_come_and_go),
    ("settings of another namespace are left alone", another_namespace),
    ("a namespace that ended stands in nobody's way", ended_namespaces),
];

const SUITE: Cases = Cases { name: "kernel_session", all: CASES, prepare: || () };

fn main() -> ExitCode {
    with_args(|args| {
        match args {
            ["--apply-and-park", at, dir] => apply_and_park(at, &Store::at(*dir)),
            ["--apply-and-park-apart", at, dir] => {
                enter_private().unwrap();
                link_with_fifo();
                apply_and_park(at, &Store::at(*dir));
            }
            ["--elsewhere", dir] => elsewhere(&Store::at(*dir)),
            // What the binary under test is started with by the session itself.
            ["hold-dma-latency", us, pipe] => {
                catch_sigterm();
                lowlat_apply::hold_dma_latency(us.parse().unwrap(), Some(Path::new(pipe))).unwrap();
            }
            ["rollback-unless-confirmed", transaction, token, deadline] => {
                let store = Store::locate().unwrap();
                let orders = Orders {
                    transaction: (*transaction).into(),
                    token: (*token).into(),
                    deadline_boot_ns: deadline.parse().unwrap(),
                    watch: None,
                };
                lowlat_apply::rollback_unless_confirmed(&store, &Live::new(), &orders, &mut || true).unwrap();
            }
            other => return SUITE.main(other),
        }
        ExitCode::SUCCESS
    })
}

/// As the command line does for Ctrl-C: a handler that only takes note.
fn catch_sigterm() {
    lowlat_os::signal::only_interrupts(libc::SIGTERM).unwrap();
}

/// A veth pair with a FIFO of ours at the root, so that there is something exact to put back.
fn link_with_fifo() {
    veth("lan0", "lan1");
    fifo_at("lan0");
}

fn file(path: &str) -> Locus {
    Locus::File { path: path.into() }
}

fn autocorking() -> Locus {
    file("/proc/sys/net/ipv4/tcp_autocorking")
}

fn step(knob: &str, target: &str, value: &str) -> PlannedStep {
    planned(knob, target, value).unwrap()
}

fn steps() -> Vec<PlannedStep> {
    vec![
        step("sysctl.net.ipv4.tcp_autocorking", "host", "0"),
        step("steer.rps", "lan0/rx-0", "0"),
        step("qdisc.kind", "lan0/qdisc-root", "pfifo limit 8"),
        step("qdisc.kind", "lan1/qdisc-root", "pfifo"),
    ]
}

/// What the steps change: kinds, options and handles, and texts.
fn seen() -> Vec<State> {
    let qdisc = |iface: &str| Locus::Qdisc { iface: iface.into(), parent: "root".into() };
    let places = [autocorking(), file("/sys/class/net/lan0/queues/rx-0/rps_cpus"), qdisc("lan0"), qdisc("lan1")];
    places.iter().map(|l| state(&Live::new(), l).into_value().unwrap()).collect()
}

fn text(locus: &Locus) -> String {
    state(&Live::new(), locus).into_value().unwrap().to_string()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < until, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The child's part: applies up to the point `at`, says so, and waits to be killed.
fn apply_and_park(at: &str, store: &Store) {
    let live = Live::new();
    if at == "all" {
        let mut session = Session::begin(store, &live).unwrap();
        for step in steps() {
            session.apply(&live, &step).unwrap();
        }
        park();
    }
    if at == "guarded" {
        let mut session = Session::begin(store, &live).unwrap();
        session.watch(1, None).unwrap();
        session.apply(&live, &step("sysctl.net.ipv4.tcp_autocorking", "host", "0")).unwrap();
        park();
    }
    store.ensure_writable().unwrap();
    let lock = Box::new(store.lock().unwrap());
    let writer = Parking { before: at == "before", door: lowlat_sysmut::open(), wrote: false };
    let disk = Box::new(Folder::new(store.journal_dir()));
    let netns = NetnsId {
        inode: query::netns_inode(&live).into_value().unwrap(),
        cookie: query::netns_cookie(&live).into_value(),
    };
    let boot = live.sysctl("kernel.random.boot_id").into_value().unwrap();
    let place = Place { netns, boot_id: &boot, netns_exists: &NotAsked };
    let mut session = Session::begin_on(disk, writer, lock, &place, || 1).unwrap();
    session.apply(&live, &steps()[0]).unwrap();
    unreachable!("the writer parks");
}

#[derive(Debug)]
struct NotAsked;
impl NetnsExists for NotAsked {
    fn exists(&self, _: NetnsId) -> Option<bool> {
        None
    }
}

fn park() -> ! {
    println!("parked");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// Stops for ever before its first write, or before the read-back that follows it.
struct Parking {
    before: bool,
    door: lowlat_sysmut::LiveMut,
    wrote: bool,
}

impl HostWriter for Parking {
    fn state(&self, sys: &dyn Sys, locus: &Locus) -> Reading<State> {
        if self.wrote { park() } else { state(sys, locus) }
    }
    fn write(&mut self, op: &Op) -> Result<(), WriteFailure> {
        if self.before {
            park();
        }
        self.door.write(op).map_err(|e| WriteFailure(e.to_string()))?;
        self.wrote = true;
        Ok(())
    }
    fn hold(&mut self, _: &str, _: BeforeHold<'_>) -> Result<(), WriteFailure> {
        unreachable!()
    }
    fn release(&mut self, _: &ledger::HolderId) -> Result<bool, WriteFailure> {
        unreachable!()
    }
}

/// Runs the child to its point and kills it there with SIGKILL.
fn killed(at: &str, store: &Store) {
    killed_in("--apply-and-park", at, store);
}

fn killed_in(how: &str, at: &str, store: &Store) {
    let me = std::env::current_exe().unwrap();
    let mut child = Command::new(me).args([how, at]).arg(store.dir()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "parked");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn applied_and_put_back(store: &Store) {
    link_with_fifo();
    let before = seen();
    killed("all", store);
    let after = seen();
    assert!(before.iter().zip(&after).all(|(b, a)| b != a), "{before:?} {after:?}");
    assert!(matches!(&after[2], State::Qdisc(q) if q.kind == "pfifo" && !q.options_hex.is_empty()), "{after:?}");
    let status = lowlat_apply::status(store, &Live::new()).unwrap();
    assert_eq!((status.applied.len(), status.applied.iter().any(|a| a.changed_by_other)), (4, false), "{status:?}");
    assert!(matches!(lowlat_apply::refuse_unfinished(store), Err(ApplyError::Unfinished { standing: 4, .. })));

    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(report.complete() && report.done.len() == 4, "{}", report.words());
    assert_eq!(seen(), before);
    lowlat_apply::refuse_unfinished(store).unwrap();
    assert!(lowlat_apply::status(store, &Live::new()).unwrap().applied.is_empty());
    let again = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(again.done.is_empty() && again.complete());
}

fn killed_at(at: &str, expect: &str, store: &Store) {
    link_with_fifo();
    let before = seen();
    assert_eq!(before[0], State::Text("1".into()));
    killed(at, store);
    assert_eq!(text(&autocorking()), expect);
    let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
    assert!(report.complete() && report.done.len() == 1, "{}", report.words());
    assert_eq!(seen(), before);
}

fn killed_before_the_write(store: &Store) {
    killed_at("before", "1", store);
}

fn killed_after_the_write(store: &Store) {
    killed_at("after", "0", store);
}

/// GRO with its partners and a sysctl, as one step: veth makes its NAPI instances anew for it, and keeps its carrier.
fn a_joint_step(store: &Store) {
    link_with_fifo();
    let live = Live::new();
    let gro = || Locus::Feature { iface: "lan0".into(), name: "rx-gro".into() };
    let timeout = || file("/sys/class/net/lan0/gro_flush_timeout");
    let there = || [text(&gro()), text(&timeout()), text(&autocorking())];
    let before = there();
    let other = if before[0] == "on" { "off" } else { "on" };
    let joint = |knob: &str, target: &str, value: &str| PlannedStep {
        joint: Some("GRO of lan0".into()),
        ..step(knob, target, value)
    };
    let steps = vec![
        joint("nic.feature.gro", "lan0", other),
        joint("nic.gro-flush-timeout", "lan0", "20000"),
        joint("sysctl.net.ipv4.tcp_autocorking", "host", "0"),
    ];
    let plan = lowlat_plan::order(
        steps,
        Vec::new(),
        &lowlat_plan::PlanOptions { reach: Scope::Namespace, ..Default::default() },
    );
    let [whole] = plan.steps.as_slice() else { panic!("{} steps: {:?}", plan.steps.len(), plan.left_out) };
    assert_eq!((whole.members.len(), whole.resets, whole.resets_link), (3, Resets::Queues, false));

    let watched = ["lan0".to_owned(), "lan1".to_owned()];
    let links = linkwatch::snapshot(&live, &watched);
    let mut session = Session::begin(store, &live).unwrap();
    let handle = session.apply(&live, whole).unwrap();
    assert_eq!(there(), [other, "20000", "0"]);
    let changed = changes(&links, &linkwatch::snapshot(&live, &watched));
    assert!(!changed.iter().any(|c| c.beyond(whole.resets)), "{changed:?}");
    session.undo(&live, handle).unwrap();
    assert_eq!(there(), before);

    session.apply(&live, whole).unwrap();
    session.leave_open().unwrap();
    drop(session);
    let shown = lowlat_apply::status(store, &live).unwrap().applied;
    let shown: Vec<_> = shown.iter().map(|a| (a.knob.as_str(), a.target.to_string())).collect();
    let (gro, sysctl) =
        (("nic.feature.gro", "lan0".to_owned()), ("sysctl.net.ipv4.tcp_autocorking", "host".to_owned()));
    assert_eq!(shown, [gro, ("nic.gro-flush-timeout", "lan0".to_owned()), sysctl]);
    assert!(lowlat_apply::rollback_from_disk(store, &live, false).unwrap().complete());
    assert_eq!(there(), before);

    // One member that the kernel refuses takes the others back with it. tcp_autocorking takes a byte
    // (`proc_dou8vec_minmax`).
    let mut refused = whole.clone();
    refused.ops[2] = Op::text(autocorking(), "7777");
    let mut session = Session::begin(store, &live).unwrap();
    assert!(matches!(session.apply(&live, &refused), Err(lowlat_apply::StepError::Refused { .. })));
    assert_eq!(there(), before);
}

fn links_are_watched(store: &Store) {
    link_with_fifo();
    let live = Live::new();
    let watched = ["lan0".to_owned()];
    wait_until("the link to be up", || text(&file("/sys/class/net/lan0/operstate")) == "up");
    let before = linkwatch::snapshot(&live, &watched);
    let lan0 = &before.interfaces["lan0"];
    assert!(lan0.carrier_changes.value().is_some() && lan0.tx_timeouts.value().is_some(), "{lan0:?}");
    let now = || changes(&before, &linkwatch::snapshot(&live, &watched));

    let mut session = Session::begin(store, &live).unwrap();
    let quiet = step("steer.rps", "lan0/rx-0", "0");
    let handle = session.apply(&live, &quiet).unwrap();
    assert_eq!(now(), []);
    session.undo(&live, handle).unwrap();
    assert_eq!(now(), []);

    link::down("lan0").unwrap();
    assert_eq!(linkwatch::wait_for_link(&live, &before, 20_000_000), ["lan0"]);
    link::up("lan0").unwrap();
    assert_eq!(linkwatch::wait_for_link(&live, &before, 5_000_000_000), [""; 0]);
    let changed = now();
    let carrier = changed.iter().find(|c| c.what == LinkChangeKind::Carrier).expect("the carrier went and came");
    assert!(
        carrier.beyond(Resets::Queues) && carrier.to_string().starts_with("lan0: the link went down and up"),
        "{carrier}"
    );

    link::delete("lan0").unwrap();
    assert!(now().iter().any(|c| c.what == LinkChangeKind::Gone), "{:?}", now());
}

fn a_second_session_names_the_first(store: &Store) {
    let live = Live::new();
    let first = Session::begin(store, &live).unwrap();
    let me = format!("process {}", std::process::id());
    let Err(ApplyError::Store(StoreError::Locked { holder, .. })) = Session::begin(store, &live) else {
        panic!("a second session began")
    };
    assert_eq!(holder, me);
    drop(first);
    Session::begin(store, &live).unwrap();
}

fn the_timer_puts_back(store: &Store) {
    let live = Live::new();
    let step = step("sysctl.net.ipv4.tcp_autocorking", "host", "0");
    let mut session = Session::begin(store, &live).unwrap();
    assert!(!session.guarded());
    session.watch(2, None).unwrap();
    assert!(session.guarded());
    session.apply(&live, &step).unwrap();
    assert!(session.already_at(&step));
    session.leave_open().unwrap();
    assert_eq!(text(&autocorking()), "0");
    // Past its time it would end a session that still holds the lock, and this one is of the test's own process.
    drop(session);
    wait_until("the rollback by the timer", || text(&autocorking()) == "1");
    wait_until("the end of the transaction", || lowlat_apply::refuse_unfinished(store).is_ok());
}

/// Past its time nothing waits for a session that still holds the lock: it may be stopped, or hang.
fn an_applier_past_its_time_is_ended(store: &Store) {
    let me = std::env::current_exe().unwrap();
    let mut child = Command::new(me);
    let mut child =
        child.args(["--apply-and-park", "guarded"]).arg(store.dir()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!((line.trim(), text(&autocorking()).as_str()), ("parked", "0"));
    wait_until("the rollback by the guard", || text(&autocorking()) == "1");
    assert!(!child.wait().unwrap().success(), "it ended on its own");
    wait_until("the end of the transaction", || lowlat_apply::refuse_unfinished(store).is_ok());
}

fn a_confirmation_ends_the_timer(store: &Store) {
    let live = Live::new();
    let mut session = Session::begin(store, &live).unwrap();
    session.watch(3600, None).unwrap();
    session.apply(&live, &step("sysctl.net.ipv4.tcp_autocorking", "host", "0")).unwrap();
    session.leave_open().unwrap();
    let transaction = session.transaction().to_owned();
    let running = || {
        std::fs::read_dir("/proc").unwrap().any(|p| {
            // A zombie, which a timer of this process becomes, has no command line.
            std::fs::read(p.unwrap().path().join("cmdline")).is_ok_and(|c| {
                String::from_utf8_lossy(&c).contains(&format!("rollback-unless-confirmed\0{transaction}"))
            })
        })
    };
    assert!(running());
    drop(session);
    assert!(matches!(Session::begin(store, &live), Err(ApplyError::Unfinished { standing: 1, .. })));
    assert_eq!(lowlat_apply::confirm(store).unwrap(), 1);
    assert_eq!(lowlat_apply::confirm(store).unwrap(), 0);
    wait_until("the end of the timer", || !running());
    assert_eq!(text(&autocorking()), "0");
    assert!(lowlat_apply::rollback_from_disk(store, &live, false).unwrap().complete());
    assert_eq!(text(&autocorking()), "1");
}

fn the_held_limit_ends(store: &Store) {
    let live = Live::new();
    // One microsecond below "no limit" (include/linux/pm_qos.h), so that the host does not feel it.
    let step = PlannedStep { ops: vec![Op::text(Locus::CpuDmaLatency, "1999999999")], ..dma_latency() };
    let mut session = Session::begin(store, &live).unwrap();
    session.apply(&live, &step).unwrap();
    let holder = session.ledger().standing[0].holder.clone().expect("a holder in the journal");
    drop(session);
    let comm = || std::fs::read_to_string(format!("/proc/{}/comm", holder.pid)).unwrap_or_default();
    assert!(comm().starts_with("lowlat"), "{}", comm());
    assert!(lowlat_apply::confirm(store).unwrap() == 1);
    let report = lowlat_apply::rollback_from_disk(store, &live, false).unwrap();
    assert!(report.complete() && report.done.len() == 1, "{}", report.words());
    assert!(!comm().starts_with("lowlat-hold"), "{}", comm());
}

fn dma_latency() -> PlannedStep {
    PlannedStep {
        knob: "cpu.dma-latency".into(),
        phase: 2,
        target: "host".parse().unwrap(),
        from: "none".into(),
        to: "1999999999".into(),
        risk: lowlat_model::Risk::Medium,
        reason: String::new(),
        undo: String::new(),
        ops: Vec::new(),
        prior: Vec::new(),
        resets_link: false,
        ..PlannedStep::default()
    }
}

fn a_route_metric(store: &Store) {
    link_with_fifo();
    address::add("lan0", "10.99.0.1".parse().unwrap(), 24).unwrap();
    let target = "lan0/route-10.99.0.0/24";
    for (knob, to, metric, there) in
        [("route.quickack", "on", "quickack", "1"), ("route.rto-min", "50", "rto_min", "50")]
    {
        let locus = Locus::RouteMetric { iface: "lan0".into(), prefix: "10.99.0.0/24".into(), metric: metric.into() };
        for by_hand in [false, true] {
            assert_eq!(text(&locus), "0");
            let planned = step(knob, target, to);
            let mut session = Session::begin(store, &Live::new()).unwrap();
            session.apply(&Live::new(), &planned).unwrap();
            session.leave_open().unwrap();
            drop(session);
            assert_eq!(text(&locus), there, "{knob}");
            if by_hand {
                let sh = Command::new("sh").args(["-c", &planned.undo]).status().unwrap();
                assert!(sh.success(), "{}", planned.undo);
                assert_eq!(text(&locus), "0", "{}", planned.undo);
            }
            let report = lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap();
            assert!(report.complete(), "{}", report.words());
        }
        assert_eq!(text(&locus), "0");
    }
    assert!(query::routes(&Live::new()).into_value().unwrap().iter().any(|r| r.prefix == "10.99.0.0/24"));
}

fn persisted_files_come_and_go(store: &Store) {
    // An empty /etc of this mount namespace's own.
    assert!(Command::new("mount").args(["-t", "tmpfs", "none", "/etc"]).status().unwrap().success());
    let live = Live::new();
    assert!(lowlat_apply::persist(store, &live).unwrap().is_empty());
    link_with_fifo();
    let before = seen();
    let mut session = Session::begin(store, &live).unwrap();
    for step in steps() {
        session.apply(&live, &step).unwrap();
    }
    session.leave_open().unwrap();
    drop(session);
    let kept = lowlat_apply::persist(store, &live).unwrap();
    let sysctl = std::fs::read_to_string("/etc/sysctl.d/90-lowlat.conf").unwrap();
    assert!(sysctl.contains("net.ipv4.tcp_autocorking = 0\n"), "{sysctl}");
    let unit = std::fs::read_to_string("/etc/systemd/system/lowlat.service").unwrap();
    assert!(unit.contains("tc qdisc replace dev lan0 root pfifo limit 8"), "{unit}");
    assert!(Path::new("/etc/systemd/system/multi-user.target.d/90-lowlat.conf").exists());
    assert_eq!(kept.wrote.len(), 3, "{kept:?}");
    // What the unit runs at boot sets the same again.
    let set = seen();
    tc::put("lan0", Parent::Root, TcHandle(0), "pfifo", None).unwrap();
    for line in unit.lines().filter_map(|l| l.strip_prefix("ExecStart=-/bin/sh -c ")) {
        let command = line.trim_matches('"').replace("%%", "%").replace("\\\\", "\\").replace("$$", "$");
        assert!(Command::new("/bin/sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }
    let kinds = |s: &[State]| {
        s.iter()
            .map(|s| if let State::Qdisc(q) = s { q.options_hex.clone() } else { s.to_string() })
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&seen()), kinds(&set));
    let report = lowlat_apply::rollback_from_disk(store, &live, false).unwrap();
    assert!(report.complete(), "{}", report.words());
    assert_eq!(seen(), before);
    assert!(!Path::new("/etc/sysctl.d/90-lowlat.conf").exists());
    assert!(!Path::new("/etc/systemd/system/lowlat.service").exists());
}

fn another_namespace(store: &Store) {
    link_with_fifo();
    killed("all", store);
    let applied = seen();
    // A process in a namespace of its own: the same names there are other things.
    let me = std::env::current_exe().unwrap();
    let status = Command::new(me).arg("--elsewhere").arg(store.dir()).status().unwrap();
    assert!(status.success());
    assert_eq!(seen(), applied);
    assert!(lowlat_apply::rollback_from_disk(store, &Live::new(), false).unwrap().complete());
}

/// Each child gets a namespace of its own, most likely with the inode of the one before it, and begins a transaction
/// where the one before it was killed in the middle of its own.
fn ended_namespaces(store: &Store) {
    let live = Live::new();
    for _ in 0..5 {
        killed_in("--apply-and-park-apart", "all", store);
        wait_until("its settings ended with it", || lowlat_apply::status(store, &live).unwrap().applied.is_empty());
    }
    lowlat_apply::refuse_unfinished(store).unwrap();
    let report = lowlat_apply::rollback_from_disk(store, &live, false).unwrap();
    assert_eq!((report.done.len(), report.complete()), (20, true), "{}", report.words());
    assert!(report.words().contains("a network namespace that no longer exists"), "{}", report.words());
}

/// The child's part of [`another_namespace`].
fn elsewhere(store: &Store) {
    enter_private().unwrap();
    let live = Live::new();
    let report = lowlat_apply::rollback_from_disk(store, &live, true).unwrap();
    assert_eq!((report.done.len(), report.failed.len()), (0, 4), "{}", report.words());
    let words = report.words();
    assert!(words.contains("belongs to the network namespace net:["), "{words}");
    let status = lowlat_apply::status(store, &live).unwrap();
    assert!(status.applied.iter().all(|a| a.now.contains("net:[")), "{status:?}");
}
