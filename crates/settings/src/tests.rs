//! What holds for every kind.

use lowlat_model::op::QdiscState;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Op, State};

use crate::shell::comment;
use crate::{Write, same, scope, undo, undo_all, write_together};

#[test]
fn a_queue_discipline_is_reported_as_tc_takes_it() {
    let at = |parent: &str, kind: &str, handle: &str, summary: &str| {
        let state = State::Qdisc(QdiscState {
            kind: kind.into(),
            handle: handle.into(),
            options_hex: String::new(),
            summary: summary.into(),
            carries: Vec::new(),
        });
        undo(&Locus::Qdisc { iface: "eth0".into(), parent: parent.into() }, &state)
    };
    assert_eq!(
        at("root", "tbf", "20:", "burst 160b latency 1046016us limit 65536b rate 500Kbit"),
        "tc qdisc replace dev eth0 root tbf burst 160b limit 65536b rate 500Kbit"
    );
    assert_eq!(at("root", "pfifo_fast", "0:", ""), "tc qdisc del dev eth0 root");
    assert_eq!(at("1:1", "pfifo_fast", "0:", ""), "tc qdisc replace dev eth0 parent 1:1 pfifo_fast");
}

/// What a POSIX shell does with a command, `tc` and `ip` being functions that answer a `show` and repeat what they are asked.
fn asked(command: &str, shown: &str) -> String {
    let one = |name: &str| {
        format!("{name}() {{ case $* in *show*) printf '%s\\n' \"$SHOWN\";; *) echo {name} \"$@\";; esac; }}\n")
    };
    let mut sh = std::process::Command::new("/bin/sh");
    sh.args(["-c", &format!("{}{}{command}", one("tc"), one("ip"))]).env("SHOWN", shown);
    String::from_utf8(sh.output().unwrap().stdout).unwrap()
}

/// `tc` names no class of a root that the kernel made.
#[test]
fn a_queue_discipline_of_a_queue_is_made_anew_where_another_kind_hangs_there() {
    let at = Locus::Qdisc { iface: "eth0".into(), parent: "0:3".into() };
    let was = State::Qdisc(QdiscState {
        kind: "fq_codel".into(),
        handle: "0:".into(),
        options_hex: String::new(),
        summary: String::new(),
        carries: Vec::new(),
    });
    let root = "qdisc mq 0: root \nqdisc fq_codel 0: parent :2 limit 10240p\n";
    let anew = "tc qdisc replace dev eth0 root mq\ntc qdisc del dev eth0 root\n";
    for (there, does) in [
        ("qdisc fq_codel 0: parent :3 limit 10240p", ""),
        ("qdisc pfifo_fast 0: parent :3 bands 3 priomap 1 2 2", anew),
        // The third queue is not in use, or somebody chose a root.
        ("", ""),
        ("qdisc pfifo_fast 0: parent :31 bands 3", ""),
        ("qdisc pfifo 8001: root refcnt 5 limit 1000p", ""),
    ] {
        assert_eq!(asked(&undo(&at, &was), &format!("{root}{there}")), does, "{there}");
    }
    assert!(crate::at(&at).may_change(&Locus::Qdisc { iface: "eth0".into(), parent: "root".into() }));
    assert!(!crate::at(&at).may_change(&Locus::Qdisc { iface: "eth1".into(), parent: "root".into() }));
}

#[test]
fn a_route_keeps_its_other_words() {
    let at = |prefix: &str, metric: &str| Locus::RouteMetric {
        iface: "eth0".into(),
        prefix: prefix.into(),
        metric: metric.into(),
    };
    let sent = |locus: &Locus, was: &str, shown: &str| asked(&undo(locus, &State::Text(was.into())), shown);
    let v4 = at("192.0.2.0/24", "quickack");
    assert_eq!(
        sent(
            &v4,
            "0",
            "192.0.2.0/24 via 10.0.0.1 proto static dead linkdown rt_offload rt_trap quickack lock 1 mtu 1400 "
        ),
        "ip route change 192.0.2.0/24 via 10.0.0.1 proto static mtu 1400 dev eth0\n"
    );
    // A gateway's own flags, and a time.
    assert_eq!(
        sent(
            &at("::/0", "rto_min"),
            "50",
            "default via fe80::1 proto ra metric 1024 offload trap unresolved expires 1798sec rto_min lock 10ms pref medium"
        ),
        "ip -6 route change default via fe80::1 proto ra metric 1024 expires 1798 pref medium dev eth0 rto_min 50ms\n"
    );
    assert!(undo(&at("::/0", "rto_min"), &State::Text("50".into())).ends_with(" dev eth0 rto_min 50ms"));
}

