//! What holds for all rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lowlat_model::application::{Doing, Queues};
use lowlat_model::facts::{CpusetPartition, PtpProgram, TcFilter, TcpSocket, Timestamping, UncoreLimits, XdpSocket};
use lowlat_model::{Counters, Facts, Finding, Measurement, NotSeen, PathLink, PathRole, Reading, Schema, Severity};
use lowlat_testkit::application::{self, PID, only_thread};
use lowlat_testkit::facts::{grow, healthy, iface, qdisc};

use crate::{Input, RULES, Seen, check_all, find};

/// A measured path of which only the prober's CPU matters.
pub(crate) fn baseline(cpu: Option<u32>) -> Measurement {
    Measurement {
        schema: Schema::current("measure"),
        target: "192.0.2.2:7".into(),
        proto: "udp".into(),
        peer: "lowlat".into(),
        engine: "block".into(),
        mode: "ping-pong".into(),
        size_bytes: 64,
        rate_pps: None,
        cpu,
        ..Measurement::default()
    }
}

#[test]
fn nothing_is_wrong_with_a_healthy_host() {
    let facts = healthy();
    let measured = baseline(Some(3));
    let seen = check_all(&Input { facts: &facts, baseline: Some(&measured), goal_ns: Some(50_000) });
    assert_eq!(seen, Seen::default());
}

#[test]
fn findings_come_in_the_order_of_fixing() {
    let mut facts = healthy();
    facts.filters.packet_sockets = Reading::Value(1);
    facts.host.clocksource = Reading::Value("hpet".into());
    iface(&mut facts).speed_mbps = Reading::Value(100);
    grow(&mut facts, "snmp", "Udp.RcvbufErrors", 1);
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(1_000_000) });
    let order: Vec<(Severity, &str)> = seen.findings.iter().map(|f| (f.severity, f.rule.as_str())).collect();
    assert_eq!(
        order,
        [
            (Severity::Warning, "link-below-capability"),
            (Severity::Critical, "receive-buffer-errors"),
            (Severity::Warning, "clocksource-not-tsc"),
            (Severity::Info, "packet-sockets"),
        ]
    );
}

/// A processor that takes every interrupt, is stolen from, and so loses packets: the top line is the cause.
#[test]
fn a_cause_stands_before_what_follows_from_it() {
    let mut facts = healthy();
    facts.host.clocksource = Reading::Value("hpet".into());
    grow(&mut facts, "cpu/1", "steal", 1_000);
    grow(&mut facts, "link/eth0", "rx_missed_errors", 100);
    grow(&mut facts, "snmp", "Tcp.RetransSegs", 1_000);
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    let order: Vec<(&str, Option<&str>)> =
        seen.findings.iter().map(|f| (f.rule.as_str(), f.follows.as_deref())).collect();
    assert_eq!(
        order,
        [
            ("steal-time", None),
            ("nic-ring-drops", Some("steal-time")),
            ("retransmits", Some("nic-ring-drops")),
            ("clocksource-not-tsc", None),
        ]
    );
}

#[test]
fn what_follows_from_what_has_no_circle() {
    fn beneath(name: &str, depth: usize) {
        assert!(depth < RULES.len(), "{name} follows from itself");
        for cause in find(name).unwrap_or_else(|| panic!("no rule {name}")).meta().follows {
            beneath(cause, depth + 1);
        }
    }
    for rule in RULES {
        beneath(rule.meta().name, 0);
    }
}

#[test]
fn what_many_rules_miss_is_said_once() {
    let mut facts = healthy();
    facts.window = None;
    facts.qdiscs = Reading::Denied("the dump needs root".into());
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(1_000_000) });
    let said: Vec<String> = seen.not_seen.iter().map(|n| format!("{}: {}", n.fact, n.why)).collect();
    assert_eq!(
        said,
        ["counter growth: absent: no counter window was taken", "queue disciplines: denied: the dump needs root"]
    );
}

#[test]
fn an_interface_that_is_not_there_is_said() {
    let mut facts = healthy();
    facts.iface = Some("eth7".into());
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(1_000_000) });
    assert_eq!(seen.not_seen[0].fact, "interface eth7");
}

