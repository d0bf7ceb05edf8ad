//! A healthy host as facts, and short ways to plant a fault in it.

use std::collections::BTreeMap;

use lowlat_model::counters::CounterGroup;
use lowlat_model::facts::{
    CpuPower, Cpus, Facts, FairServer, Feature, Filters, Host, IdleState, Interface, Irq, Limit, PcieLink, Qdisc,
    Route, Rss, RxQueue, TimeSync, Timestamping, TxQueue, UncoreLimits,
};
use lowlat_model::{Counters, OsRelease, Reading, Schema, Window};

use Reading::Value;

/// The interface in focus of [`healthy`].
pub const IFACE: &str = "eth0";

/// Length of [`healthy`]'s counter window, ns.
pub const WINDOW_NS: u64 = 1_000_000_000;

/// A server on metal with four CPUs on two NUMA nodes (0, 1 and 2, 3) and one 10 Gbit/s port on node 0, tuned as its
/// owner would wish: no rule fires on it, and none lacks a fact. Its counter window is one second long; traffic ran in
/// it and nothing was lost.
pub fn healthy() -> Facts {
    let before = counters(0, 0);
    let after = counters(WINDOW_NS, 1);
    Facts {
        path: vec![lowlat_model::PathLink {
            name: "eth0".into(),
            role: lowlat_model::PathRole::Route,
            kind: None,
            above: None,
        }],
        target: Some("192.0.2.2".into()),
        path_not_seen: vec![],
        login_ifaces: vec![],
        schema: Schema::current("facts"),
        lowlat: "0.0.0".into(),
        taken_at_unix_ns: 0,
        iface: Some(IFACE.into()),
        host: host(),
        cpus: cpus(),
        interfaces: BTreeMap::from([("lo".into(), loopback()), (IFACE.into(), interface())]),
        irqs: Value((0..2).map(irq).collect()),
        irq_actions: Value((0..2).map(|n| (40 + n, format!("{IFACE}-TxRx-{n}"))).collect()),
        sysctls: sysctls(),
        qdiscs: Value(vec![qdisc(IFACE, "fq_codel", "root", "8001:")]),
        filters: Filters {
            nft_rules: Value(BTreeMap::new()),
            iptables_tables: Value(vec![]),
            conntrack_count: Value(12),
            conntrack_max: Value(262_144),
            packet_sockets: Value(0),
            tc: Value(vec![]),
            tcx: Value(BTreeMap::new()),
            programs: Value(vec![]),
        },
        xdp_sockets: Value(vec![]),
        sockets: Value(Vec::new().into()),
        routes: Value(vec![route("0.0.0.0/0", Some("192.0.2.254")), route("192.0.2.0/24", None)]),
        time: TimeSync {
            ptp_clocks: Value(BTreeMap::from([("ptp0".into(), "0000:3b:00.0".into())])),
            synchronized: Value(true),
            estimated_error_ns: Value(1_000),
            daemons: Value(vec!["chronyd".into()]),
            system_clock: Value(vec!["chronyd".into()]),
            irqbalance: Value(false),
            ptp_programs: Value(vec![]),
        },
        counters: after.clone(),
        window: Some(Window { before, after }),
        application: Some(crate::application::quiet()),
    }
}

fn route(prefix: &str, gateway: Option<&str>) -> Route {
    Route { prefix: prefix.into(), iface: IFACE.into(), gateway: gateway.map(str::to_owned), metrics: BTreeMap::new() }
}

fn host() -> Host {
    Host {
        release: Value("6.12.43-amd64".into()),
        version: Value("#1 SMP PREEMPT_DYNAMIC".into()),
        machine: Value("x86_64".into()),
        config: Value(BTreeMap::from([("CONFIG_HZ".into(), "250".into())])),
        cmdline: Value("quiet".into()),
        realtime: Value(false),
        virtualization: Value("metal".into()),
        clocksource: Value("tsc".into()),
        netns: Value("net:[4026531840]".into()),
        hugepages: Value(BTreeMap::new()),
        boot_id: Value("00000000-0000-4000-8000-000000000000".into()),
        thp: Value("madvise".into()),
        thp_defrag: Value("madvise".into()),
        ksm: Value(0),
        aspm_policy: Value("performance".into()),
        vulnerabilities: Value(BTreeMap::from([("meltdown".into(), "Not affected".into())])),
        preemption: Value("full".into()),
        distribution: Value(OsRelease { id: "debian".into(), version: "13".into(), like: vec![] }),
    }
}

