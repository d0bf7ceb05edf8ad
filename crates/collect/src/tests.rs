//! The whole of it, on a host in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;
use lowlat_sys::NetQuery;
use lowlat_sys::query::{LinkInfo, Neighbour, Stacked};
use lowlat_testkit::FakeSys;

use crate::{COLLECTORS, counters, gather, interfaces, irqs, path, sockets};

#[test]
fn each_file_is_read_once_per_moment() {
    let sys = FakeSys::new()
        .file("/sys/devices/system/cpu/online", "0\n")
        .file("/proc/interrupts", "  CPU0\n 1: 5 IO-APIC 1-edge x\n")
        .file("/sys/class/net/lo/ifindex", "1\n")
        .file("/sys/class/net/lo/queues/rx-0/rps_cpus", "0\n");
    gather(&sys, None, None);
    let twice: Vec<_> = sys.reads().into_iter().filter(|(_, n)| *n > 1).collect();
    assert_eq!(twice, []);
}

/// A host of `links` vxlans with an interrupt line and a connection for each.
fn big(links: u32) -> FakeSys {
    let name = |n: u32| format!("v{n}");
    let link = |n: u32| LinkInfo {
        index: n,
        name: name(n),
        up: true,
        operstate: "up".into(),
        mtu: 1500,
        mac: None,
        kind: Some("vxlan".into()),
        xdp: "none".into(),
    };
    let stacked = |n: u32| Stacked { index: n, kind: Some("vxlan".into()), bound: Some(1), ..Stacked::default() };
    let far = |n: u32| Neighbour {
        index: n,
        address: Some([192, 0, 2, 7].into()),
        mac: Some("00:00:00:00:00:00".into()),
        master: None,
    };
    let socket = |n: u32| TcpSocket {
        local: format!("192.0.2.1:{}", 1000 + n).into(),
        remote: "192.0.2.7:7".into(),
        state: "established".into(),
        srtt_ns: 1,
        rttvar_ns: 1,
        min_rtt_ns: 1,
        retransmits: 0,
        cwnd: 10,
        notsent_bytes: 0,
        congestion: "cubic".into(),
        timeouts: None,
    };
    let rows: String = (1..=links).flat_map(|n| [n.to_string(), format!(": 5 PCI-MSI 1-edge v{n}-rx-0\n")]).collect();
    let mut sys = FakeSys::new()
        .net(&NetQuery::Links, (1..=links).map(link).collect::<Vec<_>>())
        .net(&NetQuery::Stack, (1..=links).map(stacked).collect::<Vec<_>>())
        .net(&NetQuery::Forwarding, (1..=links).map(far).collect::<Vec<_>>())
        .net(&NetQuery::TcpSockets, (1..=links).map(socket).collect::<Vec<_>>())
        .file("/proc/interrupts", &format!("  CPU0\n{rows}"));
    for n in 1..=links {
        let dir = format!("/sys/class/net/{}", name(n));
        sys = sys
            .file(&format!("{dir}/ifindex"), &format!("{n}\n"))
            .file(&format!("{dir}/statistics/rx_packets"), "1\n")
            .file(&format!("{dir}/queues/rx-0/rps_cpus"), "0\n");
    }
    sys
}

/// What is asked that is of no interface, no line of one, and not the way to a tunnel's far end.
fn of_the_host(sys: &FakeSys) -> BTreeMap<String, u32> {
    let of_a_link = |what: &str| {
        what.contains("/irq/")
            || what.starts_with("route-to/")
            || what.split(['/', ' ']).any(|part| part.starts_with('v') && part[1..].parse::<u32>().is_ok())
    };
    sys.reads().into_iter().filter(|(what, _)| !of_a_link(what)).collect()
}

#[test]
fn the_work_for_one_more_interface_does_not_grow_with_the_host() {
    let asked = |links: u32, window: Option<u64>| {
        let sys = big(links);
        gather(&sys, None, window);
        sys.reads().values().sum::<u32>()
    };
    for window in [None, Some(1)] {
        let (some, twice, more) = (asked(20, window), asked(40, window), asked(80, window));
        assert_eq!(more - twice, 2 * (twice - some), "{some}, {twice}, {more}");
        assert!((twice - some) / 20 < 100, "{} questions for each interface", (twice - some) / 20);
    }
}

/// Without the memory of a moment each question shows: a remembered answer still costs its copy.
#[test]
fn what_is_the_hosts_is_not_asked_for_each_interface() {
    let asked = |links: u32| {
        let sys = big(links);
        let interfaces = interfaces::read(&sys);
        assert_eq!(interfaces.len(), links as usize);
        let (lines, _) = irqs::read(&sys, interfaces.keys().map(String::as_str));
        assert_eq!(lines.into_value().map(|l| l.len()), Some(links as usize));
        path::find(&sys, Some("v1"), None).unwrap();
        path::login_ifaces(&sys, &sockets::read(&sys));
        counters::read(&sys);
        of_the_host(&sys)
    };
    assert_eq!(asked(20), asked(40));
}

#[test]
fn a_window_shows_growth() {
    let sys = FakeSys::new()
        .file("/proc/net/snmp", "Udp: RcvbufErrors\nUdp: 1\n")
        .later("/proc/net/snmp", "Udp: RcvbufErrors\nUdp: 8\n");
    let facts = gather(&sys, Some("eth0"), Some(1_000));
    let window = facts.window.unwrap();
    assert_eq!(window.duration_ns(), 1_000);
    assert_eq!(window.delta("snmp", "Udp.RcvbufErrors"), Some(7));
    assert_eq!(facts.counters, window.after);
}

#[test]
fn a_host_that_says_nothing_still_gives_a_document() {
    let facts = gather(&FakeSys::new(), None, Some(1));
    assert!(matches!(facts.qdiscs, Reading::Absent(_)));
    assert!(facts.counters.groups.contains_key("softnet/*"), "the reason is where the group would be");
    assert!(facts.sysctls.values().all(|r| r.value().is_none()));
}

#[test]
fn every_collector_is_listed_once_and_has_a_page() {
    let names: BTreeSet<_> = COLLECTORS.iter().map(|p| p.name).collect();
    assert_eq!(names.len(), COLLECTORS.len());
    for p in COLLECTORS {
        assert!(p.page.len() > 60 && !p.page.starts_with(' '), "{}: {:?}", p.name, p.page);
        assert!(!p.reads.is_empty() && !p.sources.is_empty(), "{}", p.name);
        for s in p.sources {
            assert!(lowlat_model::source::has_form(s), "{}: {s:?} is none of {}", p.name, lowlat_model::source::FORMS);
        }
    }
}

#[test]
fn every_collector_file_is_in_the_list() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut declared = 0;
    for dir in [src.clone(), src.join("counters"), src.join("path"), src.join("application")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file()
                && std::fs::read_to_string(&path).unwrap().contains("crate::collector! {")
                && !path.ends_with("tests.rs")
            {
                declared += 1;
                let name = path.strip_prefix(&src).unwrap().to_str().unwrap();
                assert!(
                    COLLECTORS.iter().any(|p| p.file.ends_with(&format!("src/{name}"))),
                    "{name} declares a collector that is not in COLLECTORS"
                );
            }
        }
    }
    assert_eq!(declared, COLLECTORS.len());
}