fn link(name: &str, kind: Option<&str>, above: Option<&str>) -> PathLink {
    let role = if above.is_some() { PathRole::Lower } else { PathRole::Route };
    PathLink { name: name.into(), role, kind: kind.map(str::to_owned), above: above.map(str::to_owned) }
}

/// A healthy host with two more ports like the one in focus.
fn three_ports() -> Facts {
    let mut facts = healthy();
    for name in ["eth1", "eth2"] {
        let port = facts.interfaces["eth0"].clone();
        facts.interfaces.insert(name.into(), port);
        for group in ["link", "ethtool", "aer"] {
            let of = |counters: &Counters| counters.groups.get(&format!("{group}/eth0")).cloned();
            let window = facts.window.as_mut().unwrap();
            for counters in [&mut facts.counters, &mut window.before, &mut window.after] {
                if let Some(values) = of(counters) {
                    counters.groups.insert(format!("{group}/{name}"), values);
                }
            }
        }
    }
    facts
}

fn on(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|f| (f.rule.as_str(), f.title.as_str())).collect()
}

#[test]
fn a_healthy_host_has_nothing_elsewhere() {
    let measured = baseline(Some(3));
    let seen = check_all(&Input { facts: &three_ports(), baseline: Some(&measured), goal_ns: Some(50_000) });
    assert_eq!(seen, Seen::default());
}

/// A shaper and a ring that drops on another interface are reported, and nothing is to be set.
#[test]
fn a_fault_off_the_path_is_reported_without_a_setting() {
    let mut facts = three_ports();
    let mut tbf = qdisc("eth1", "tbf", "root", "1:");
    tbf.options.insert("rate_bps".into(), 1_000_000);
    let fifo = qdisc("eth1", "pfifo", "1:1", "2:");
    grow(&mut facts, "qdisc/eth1/1:1", "drops", 9);
    facts.qdiscs = Reading::Value(vec![tbf.clone(), fifo.clone()]);
    grow(&mut facts, "link/eth1", "rx_missed_errors", 100);
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    assert_eq!(on(&seen.findings), []);
    assert_eq!(
        on(&seen.elsewhere),
        [
            ("nic-ring-drops", "eth1 drops received packets for lack of free descriptors"),
            ("shaper-below-line-rate", "a shaper on eth1 is too slow"),
            ("plain-fifo-backlog", "packets queue behind bulk traffic in a plain FIFO on eth1"),
        ]
    );
    assert!(seen.elsewhere.iter().all(|f| f.remedy.settings.is_empty()));
    // The same on the path is a finding with its settings.
    tbf.iface = "eth0".into();
    facts.qdiscs = Reading::Value(vec![tbf]);
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    assert_eq!(seen.findings[0].rule, "shaper-below-line-rate");
    assert_eq!(seen.findings[0].remedy.settings[0].target.to_string(), "eth0/qdisc-root");
    // Without a path in focus everything is a finding.
    facts.iface = None;
    facts.path.clear();
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    assert_eq!((seen.findings.len(), seen.elsewhere.len()), (2, 0));
}

/// What the host as a whole shows is not a fault elsewhere, whatever interface is in focus.
#[test]
fn a_fault_of_the_host_is_a_finding_and_not_elsewhere() {
    let mut facts = three_ports();
    facts.cpus.power.get_mut(&0).unwrap().governor = Reading::Value("powersave".into());
    facts.host.clocksource = Reading::Value("hpet".into());
    grow(&mut facts, "softnet/cpu0", "dropped", 5);
    facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("50".into()));
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: None });
    assert_eq!(seen.findings.len(), 4, "{:?}", on(&seen.findings));
    assert_eq!(on(&seen.elsewhere), []);
}