fn cpus() -> Cpus {
    Cpus {
        online: Value(vec![0, 1, 2, 3]),
        model: Value("Example CPU".into()),
        isolated: Value(vec![]),
        partitions: Value(BTreeMap::new()),
        nohz_full: Value(vec![]),
        smt: Value("off".into()),
        siblings: (0..4).map(|c| (c, vec![c])).collect(),
        node_of: (0..4).map(|c| (c, c / 2)).collect(),
        power: (0..4).map(|c| (c, power())).collect(),
        idle_driver: Value("intel_idle".into()),
        dma_latency_us: Value(2_000_000_000),
        boost: Value(true),
        workqueue: Value(vec![0, 1, 2, 3]),
        uncore: Value(BTreeMap::from([(
            "package_00_die_00".into(),
            UncoreLimits { floor_khz: 2_400_000, ceiling_khz: 2_400_000 },
        )])),
        halt_poll_ns: Reading::Absent("not a guest".into()),
        mwait: Value(true),
        fair_server: Value(
            (0..4).map(|c| (c, FairServer { runtime_ns: 50_000_000, period_ns: 1_000_000_000 })).collect(),
        ),
    }
}

fn power() -> CpuPower {
    CpuPower {
        governor: Value("performance".into()),
        epp: Value("performance".into()),
        cur_khz: Value(3_000_000),
        min_khz: Value(3_000_000),
        max_khz: Value(3_000_000),
        hardware_max_khz: Value(3_000_000),
        idle_states: Value(vec![
            IdleState { name: "POLL".into(), latency_us: 0, disabled: false, usage: 10 },
            IdleState { name: "C1".into(), latency_us: 2, disabled: false, usage: 20 },
            IdleState { name: "C6".into(), latency_us: 133, disabled: false, usage: 30 },
        ]),
        resume_latency: Value("0".into()),
    }
}

fn interface() -> Interface {
    let on = Feature { active: true, changeable: true };
    Interface {
        index: 2,
        operstate: Value("up".into()),
        up: true,
        mtu: 1500,
        kind: None,
        mac: Value("02:00:00:00:00:01".into()),
        addresses: vec!["192.0.2.1/24".into()],
        default_route: true,
        lower: Value(vec![]),
        driver: Value("ixgbe".into()),
        driver_version: Value("6.12.43-amd64".into()),
        firmware: Value("0x800003df".into()),
        bus: Value("0000:3b:00.0".into()),
        attachment: Value("pci".into()),
        wireless: Value(false),
        pci_id: Value("8086:10fb".into()),
        numa_node: Value(0),
        speed_mbps: Value(10_000),
        duplex: Value("full".into()),
        max_speed_mbps: Value(10_000),
        peer_max_speed_mbps: Reading::Unsupported("ixgbe does not report it".into()),
        features: Value(BTreeMap::from([("rx-gro".into(), on.clone()), ("tx-tcp-segmentation".into(), on)])),
        coalesce: Value(BTreeMap::from([("adaptive-rx".into(), 0), ("rx-usecs".into(), 0), ("tx-usecs".into(), 0)])),
        rings: Value(BTreeMap::from([
            ("rx".into(), Limit { current: 512, max: 4096 }),
            ("tx".into(), Limit { current: 512, max: 4096 }),
        ])),
        channels: Value(BTreeMap::from([("combined".into(), Limit { current: 2, max: 4 })])),
        pause: Value(BTreeMap::from([("autoneg".into(), false), ("rx".into(), false), ("tx".into(), false)])),
        eee: Value(BTreeMap::from([("enabled".into(), false), ("active".into(), false)])),
        private_flags: Value(BTreeMap::new()),
        timestamping: Value(Timestamping::default()),
        rx_queues: vec![rx_queue(), rx_queue()],
        tx_queues: vec![tx_queue(), tx_queue()],
        xdp: Value("none".into()),
        xdp_features: Value(vec!["basic".into(), "redirect".into()]),
        gro_flush_timeout_ns: Value(0),
        napi_defer_hard_irqs: Value(0),
        napi_threaded: Value(false),
        pcie: Value(PcieLink { speed_gts: 5.0, max_speed_gts: 5.0, width: 8, max_width: 8 }),
        aspm_l1: Value(false),
        iommu: Value("identity".into()),
        fec: Value("off".into()),
        power_save: Reading::Unsupported("no Wi-Fi link".into()),
        rss: Value(Rss { table: BTreeMap::from([(0, 64), (1, 64)]), hash_key: "6d5a".into(), hash: "toeplitz".into() }),
        flow_rules: Value(0),
        multicast_groups: Value(vec![]),
    }
}