/// Names and values that a shell would act on, at every kind of place; nothing outside the shell can be run.
#[test]
fn no_name_and_no_value_is_a_command() {
    let dir = std::env::temp_dir().join(format!("lowlat-shell-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for bad in ["x;:>P;", "a'b;:>P;'c", "$(:>P)", "`:>P`", "x\n:>P\n#", "\";:>P;\"", "|:>P", "&:>P&", "-e s/x/y/w P"] {
        let (iface, param, path) = (bad.to_owned(), bad.to_owned(), format!("/nonexistent/{bad}"));
        let qdisc = State::Qdisc(QdiscState {
            kind: bad.into(),
            handle: "1:".into(),
            options_hex: String::new(),
            summary: bad.into(),
            carries: Vec::new(),
        });
        let places = [
            Locus::File { path: path.clone() },
            Locus::Feature { iface: iface.clone(), name: bad.into() },
            Locus::Coalesce { iface: iface.clone(), param: param.clone() },
            Locus::Ring { iface: iface.clone(), param: param.clone() },
            Locus::Channels { iface: iface.clone(), param: param.clone() },
            Locus::Pause { iface: iface.clone(), param },
            Locus::Eee { iface: iface.clone() },
            Locus::PrivateFlag { iface: iface.clone(), name: bad.into() },
            Locus::HwTimestamp { iface: iface.clone() },
            Locus::Qdisc { iface: iface.clone(), parent: bad.into() },
            Locus::IrqAffinity { iface: iface.clone(), index: 0 },
            Locus::Moderation { iface: iface.clone(), direction: bad.into() },
            Locus::Napi { iface: iface.clone(), id: 1, param: bad.into() },
            Locus::Rss { iface: iface.clone() },
            Locus::RouteMetric { iface, prefix: bad.into(), metric: bad.into() },
            Locus::Driver { device: bad.into() },
            Locus::DropIn { path },
        ];
        for locus in &places {
            for state in [&State::Text(bad.into()), &State::Text(format!("tx={bad} rx={bad}")), &qdisc] {
                let script = format!("# {}\n{}", comment(bad), undo(locus, state));
                let mut sh = std::process::Command::new("/bin/sh");
                sh.args(["-c", &script]).current_dir(&dir).env("PATH", "/nonexistent");
                sh.output().unwrap();
                assert!(!dir.join("P").exists(), "{script}");
            }
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn file(path: &str, a: &str, b: &str) -> bool {
    same(&Locus::File { path: path.into() }, &State::Text(a.into()), &State::Text(b.into()))
}

#[test]
fn forms_of_one_value() {
    assert!(file("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456", "4096 131072 6291456"));
    assert!(!file("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456", "4096 131072 629145"));
    assert!(file("/sys/class/net/e/queues/rx-0/rps_cpus", "00000000,00000003", "3"));
    assert!(!file("/sys/class/net/e/queues/rx-0/rps_cpus", "00000001,00000003", "3"));
    let irq = Locus::IrqAffinity { iface: "e".into(), index: 0 };
    assert!(same(&irq, &State::Text("0-1".into()), &State::Text("0,1".into())));
    let place = Locus::Qdisc { iface: "e".into(), parent: "root".into() };
    let fifo = |handle: &str, options: &str| {
        State::Qdisc(QdiscState {
            kind: "pfifo".into(),
            handle: handle.into(),
            options_hex: options.into(),
            summary: String::new(),
            carries: Vec::new(),
        })
    };
    assert!(same(&place, &fifo("8001:", "08000000"), &fifo("", "08000000")));
    assert!(!same(&place, &fifo("8001:", "e8030000"), &fifo("", "08000000")));
    assert!(same(&place, &fifo("8001:", "e8030000"), &fifo("", "")));
    // The kernel's own (0:) against the same kind with a number: under a class the same, at the root not.
    let class = Locus::Qdisc { iface: "e".into(), parent: "1:1".into() };
    assert!(same(&class, &fifo("0:", "08000000"), &fifo("8001:", "08000000")));
    assert!(!same(&place, &fifo("0:", "08000000"), &fifo("8001:", "08000000")));
    // A handle that somebody chose is part of it, and so is what hangs there.
    assert!(same(&place, &fifo("7fff:", "08000000"), &fifo("8001:", "08000000")));
    assert!(!same(&place, &fifo("5:", "08000000"), &fifo("8001:", "08000000")));
    let mut carrying = fifo("5:", "08000000");
    if let State::Qdisc(q) = &mut carrying {
        q.carries.push("a rate estimator".into());
    }
    assert!(!same(&place, &fifo("5:", "08000000"), &carrying));
    let dropin = Locus::DropIn { path: "/etc/x".into() };
    assert!(!same(&dropin, &State::Text("a b".into()), &State::Text("a  b".into())));
    assert!(!same(&dropin, &State::Text(String::new()), &State::Nothing));
}

#[test]
fn a_write_reaches_as_far_as_its_place() {
    for (path, reach) in [
        ("/sys/class/net/eth0/queues/rx-0/rps_cpus", Scope::Interface),
        ("/sys/class/net/eth0/threaded", Scope::Interface),
        ("/proc/sys/net/ipv4/tcp_limit_output_bytes", Scope::Namespace),
        ("/proc/sys/vm/swappiness", Scope::Host),
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", Scope::Host),
    ] {
        assert_eq!(scope(&[Op::file(path, "1")]), reach, "{path}");
    }
    let irq = Locus::IrqAffinity { iface: "eth0".into(), index: 0 };
    assert_eq!(scope(&[Op::text(irq.clone(), "1")]), Scope::Interface);
    assert_eq!(scope(&[Op::text(irq, "1"), Op::file("/proc/sys/net/ipv4/tcp_sack", "1")]), Scope::Namespace);
    assert_eq!(scope(&[Op::text(Locus::CpuDmaLatency, "0")]), Scope::Host);
    assert_eq!(scope(&[]), Scope::Host, "what is not known to be narrow is wide");
}

fn coalesce(iface: &str, param: &str, value: &str) -> Op {
    Op::text(Locus::Coalesce { iface: iface.into(), param: param.into() }, value)
}

#[test]
fn only_what_the_kernel_takes_in_one_request_is_one_write() {
    let pair = [coalesce("eth0", "rx-usecs", "0"), coalesce("eth0", "rx-frames", "1")];
    let values = vec![("rx-usecs".to_owned(), 0), ("rx-frames".to_owned(), 1)];
    assert_eq!(write_together(&pair), Ok(Some(Write::Coalesce { iface: "eth0".into(), values })));
    assert_eq!(write_together(&[]), Ok(None));
    let ring = Op::text(Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "512");
    for other in [coalesce("eth0", "rx-frames", "many"), coalesce("eth1", "rx-frames", "1"), ring.clone()] {
        assert!(write_together(&[pair[0].clone(), other.clone()]).is_err(), "{other:?} was taken");
    }
    assert!(write_together(&[ring]).is_err());
}

#[test]
fn several_writes_are_undone_whole_and_backwards() {
    let text = |t: &str| State::Text(t.into());
    let ops = [coalesce("eth0", "adaptive-rx", "0"), coalesce("eth0", "rx-usecs", "0"), Op::file("/proc/sys/x", "1")];
    assert_eq!(
        undo_all(&ops, &[text("1"), text("8"), text("0")]),
        "printf '%s\\n' 0 > /proc/sys/x; ethtool -C eth0 rx-usecs 8 adaptive-rx on"
    );
}