/// Faults of a bond's slave beneath a VLAN are the path's, each by its own device; what the bond has no such thing as
/// is not missed.
#[test]
fn what_is_beneath_a_stacked_interface_is_on_the_path() {
    let mut facts = three_ports();
    for (name, kind) in [("bond0", "bond"), ("bond0.77", "vlan")] {
        let mut upper = facts.interfaces["lo"].clone();
        upper.kind = Some(kind.into());
        upper.up = true;
        facts.interfaces.insert(name.into(), upper);
        for key in ["rx_missed_errors", "rx_fifo_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors"] {
            grow(&mut facts, &format!("link/{name}"), key, 0);
        }
    }
    facts.iface = Some("bond0.77".into());
    facts.path = vec![
        link("bond0.77", Some("vlan"), None),
        link("bond0", Some("bond"), Some("bond0.77")),
        link("eth0", None, Some("bond0")),
        link("eth1", None, Some("bond0")),
    ];
    let mut coalesce = BTreeMap::from([("rx-usecs".to_owned(), 50)]);
    facts.interfaces.get_mut("eth1").unwrap().coalesce = Reading::Value(coalesce.clone());
    coalesce.insert("adaptive-rx".into(), 1);
    facts.interfaces.get_mut("eth2").unwrap().coalesce = Reading::Value(coalesce);
    grow(&mut facts, "link/eth0", "rx_missed_errors", 7);
    let seen = check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(1_000_000) });
    assert_eq!(
        on(&seen.findings),
        [
            ("nic-ring-drops", "eth0 drops received packets for lack of free descriptors"),
            ("interrupt-coalescing", "eth1 delays receive interrupts"),
        ]
    );
    assert_eq!(on(&seen.elsewhere), [("interrupt-coalescing", "eth2 delays receive interrupts")]);
    let virtual_ones: Vec<&str> =
        seen.not_seen.iter().map(|n| n.fact.as_str()).filter(|f| !f.starts_with("counter")).collect();
    assert_eq!(virtual_ones, Vec::<&str>::new());
}

#[test]
fn what_of_the_path_could_not_be_followed_is_not_seen() {
    let mut facts = healthy();
    let said = NotSeen { fact: "path beneath wg0".into(), why: "denied: needs root".into() };
    facts.path_not_seen = vec![said.clone()];
    assert_eq!(check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(1_000_000) }).not_seen, [said]);
}

/// A connection that loses segments and waits for its timer.
fn slow_socket() -> TcpSocket {
    TcpSocket {
        local: "192.0.2.1:5".into(),
        remote: "192.0.2.2:7".into(),
        state: "established".into(),
        srtt_ns: 60_000,
        rttvar_ns: 5_000,
        min_rtt_ns: 50_000,
        retransmits: 1,
        cwnd: 10,
        notsent_bytes: 1 << 20,
        congestion: "cubic".into(),
        timeouts: Some(1),
    }
}

/// What the machine itself and what each packet passes add to it.
fn of_the_hardware(facts: &mut Facts) {
    for (group, key, by) in [
        ("ksoftirqd/cpu2", "run_ns", 500_000_000),
        ("queues/eth0", "rx0.rx-packets", 90_000),
        ("pagepool/eth0", "alloc-slow", 50_000),
        ("cpu/0", "user", 5_000),
        ("cpu/1", "user", 5_000),
    ] {
        grow(facts, group, key, by);
    }
    facts.cpus.power.get_mut(&1).unwrap().cur_khz = Reading::Value(1_000_000);
    let shared = UncoreLimits { floor_khz: 800_000, ceiling_khz: 2_400_000 };
    facts.cpus.uncore = Reading::Value(BTreeMap::from([("package_00_die_00".into(), shared)]));
    facts.host.preemption = Reading::Value("voluntary".into());
    facts.host.vulnerabilities = Reading::Value(BTreeMap::from([("meltdown".into(), "Mitigation: PTI".into())]));
    facts.filters.tc = Reading::Value(vec![TcFilter { iface: "eth0".into(), kind: "bpf".into() }]);
    facts.xdp_sockets =
        Reading::Value(vec![XdpSocket { iface: "eth0".into(), queue: 0, zero_copy: Some(false), owner: None }]);
}

fn refused_partition() -> CpusetPartition {
    let invalid = Some("Cpu list in cpuset.cpus not exclusive".to_owned());
    CpusetPartition { kind: "isolated".into(), cpus: vec![2], invalid }
}