fn loopback() -> Interface {
    let no = || "lo has no such thing".to_owned();
    Interface {
        index: 1,
        mtu: 65_536,
        operstate: Value("unknown".into()),
        mac: Value("00:00:00:00:00:00".into()),
        addresses: vec!["127.0.0.1/8".into()],
        default_route: false,
        driver: Reading::Unsupported(no()),
        driver_version: Reading::Unsupported(no()),
        firmware: Reading::Unsupported(no()),
        bus: Reading::Absent(no()),
        attachment: Reading::Absent(no()),
        pci_id: Reading::Absent(no()),
        numa_node: Reading::Absent(no()),
        speed_mbps: Reading::Unsupported(no()),
        duplex: Reading::Unsupported(no()),
        max_speed_mbps: Reading::Unsupported(no()),
        peer_max_speed_mbps: Reading::Unsupported(no()),
        coalesce: Reading::Unsupported(no()),
        rings: Reading::Unsupported(no()),
        channels: Reading::Unsupported(no()),
        pause: Reading::Unsupported(no()),
        eee: Reading::Unsupported(no()),
        pcie: Reading::Absent(no()),
        aspm_l1: Reading::Absent(no()),
        iommu: Reading::Absent(no()),
        fec: Reading::Unsupported(no()),
        rss: Reading::Unsupported(no()),
        flow_rules: Reading::Unsupported(no()),
        rx_queues: vec![rx_queue()],
        tx_queues: vec![tx_queue()],
        ..interface()
    }
}

fn rx_queue() -> RxQueue {
    RxQueue { rps_cpus: Value(vec![]), rps_flow_cnt: Value(0) }
}

fn tx_queue() -> TxQueue {
    TxQueue { xps_cpus: Value(vec![]), bql_limit: Value(3_000), bql_limit_max: Value(1_879_048_192) }
}

fn irq(n: u32) -> Irq {
    Irq {
        irq: 40 + n,
        iface: IFACE.into(),
        index: n,
        action: format!("{IFACE}-TxRx-{n}"),
        affinity: Value(vec![n]),
        effective: Value(vec![n]),
        matched_by: "msi_irqs".into(),
    }
}

/// A queue discipline that dropped and queued nothing.
pub fn qdisc(iface: &str, kind: &str, parent: &str, handle: &str) -> Qdisc {
    Qdisc {
        iface: iface.into(),
        kind: kind.into(),
        parent: parent.into(),
        handle: handle.into(),
        summary: String::new(),
        options: BTreeMap::new(),
        backlog_bytes: 0,
        qlen: 0,
        drops: 0,
        overlimits: 0,
    }
}

fn sysctls() -> BTreeMap<String, Reading<String>> {
    // The defaults of a 6.12 kernel on x86-64 (net/core/sock.c, net/ipv4/tcp.c, net/core/dev.c).
    [
        ("net.core.rmem_default", "212992"),
        ("net.core.rmem_max", "212992"),
        ("net.core.wmem_default", "212992"),
        ("net.core.wmem_max", "212992"),
        ("net.core.netdev_max_backlog", "1000"),
        ("net.core.netdev_budget", "300"),
        ("net.core.netdev_budget_usecs", "8000"),
        ("net.core.busy_poll", "0"),
        ("net.core.busy_read", "0"),
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.tcp_autocorking", "1"),
        ("net.ipv4.tcp_notsent_lowat", "4294967295"),
        ("net.ipv4.tcp_rto_min_us", "200000"),
        ("kernel.numa_balancing", "0"),
        ("kernel.sched_rt_runtime_us", "950000"),
        ("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
        ("net.ipv4.tcp_wmem", "4096\t16384\t4194304"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), Value(v.to_owned())))
    .collect()
}

