//! What is written is there, and what is put back is what was there: on a real kernel, in namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may end by panic

use std::io;
use std::process::Command;
use std::time::Duration;

use lowlat_model::op::QdiscState;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_netlink::route::link;
use lowlat_netlink::tc::{options, restorable};
use lowlat_os::namespace;
use lowlat_settings::state;
use lowlat_sys::{Live, hex, qdisc_restorable, query};
use lowlat_sysmut::{WriteError, holder, open};

/// Runs `f` in a thread with its own network namespace and its own `/sys`, with a veth pair `a`, `b` that is up.
fn in_netns(f: impl FnOnce() + Send) {
    std::thread::scope(|s| {
        let outcome = s
            .spawn(|| {
                if let Err(e) = enter() {
                    assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: {e}");
                    eprintln!("NOT RUN: no namespace: {e}");
                    return;
                }
                link::veth("a", "b").unwrap();
                link::up("a").unwrap();
                link::up("b").unwrap();
                f();
            })
            .join();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

fn enter() -> io::Result<()> {
    namespace::own_network()?;
    namespace::own_mounts()?;
    namespace::mount_sys()
}

fn root() -> Locus {
    Locus::Qdisc { iface: "a".into(), parent: "root".into() }
}

fn qdisc(kind: &str, handle: &str, options: &[u8]) -> Op {
    let set = State::Qdisc(QdiscState {
        kind: kind.into(),
        handle: handle.into(),
        options_hex: hex::text_of(options),
        summary: String::new(),
        carries: Vec::new(),
    });
    Op { locus: root(), set }
}

fn now(locus: &Locus) -> State {
    match state(&Live::new(), locus) {
        Reading::Value(v) => v,
        other => panic!("{locus:?}: {other:?}"),
    }
}

/// Kind, options to make it with, other options to change it to.
fn kinds() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let netem =
        |us| options::netem(&options::Netem { delay: Duration::from_micros(us), loss: 0.01, ..Default::default() });
    vec![
        ("pfifo", options::fifo(123), options::fifo(50)),
        ("bfifo", options::fifo(123_456), options::fifo(50_000)),
        ("pfifo_head_drop", options::fifo(99), options::fifo(50)),
        ("pfifo_fast", vec![], vec![]),
        ("tbf", options::tbf(8_000_000, 3_000, 30_000), options::tbf(16_000_000, 2_000, 60_000)),
        ("netem", netem(400), netem(900)),
        ("fq_codel", options::fq_codel(Some(777), Some(512)), options::fq_codel(Some(50), Some(64))),
        ("fq", vec![], vec![]),
        ("codel", vec![], vec![]),
        ("cake", vec![], vec![]),
    ]
}

#[test]
fn a_dumped_queue_discipline_goes_back_exactly() {
    in_netns(|| {
        let mut live = open();
        let default = now(&root());
        let mut exact = Vec::new();
        let mut lacking = Vec::new();
        for (kind, made, changed) in kinds() {
            assert!(restorable(kind), "{kind}");
            match live.write(&qdisc(kind, "5:", &made)) {
                Err(WriteError::Absent { .. }) => {
                    lacking.push(kind);
                    continue;
                }
                other => other.unwrap(),
            }
            let prior = now(&root());
            assert!(matches!(&prior, State::Qdisc(q) if q.kind == kind && q.handle == "5:"), "{prior:?}");
            assert_eq!(qdisc_restorable(&Live::new(), "a", "root"), Reading::Value(None));

            // Another kind in its place, and back.
            live.write(&qdisc("pfifo", "", &options::fifo(7))).unwrap();
            assert_ne!(now(&root()), prior);
            live.write(&Op { locus: root(), set: prior.clone() }).unwrap();
            assert_eq!(now(&root()), prior, "{kind} after another kind");

            // The same kind under the same handle with other options, and back.
            live.write(&qdisc(kind, "5:", &changed)).unwrap();
            live.write(&Op { locus: root(), set: prior.clone() }).unwrap();
            assert_eq!(now(&root()), prior, "{kind} after a change in place");

            live.write(&Op { locus: root(), set: default.clone() }).unwrap();
            assert_eq!(now(&root()), default);
            exact.push(kind);
        }
        // Giving back what is the kernel's already is not an error.
        live.write(&Op { locus: root(), set: default }).unwrap();
        assert!(exact.len() >= 4, "only {exact:?} could be tried");
        eprintln!("exact here: {exact:?}; not in this kernel: {lacking:?}");
    });
}

#[test]
fn refusals_name_the_kernels_words() {
    in_netns(|| {
        let mut live = open();
        let e = live.write(&qdisc("tbf", "", &[1, 2, 3, 4])).unwrap_err();
        assert!(matches!(e, WriteError::Refused { .. }), "{e:?}");
        let e = live.write(&qdisc("no_such_kind", "", &[])).unwrap_err();
        assert!(matches!(e, WriteError::Absent { .. }), "{e:?}");
        let ring = Locus::Ring { iface: "a".into(), param: "rx".into() };
        let e = live.write(&Op::text(ring, "512")).unwrap_err();
        assert!(matches!(&e, WriteError::Refused { errno: libc::EOPNOTSUPP, .. }), "{e:?}");
        let gone = Locus::Feature { iface: "none".into(), name: "rx-gro".into() };
        assert!(matches!(live.write(&Op::text(gone, "on")), Err(WriteError::Absent { .. })));
    });
}

#[test]
fn a_feature_a_queue_and_a_sysctl_are_set_and_put_back() {
    in_netns(|| {
        let loci = [
            (Locus::Feature { iface: "a".into(), name: "rx-gro".into() }, ["on", "off"]),
            (Locus::File { path: "/sys/class/net/a/queues/rx-0/rps_cpus".into() }, ["1", "0"]),
            (Locus::File { path: "/proc/sys/net/ipv4/tcp_sack".into() }, ["0", "1"]),
            (Locus::File { path: "/sys/class/net/a/gro_flush_timeout".into() }, ["20000", "0"]),
        ];
        for (locus, values) in loci {
            let prior = now(&locus);
            for value in values {
                open().write(&Op::text(locus.clone(), value)).unwrap();
                let State::Text(t) = now(&locus) else { panic!("{locus:?}") };
                assert!(
                    t == value || t.trim_start_matches('0') == value.trim_start_matches('0'),
                    "{locus:?}: {t} after {value}"
                );
            }
            open().write(&Op { locus: locus.clone(), set: prior.clone() }).unwrap();
            assert_eq!(now(&locus), prior);
        }
    });
}

#[test]
fn a_holder_holds_only_when_ordered_and_ends_when_ordered() {
    let live = Live::new();
    let Reading::Value(before) = query::cpu_dma_latency(&live) else {
        assert!(std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1"), "must run: no /dev/cpu_dma_latency");
        eprintln!("NOT RUN: no /dev/cpu_dma_latency");
        return;
    };
    let limit = || query::cpu_dma_latency(&live).into_value().unwrap();
    // Next to this test: target/debug/deps/../examples.
    let exe = std::env::current_exe().unwrap();
    let exe = exe.parent().unwrap().parent().unwrap().join("examples/hold_dma_latency");
    let command = || {
        let mut c = Command::new(&exe);
        c.arg("37");
        c
    };

    let dir = tempfile::tempdir().unwrap();
    let prepared = holder::prepare_with(command(), 37, dir.path()).unwrap();
    let id = prepared.holder();
    assert!(holder::is_holder(id));
    assert_eq!(limit(), before, "it does not hold before it is reported");
    drop(prepared);
    assert!(!holder::is_holder(id), "it ends with its starter");

    let prepared = holder::prepare_with(command(), 37, dir.path()).unwrap();
    let token = prepared.token().to_owned();
    let id = prepared.go().unwrap();
    assert_eq!(limit(), before.min(37));
    // A reused id is another process: its start time differs.
    let stranger = holder::Holder { start_time: id.start_time + 1, ..id };
    assert_eq!(holder::stop(stranger).unwrap(), holder::HolderStopped::Gone);
    assert!(holder::is_holder(id), "left alone");
    let me = holder::Holder { pid: std::process::id(), start_time: 1 };
    assert_eq!(holder::stop(me).unwrap(), holder::HolderStopped::Gone);

    assert_eq!(holder::stop(id).unwrap(), holder::HolderStopped::Ended);
    assert_eq!(limit(), before);
    assert_eq!(holder::stop(id).unwrap(), holder::HolderStopped::Gone);
    assert_eq!(holder::stop_by_token(id, dir.path(), &token).unwrap(), holder::HolderStopped::Ended);

    // By its token alone, as from another process-id namespace, where its id is none; also one that is stopped.
    let prepared = holder::prepare_with(command(), 37, dir.path()).unwrap();
    let token = prepared.token().to_owned();
    prepared.go().unwrap();
    assert_eq!(limit(), before.min(37));
    let elsewhere = holder::Holder { pid: 1, start_time: 0 };
    assert_eq!(holder::stop_by_token(elsewhere, dir.path(), &token).unwrap(), holder::HolderStopped::Ended);
    assert_eq!(limit(), before);
    assert!(holder::stop_by_token(elsewhere, dir.path(), "../x").is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