/// A host with the fault of every rule but one.
fn all_at_once() -> Facts {
    let mut facts = healthy();
    for (group, key) in [
        ("snmp", "Udp.RcvbufErrors"),
        ("snmp", "Tcp.RetransSegs"),
        ("netstat", "TcpExt.PruneCalled"),
        ("softnet/cpu1", "dropped"),
        ("softnet/cpu0", "time_squeeze"),
        ("link/eth0", "rx_missed_errors"),
        ("cpu/1", "steal"),
        ("cpuidle/cpu0/state2", "usage"),
        ("link/eth0", "rx_crc_errors"),
        ("aer/eth0", "correctable"),
        ("ethtool/eth0", "rx_flow_control_xoff"),
        ("ethtool/eth0", "pps_allowance_exceeded"),
        ("softnet/cpu0", "flow_limit"),
        ("thermal/cpu0", "core_throttle_count"),
        ("cgroup", "nr_throttled"),
        ("conntrack", "drop"),
        ("irq/TLB", "cpu3"),
        ("irq/41", "cpu3"),
        ("link/eth0", "carrier_changes"),
        ("link/eth0", "tx_timeout"),
        ("link/eth0", "tx_fifo_errors"),
        ("snmp", "Udp.MemErrors"),
        ("conntrack", "insert_failed"),
        ("cpu/2", "user"),
        ("vmstat", "numa_hint_faults"),
        ("vmstat", "compact_stall"),
        ("vmstat", "pswpin"),
        ("vmstat", "pgmajfault"),
        ("netstat", "TcpExt.TCPTimeouts"),
        ("netstat", "TcpExt.DelayedACKs"),
        ("netstat", "TcpExt.TCPAutoCorking"),
        ("netstat", "TcpExt.TCPBacklogDrop"),
        ("netstat", "TcpExt.ListenOverflows"),
        ("netstat", "TcpExt.IPReversePathFilter"),
        ("neigh/arp", "table_fulls"),
        ("vmstat", "allocstall_normal"),
        ("smi", "count"),
    ] {
        grow(&mut facts, group, key, 100);
    }
    grow(&mut facts, "pressure/cpu", "some_us", 400_000);
    of_the_hardware(&mut facts);
    facts.cpus.boost = Reading::Value(false);
    for (key, value) in [("kernel.watchdog", "1"), ("kernel.watchdog_cpumask", "0-3")] {
        facts.sysctls.insert(key.into(), Reading::Value(value.into()));
    }
    facts.cpus.isolated = Reading::Value(vec![3]);
    facts.cpus.partitions = Reading::Value([("/rt".to_owned(), refused_partition())].into());
    facts.cpus.siblings.insert(3, vec![2, 3]);
    facts.host.thp = Reading::Value("always".into());
    facts.host.thp_defrag = Reading::Value("always".into());
    // Its deadline server would stand in for the throttling of real-time tasks from 6.12 on.
    facts.host.release = Reading::Value("6.1.0-44-amd64".into());
    facts.host.ksm = Reading::Value(1);
    facts.time.irqbalance = Reading::Value(true);
    facts.time.synchronized = Reading::Value(false);
    facts.time.system_clock = Reading::Value(vec!["phc2sys".into(), "chronyd".into()]);
    let ptp4l = PtpProgram { program: "ptp4l".into(), steers: vec!["eth0".into()], ..PtpProgram::default() };
    let software = PtpProgram { software_stamps: true, ..ptp4l.clone() };
    facts.time.ptp_programs = Reading::Value(vec![ptp4l.clone(), ptp4l, software]);
    for (key, value) in
        [("kernel.numa_balancing", "1"), ("net.ipv4.tcp_sack", "0"), ("kernel.sched_rt_runtime_us", "-1")]
    {
        facts.sysctls.insert(key.into(), Reading::Value(value.into()));
    }
    facts.sockets = Reading::Value(vec![slow_socket()].into());
    let mut netem = qdisc("eth0", "netem", "root", "1:");
    netem.summary = "delay 1ms".into();
    let mut tbf = qdisc("eth0", "tbf", "2:1", "3:");
    tbf.options.insert("rate_bps".into(), 1_000_000);
    let fifo = qdisc("eth0", "pfifo", "3:1", "4:");
    grow(&mut facts, "qdisc/eth0/3:1", "drops", 1);
    facts.qdiscs = Reading::Value(vec![netem, tbf, fifo]);
    facts.filters.nft_rules = Reading::Value(BTreeMap::from([("ip f input".into(), 5_000)]));
    facts.filters.packet_sockets = Reading::Value(1);
    facts.host.clocksource = Reading::Value("acpi_pm".into());
    facts.cpus.power.get_mut(&0).unwrap().governor = Reading::Value("ondemand".into());
    let eth0 = iface(&mut facts);
    eth0.speed_mbps = Reading::Value(100);
    eth0.eee = Reading::Value(BTreeMap::from([("active".into(), true)]));
    eth0.coalesce = Reading::Value(BTreeMap::from([("rx-usecs".into(), 50)]));
    eth0.gro_flush_timeout_ns = Reading::Value(1);
    eth0.xdp = Reading::Value("generic".into());
    eth0.wireless = Reading::Value(true);
    let capabilities = ["hardware-transmit", "hardware-receive"].map(str::to_owned).to_vec();
    eth0.timestamping = Reading::Value(Timestamping { capabilities, phc: Some(0), ..Timestamping::default() });
    eth0.aspm_l1 = Reading::Value(true);
    eth0.iommu = Reading::Value("DMA".into());
    eth0.tx_queues[1].xps_cpus = Reading::Value(vec![0]);
    eth0.tx_queues[0].bql_limit = Reading::Value(1 << 20);
    eth0.rx_queues[0].rps_cpus = Reading::Value(vec![3]);
    if let Reading::Value(irqs) = &mut facts.irqs {
        for irq in irqs {
            irq.effective = Reading::Value(vec![2]);
        }
    }
    a_bad_application(&mut facts);
    facts
}