fn counters(at_ns: u64, n: u64) -> Counters {
    let mut groups = BTreeMap::new();
    let mut put = |group: String, keys: &[(&str, u64)]| {
        groups.insert(group, Value(keys.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()));
    };
    each_cpu(n, &mut put);
    put(
        "snmp".into(),
        &[
            ("Udp.InDatagrams", 100 + n),
            ("Udp.RcvbufErrors", 0),
            ("Udp.SndbufErrors", 0),
            ("Udp.MemErrors", 0),
            ("Tcp.OutSegs", 10_000 * (n + 1)),
            ("Tcp.RetransSegs", 0),
        ],
    );
    put(
        "netstat".into(),
        &[
            ("TcpExt.TCPRcvQDrop", 0),
            ("TcpExt.PruneCalled", 0),
            ("TcpExt.RcvPruned", 0),
            ("TcpExt.OfoPruned", 0),
            ("TcpExt.TCPBacklogDrop", 0),
            ("TcpExt.BusyPollRxPackets", 0),
            ("TcpExt.TCPAutoCorking", 0),
            ("TcpExt.TCPTimeouts", 0),
            ("TcpExt.DelayedACKs", 5),
            ("TcpExt.ListenOverflows", 0),
        ],
    );
    put(
        format!("link/{IFACE}"),
        &[
            ("rx_packets", 1_000 * (n + 1)),
            ("rx_dropped", 0),
            ("rx_missed_errors", 0),
            ("rx_fifo_errors", 0),
            ("rx_crc_errors", 0),
            ("rx_frame_errors", 0),
            ("carrier_changes", 2),
            ("tx_timeout", 0),
        ],
    );
    put(format!("ethtool/{IFACE}"), &[("rx_missed_errors", 0), ("rx_no_buffer_count", 0), ("rx_no_dma_resources", 0)]);
    put(
        format!("qdisc/{IFACE}/root"),
        &[("packets", 1_000 * (n + 1)), ("drops", 0), ("overlimits", 0), ("requeues", 0), ("backlog", 0), ("qlen", 0)],
    );
    for line in 0..2 {
        let on = |cpu: u64| if cpu == line { 100 + n } else { 0 };
        put(format!("irq/{}", 40 + line), &[("cpu0", on(0)), ("cpu1", on(1)), ("cpu2", 0), ("cpu3", 0)]);
    }
    for (name, by) in [("LOC", 250), ("CAL", 1), ("TLB", 0), ("RES", 1)] {
        put(format!("irq/{name}"), &["cpu0", "cpu1", "cpu2", "cpu3"].map(|cpu| (cpu, 1_000 + by * n)));
    }
    for cpu in 0..4 {
        put(format!("thermal/cpu{cpu}"), &[("core_throttle_count", 0), ("package_throttle_count", 0)]);
    }
    for cpu in 0..4 {
        put(format!("ksoftirqd/cpu{cpu}"), &[("run_ns", 1_000)]);
    }
    put("smi".into(), &[("count", 3)]);
    put("cgroup".into(), &[("nr_periods", 0), ("nr_throttled", 0), ("throttled_usec", 0)]);
    put("cgroup/above1".into(), &[]);
    put("conntrack".into(), &[("drop", 0), ("early_drop", 0), ("insert_failed", 0)]);
    put(format!("aer/{IFACE}"), &[("correctable", 0), ("nonfatal", 0), ("fatal", 0)]);
    put(
        "vmstat".into(),
        &[
            ("pgmajfault", 7),
            ("numa_hint_faults", 0),
            ("pswpin", 0),
            ("pswpout", 0),
            ("compact_stall", 0),
            ("thp_collapse_alloc", 0),
        ],
    );
    Counters { at_ns, groups }
}

/// What the kernel counts on each processor.
fn each_cpu(n: u64, put: &mut impl FnMut(String, &[(&str, u64)])) {
    for cpu in 0..4 {
        put(
            format!("softnet/cpu{cpu}"),
            &[
                ("processed", 5_000 + 1_000 * n),
                ("dropped", 0),
                ("time_squeeze", 0),
                ("received_rps", 0),
                ("flow_limit", 0),
            ],
        );
        put(
            format!("cpu/{cpu}"),
            &[
                ("user", 100 + 10 * n),
                ("nice", 0),
                ("system", 50 + 5 * n),
                ("idle", 1_000 + 84 * n),
                ("iowait", 0),
                ("irq", 0),
                ("softirq", n),
                ("steal", 0),
            ],
        );
        for (state, usage) in [(0, 10), (1, 20 + n), (2, 30)] {
            put(format!("cpuidle/cpu{cpu}/state{state}"), &[("usage", usage), ("time_us", 1_000)]);
        }
        put(format!("softirq/cpu{cpu}"), &[("NET_RX", 5_000 + 1_000 * n), ("NET_TX", 10)]);
    }
}

/// Makes a counter grow by `by` within the window; the group and the key may be new.
pub fn grow(facts: &mut Facts, group: &str, key: &str, by: u64) {
    let Some(window) = facts.window.as_mut() else { return };
    let set = |counters: &mut Counters, add: u64| {
        let slot = counters.groups.entry(group.to_owned()).or_insert_with(|| Value(CounterGroup::default()));
        if let Value(map) = slot {
            let base = map.get(key).copied().unwrap_or(0);
            map.insert(key.to_owned(), base + add);
        }
    };
    set(&mut window.before, 0);
    set(&mut window.after, by);
    facts.counters = window.after.clone();
}

/// Makes a counter group unreadable in both readings.
pub fn deny_group(facts: &mut Facts, group: &str) {
    let denied = || Reading::Denied(format!("reading {group} needs root"));
    if let Some(window) = facts.window.as_mut() {
        window.before.groups.insert(group.to_owned(), denied());
        window.after.groups.insert(group.to_owned(), denied());
    }
    facts.counters.groups.insert(group.to_owned(), denied());
}

/// The interface in focus, to plant a fault in.
///
/// # Panics
/// If `facts` has no [`IFACE`], which is a fault of the test.
pub fn iface(facts: &mut Facts) -> &mut Interface {
    match facts.interfaces.get_mut(IFACE) {
        Some(i) => i,
        None => panic!("the facts have no {IFACE}"),
    }
}
