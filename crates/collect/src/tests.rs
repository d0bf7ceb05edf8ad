//! The whole of it, on a host in memory.

use std::collections::BTreeSet;
use std::path::Path;

use lowlat_model::Reading;
use lowlat_testkit::FakeSys;

use crate::{COLLECTORS, gather};

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
    for dir in [src.clone(), src.join("counters"), src.join("path")] {
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