/// Every fault of an application at once.
fn a_bad_application(facts: &mut Facts) {
    let (call, nothing) = (|call: &str, timed| Reading::Value(Doing { call: call.into(), timed }), Reading::Value(0));
    grow(facts, "irq/41", "cpu2", 500);
    let thread = only_thread(facts);
    (thread.last_cpu, thread.allowed) = (2, Reading::Value(vec![0, 1, 2, 3]));
    thread.doing = vec![call("epoll_wait", true), call("running", false)];
    thread.timer_slack_ns = Reading::Value(50_000);
    let mut other = thread.clone();
    (other.tid, other.name, other.policy, other.priority) = (PID + 1, "rx".into(), "fifo".into(), 50);
    let grown = application::grown(facts);
    (grown.sleeps, grown.migrations) = (Reading::Value(500), Reading::Value(50));
    (grown.waited_ns, grown.minor_faults) = (Reading::Value(50_000_000), 5_000);
    grown.preemptions = Reading::Value(7);
    if let Some(grown) = &mut other.grown {
        grown.waited_ns = Reading::Value(50_000_000);
    }
    let app = application::of(facts);
    app.processes[0].threads.push(other);
    app.processes[0].locked_kb = nothing;
    let groups = vec!["239.1.1.1".into(), "239.1.1.2".into()];
    app.processes[0].groups = Reading::Value(BTreeMap::from([("eth0".into(), groups)]));
    app.sockets[0].queues = vec![Queues { receive: 90_000, send: 90_000 }; 2];
    app.sockets[0].tcp.as_mut().unwrap().unsent_bytes = 20_000;
    app.sockets[0].arrivals[1].napi = 8_195;
    app.sockets[1].drops_grown = Some(3);
    app.sockets[1].receive_buffer = Reading::Value(2_304);
    application::set_option(facts, 0, "TCP_NODELAY", 0);
}

/// Titles, advice and settings of every rule, each on the fault that its own test plants in much the same way.
#[test]
fn findings_follow_the_conventions() {
    let mut facts = all_at_once();
    let mut measured = baseline(Some(3));
    measured.proto = "tcp".into();
    measured.rtt.p50_ns = Some(90_000);
    measured.rtt.p99_ns = Some(41_000_000);
    let mut seen = check_all(&Input { facts: &facts, baseline: Some(&measured), goal_ns: Some(50_000) });
    // Polling in vain is the opposite fault of deferring for nobody, so it has facts of its own.
    facts.sysctls.insert("net.core.busy_read".into(), Reading::Value("50".into()));
    seen.findings.extend(check_all(&Input { facts: &facts, baseline: None, goal_ns: None }).findings);
    // A guest, and a link of a speed that may do without error correction, are others.
    facts.host.virtualization = Reading::Value("kvm".into());
    facts.cpus.idle_driver = Reading::Absent("x".into());
    facts.cpus.mwait = Reading::Value(false);
    iface(&mut facts).speed_mbps = Reading::Value(25_000);
    iface(&mut facts).fec = Reading::Value("rs".into());
    iface(&mut facts).wireless = Reading::Value(false);
    seen.findings.extend(check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(50_000) }).findings);
    // Nor does anybody steer the device's clock there.
    facts.time.ptp_programs = Reading::Value(vec![]);
    // Polling with interrupts in between is a third.
    grow(&mut facts, "netstat", "TcpExt.BusyPollRxPackets", 9);
    grow(&mut facts, "irq/40", "cpu2", 5_000);
    seen.findings.extend(check_all(&Input { facts: &facts, baseline: None, goal_ns: Some(50_000) }).findings);
    let fired: BTreeSet<&str> = seen.findings.iter().map(|f| f.rule.as_str()).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|r| r.meta().name).collect();
    assert_eq!(fired, all, "a rule that cannot be made to fire here is not tested for its words");
    for f in &seen.findings {
        for text in [&f.title, &f.remedy.advice] {
            let first = text.chars().next().unwrap();
            let acronym = text.chars().nth(1).is_some_and(char::is_uppercase);
            assert!((!first.is_uppercase() || acronym) && !text.ends_with('.'), "{}: {text:?}", f.rule);
        }
        assert!(!f.title.contains('\n') && f.title.len() < 90, "{}: {:?}", f.rule, f.title);
        assert!(!f.evidence.is_empty() && f.evidence.iter().all(|e| !e.ends_with('.')), "{}", f.rule);
        for s in &f.remedy.settings {
            assert!(!s.value.is_empty() && s.knob.contains('.'), "{}: {s:?}", f.rule);
        }
    }
}

#[test]
fn every_page_has_its_sections_with_content() {
    for rule in RULES {
        let meta = rule.meta();
        let mut sections = meta.page.split("## ").skip(1).map(|s| s.split_once('\n').unwrap());
        for wanted in ["What it finds", "Why it matters", "Threshold", "Remedy"] {
            let (title, text) = sections.next().unwrap_or_else(|| panic!("{}: no section {wanted}", meta.name));
            assert_eq!(title.trim(), wanted, "{}", meta.name);
            assert!(text.trim().len() > 30, "{}: {wanted} says too little", meta.name);
        }
        assert!(sections.next().is_none(), "{}", meta.name);
        assert!(!meta.sources.is_empty(), "{}", meta.name);
        for s in meta.sources {
            assert!(
                lowlat_model::source::has_form(s),
                "{}: {s:?} is none of {}",
                meta.name,
                lowlat_model::source::FORMS
            );
        }
    }
}

#[test]
fn names_tell_the_fault_and_not_the_remedy() {
    let mut names = BTreeSet::new();
    for rule in RULES {
        let name = rule.meta().name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        for remedy in ["use-", "enable-", "disable-", "set-", "prefer-", "avoid-", "no-", "raise-", "lower-", "fix-"] {
            assert!(!name.starts_with(remedy), "{name} names what to do, not what is wrong");
        }
        assert!(std::ptr::eq(find(name).unwrap().meta(), rule.meta()));
    }
    assert!(find("no-such-rule").is_none());
}

#[test]
fn every_file_is_a_rule_and_every_rule_is_in_the_list() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !["lib.rs", "look.rs", "tests.rs", "view.rs"].contains(&name.as_str()) {
            files.insert(name.trim_end_matches(".rs").replace('_', "-"));
        }
    }
    let listed: BTreeSet<String> = RULES.iter().map(|r| r.meta().name.to_owned()).collect();
    assert_eq!(files, listed, "a file is named as its rule, and is in RULES");
    for rule in RULES {
        let file = Path::new(rule.meta().file).file_stem().unwrap().to_str().unwrap();
        assert_eq!(file.replace('_', "-"), rule.meta().name);
    }
}

/// Every source file of these crates, one text each; tests come after the first `#[cfg(test)]` and do not count.
fn sources(crates: &[&str]) -> Vec<String> {
    fn walk(dir: &std::path::Path, all: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, all);
            } else if entry.extension().is_some_and(|e| e == "rs") && !entry.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&entry).unwrap();
                all.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned());
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    for name in crates {
        walk(&root.join(name).join("src"), &mut all);
    }
    all
}

/// Crates that do something with what was read.
const USERS: [&str; 19] = [
    "model",
    "rules",
    "knobs",
    "plan",
    "live",
    "apply",
    "tune",
    "assess",
    "report",
    "cli",
    "measure",
    "owners",
    "noise",
    "settings",
    "families",
    "transport",
    "transport-uring",
    "transport-xdp",
    "transport-dpdk",
];

/// Facts that name a thing or the moment, and decide nothing.
const NAMES: [&str; 8] =
    ["lowlat", "taken_at_unix_ns", "attachment", "pci_id", "matched_by", "idle_driver", "mtu", "cmdline"];
/// Facts that `lowlat facts` shows and no rule judges yet: this list only gets shorter.
const SHOWN_ONLY: [&str; 13] = [
    "bql_limit_max",
    "congestion",
    "cwnd",
    "napi_threaded",
    "private_flags",
    "ptp_clocks",
    "resume_latency",
    "retransmits",
    "rps_flow_cnt",
    "rttvar_ns",
    "srtt_ns",
    "tx_types",
    "usage",
];

#[test]
fn every_input_that_is_read_is_used() {
    // What reads the document of `watch` has fields of the same names that are no facts.
    let mut users = sources(&USERS);
    users.retain(|text| !text.contains("lowlat_model::watch"));
    let used = |what: &str| users.iter().any(|text| text.contains(what));
    let collect = sources(&["collect"]);
    // Settings and options of the kernel.
    let listed = |start: &str| -> Vec<String> {
        let list = collect.iter().find_map(|text| text.split_once(start)).unwrap().1.split("];").next().unwrap();
        list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let settings = listed("pub const KEYS: &[&str] = &[");
    assert!(settings.len() > 30, "{settings:?}");
    for key in settings.iter().chain(&listed("const OPTIONS: &[&str] = &[")) {
        assert!(used(&format!("\"{key}\"")), "{key} is read and used by nothing");
    }
    // Groups of counters.
    let mut groups = BTreeSet::new();
    for line in collect.iter().flat_map(|text| text.lines()) {
        for start in ["groups.insert(\"", "groups.insert(format!(\"", "put_table(groups, \""] {
            if let Some((_, rest)) = line.split_once(start) {
                groups.insert(rest.split(['/', '"', '{']).next().unwrap().to_owned());
            }
        }
    }
    assert!(groups.len() > 10, "{groups:?}");
    for group in &groups {
        assert!(used(&format!("\"{group}")), "the counters {group} are read and used by nothing");
    }
    // Fields of the facts.
    let model = sources(&["model"]);
    let facts =
        model.iter().filter(|text| text.contains("pub struct Facts {") || text.contains("pub struct Application {"));
    let fields: Vec<&str> = facts
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':').map(|(name, _)| name))
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .collect();
    assert!(fields.len() > 80, "{fields:?}");
    let mut wrong = Vec::new();
    for name in NAMES.iter().chain(&SHOWN_ONLY).filter(|name| !fields.contains(name)) {
        wrong.push(format!("{name} is not a fact: take it out of the list"));
    }
    for name in fields {
        let reads = used(&format!(".{name}"));
        if !reads && !NAMES.contains(&name) && !SHOWN_ONLY.contains(&name) {
            wrong.push(format!("the fact {name} is read and used by nothing"));
        }
        if reads && SHOWN_ONLY.contains(&name) {
            wrong.push(format!("{name} is used: take it out of the list"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
