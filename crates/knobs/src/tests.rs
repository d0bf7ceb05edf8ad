//! What holds for every knob.

use std::collections::{BTreeMap, BTreeSet};

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::{Op, Reading, State};
use lowlat_settings::Part;
use lowlat_settings::resets::TABLE;
use lowlat_sys::{NetQuery, Sys};

use crate::{KNOBS, Standing, find};

/// A host of files.
struct Files(BTreeMap<String, String>);

impl Sys for Files {
    fn read(&self, path: &str) -> Reading<String> {
        self.0.get(path).cloned().map_or_else(|| Reading::Absent(path.to_owned()), Reading::Value)
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        Reading::Absent(path.to_owned())
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        Reading::Absent(path.to_owned())
    }
    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        Reading::Absent(query.name())
    }
    fn now_ns(&self) -> u64 {
        0
    }
    fn wait(&self, _: u64) {}
}

fn sections(page: &str) -> BTreeMap<String, String> {
    let parts = page.split("## ").skip(1).filter_map(|s| s.split_once('\n'));
    parts.map(|(title, text)| (title.trim().to_owned(), text.trim().to_owned())).collect()
}

#[test]
fn every_page_says_all_four_things() {
    for knob in KNOBS {
        let m = &knob.meta;
        let have = sections(m.page);
        for title in ["What it does", "Why it matters", "Cost", "Example"] {
            let text = have.get(title).unwrap_or_else(|| panic!("{}: no section {title}", m.name));
            assert!(text.len() > 9, "{}: {title} says nothing: {text:?}", m.name);
        }
        assert!(!m.sources.is_empty(), "{}: no source", m.name);
        for s in m.sources {
            assert!(lowlat_model::source::has_form(s), "{}: {s:?} is none of {}", m.name, lowlat_model::source::FORMS);
        }
    }
}

#[test]
fn every_file_is_registered_and_every_entry_has_its_file() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeSet::new();
    for family in std::fs::read_dir(&src).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        for file in std::fs::read_dir(family).unwrap().map(|e| e.unwrap().path()) {
            if !file.ends_with("mod.rs") {
                files.insert(file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let listed: BTreeSet<String> =
        KNOBS.iter().map(|k| k.meta.file.rsplit_once("src/").map_or(k.meta.file, |(_, f)| f).to_owned()).collect();
    assert_eq!(files, listed);
    assert_eq!(listed.len(), KNOBS.len(), "two entries in one file");
    let names: BTreeSet<&str> = KNOBS.iter().map(|k| k.meta.name).collect();
    assert_eq!(names.len(), KNOBS.len(), "a name twice");
}

#[test]
fn what_a_knob_needs_is_another_knob_that_acts() {
    for knob in KNOBS {
        let m = &knob.meta;
        for needed in m.needs {
            let other = &find(needed).unwrap_or_else(|| panic!("{} needs {needed}, which is not a knob", m.name)).meta;
            assert!(other.name != m.name && other.standing == Standing::Acts, "{} needs {needed}", m.name);
        }
    }
}

#[test]
fn a_knob_that_a_driver_sets_has_its_part() {
    let part = |name: &str| find(name).unwrap().place.part();
    assert_eq!(part("nic.coalesce.rx-usecs"), Some(Part::Coalesce));
    assert_eq!(part("nic.gro-flush-timeout"), None);
    for row in TABLE {
        assert!(KNOBS.iter().any(|k| k.place.part() == Some(row.part)), "{:?} has no knob", row.part);
    }
}

/// A kind that states none would be tried last, behind everything that it could make quiet.
#[test]
fn every_live_setting_has_its_place_in_a_plan() {
    let acts = || KNOBS.iter().filter(|k| k.meta.standing == Standing::Acts);
    for knob in acts() {
        let name = knob.meta.name;
        let is_live = !name.starts_with("boot.") && !name.starts_with("route.");
        assert_eq!(knob.place.order() != Order::Last, is_live, "{name}");
    }
    // A driver sets the settings of one part alike, so they have one place.
    for row in TABLE.iter().filter(|row| row.part != Part::Feature) {
        let orders: Vec<Order> = acts().filter(|k| k.place.part() == Some(row.part)).map(|k| k.place.order()).collect();
        assert!(orders.windows(2).all(|two| two[0] == two[1]), "{:?}: {orders:?}", row.part);
    }
    // Four kinds distinguish their settings by name.
    let order = |name: &str| find(name).unwrap().place.order();
    for (name, wanted) in [
        ("nic.bql-limit-max", Order::Queues),
        ("steer.xps", Order::Placement),
        ("nic.feature.ntuple", Order::Placement),
        ("nic.feature.gro", Order::Interrupts),
        ("pcie.aspm-policy", Order::Power),
        ("memory.thp", Order::Memory),
        ("sysctl.net.core.netdev_budget", Order::Queues),
        ("sysctl.net.ipv4.tcp_rmem", Order::Queues),
        ("sysctl.kernel.numa_balancing", Order::Placement),
        ("sysctl.net.core.busy_read", Order::Kernel),
    ] {
        assert_eq!(order(name), wanted, "{name}");
    }
}

/// `` `A -> B` writes `PATH = VALUE` `` is run both ways.
#[test]
fn documented_examples_do_what_they_say() {
    let mut ran = BTreeSet::new();
    for knob in KNOBS {
        let m = &knob.meta;
        let example = sections(m.page)["Example"].split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((change, write)) = example.split_once(" writes ") else { continue };
        let Some((path, text)) = write.trim_matches('`').split_once(" = ") else { continue };
        ran.insert(m.name);
        let (from, to) = change.trim_matches('`').split_once(" -> ").unwrap();
        let path = path
            .replace("/IF/", "/eth0/")
            .replace("rx-N", "rx-0")
            .replace("tx-N", "tx-0")
            .replace("cpuN", "cpu0")
            .replace("stateM", "state2")
            .replace("nodeN", "node0");
        let target: Target = ["rx-0", "tx-0"]
            .iter()
            .find(|q| path.contains(*q))
            .map(|q| format!("eth0/{q}"))
            .or_else(|| path.contains("/eth0/").then(|| "eth0".to_owned()))
            .or_else(|| path.contains("/state2/").then(|| "cpu0/idle-2".to_owned()))
            .or_else(|| path.contains("/cpu0/").then(|| "cpu0".to_owned()))
            .or_else(|| path.contains("/node0/").then(|| "node0".to_owned()))
            .unwrap_or_else(|| "host".to_owned())
            .parse()
            .unwrap();
        let ops = |value: &str| {
            knob.ops(&Files(BTreeMap::new()), &target, value).unwrap_or_else(|e| panic!("{}: {e}", m.name))
        };
        let [Op { locus, set: State::Text(there) }] = <[Op; 1]>::try_from(ops(to)).unwrap() else {
            panic!("{}: not one text", m.name)
        };
        assert_eq!(locus, lowlat_model::Locus::File { path: path.clone() }, "{}", m.name);
        assert_eq!(there.replace('\t', " "), text, "{}", m.name);
        for value in [to, from] {
            let [Op { set: State::Text(written), .. }] = <[Op; 1]>::try_from(ops(value)).unwrap() else {
                panic!("{}", m.name)
            };
            let host = Files(BTreeMap::from([(path.clone(), format!("{written}\n"))]));
            // RPS 1 in the example is a CPU list; what is read is the list again.
            assert_eq!(knob.read(&host, &target), Reading::Value(value.to_owned()), "{}", m.name);
        }
    }
    // Each knob that acts on one file states what it writes there.
    for (name, _) in KNOBS.iter().map(|k| (k.meta.name, k.meta.standing)).filter(|(_, s)| *s == Standing::Acts) {
        let on_a_file = ["sysctl.", "steer.", "memory.", "cpu.", "pcie.", "nic.gro-", "nic.napi-", "nic.bql-"];
        let held = name == "cpu.dma-latency";
        assert_eq!(ran.contains(name), !held && on_a_file.iter().any(|p| name.starts_with(p)), "{name}");
    }
}

#[test]
fn only_what_acts_is_ever_written() {
    let host = Files(BTreeMap::new());
    for knob in KNOBS {
        let m = &knob.meta;
        let example = sections(m.page)["Example"].split_whitespace().collect::<Vec<_>>().join(" ");
        // `A -> B`
        let to = example.split('`').nth(1).and_then(|change| Some(change.split_once(" -> ")?.1.to_owned()));
        let values: Vec<&str> = to.iter().map(String::as_str).chain(["1", "on", "2-3", "none", "5000"]).collect();
        let targets = || Target::EXAMPLES.iter().map(|t| t.parse::<Target>().unwrap());
        let given = targets().any(|t| values.iter().any(|v| knob.ops(&host, &t, v).is_ok()));
        // Which features and instances a device has can only be asked of a device.
        let needs_device = targets().any(|t| knob.place.loci(&host, &t).is_err());
        assert!(!needs_device || m.name.starts_with("nic."), "{}", m.name);
        assert!(if m.standing == Standing::Acts { given || needs_device } else { !given }, "{}", m.name);
    }
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let host = Files(BTreeMap::new());
    for (knob, target, value) in [
        ("sysctl.net.core.busy_read", "host", "-1"),
        ("sysctl.net.core.busy_read", "host", "fifty"),
        ("sysctl.net.core.busy_read", "eth0", "50"),
        ("sysctl.net.ipv4.tcp_rmem", "host", "4096 1 2"),
        ("qdisc.kind", "eth0/qdisc-root", "htb"),
        ("qdisc.kind", "eth0/qdisc-root", "fq limit 8"),
        ("qdisc.kind", "eth0/qdisc-root", "pfifo limit 0"),
        ("steer.rps", "eth0/rx-0", "0-"),
        ("boot.isolcpus", "host", "0-3"),
        ("boot.idle", "host", "poll\" rm"),
        ("boot.processor.max_cstate", "host", "10"),
        ("memory.thp", "host", "sometimes"),
        ("pcie.aspm-policy", "eth0", "performance"),
        ("cpu.governor", "cpu0", "a b"),
        ("cpu.dma-latency", "host", "-5"),
    ] {
        let why = find(knob).unwrap().ops(&host, &target.parse().unwrap(), value).unwrap_err();
        assert!(why.len() > 10, "{knob}: {why:?}");
    }
}

#[test]
fn a_fifo_takes_a_limit() {
    let ops =
        find("qdisc.kind").unwrap().ops(&Files(BTreeMap::new()), &"eth0/qdisc-root".parse().unwrap(), "pfifo limit 8");
    let State::Qdisc(q) = ops.unwrap().remove(0).set else { panic!("no discipline") };
    let want = if cfg!(target_endian = "little") { "08000000" } else { "00000008" };
    assert_eq!((q.kind.as_str(), q.options_hex.as_str()), ("pfifo", want));
}

#[test]
fn the_names_that_people_use_lead_to_the_entry() {
    let mut said = BTreeSet::new();
    for knob in KNOBS {
        for also in knob.meta.also {
            assert!(said.insert(also.to_lowercase()), "{also} twice");
            for asked in [also.to_ascii_lowercase(), also.to_ascii_uppercase()] {
                assert_eq!(crate::find_known(&asked).map(|k| k.meta.name), Some(knob.meta.name), "{asked}");
            }
        }
    }
    // The last part of a name that is one knob's alone.
    assert_eq!(crate::find_known("tcp_rmem").map(|k| k.meta.name), Some("sysctl.net.ipv4.tcp_rmem"));
    // What tuning lists tell people to set, by the words they use.
    for asked in [
        "tcp_low_latency tcp_fastopen tcp_timestamps tcp_sack tcp_window_scaling tcp_delack_min tcp_autocorking tcp_rmem",
        "tcp_wmem rmem_max wmem_max rmem_default wmem_default netdev_max_backlog netdev_budget netdev_budget_usecs",
        "sched_rt_runtime_us gro lro tso gso ntuple rx-timestamping adaptive-rx adaptive-tx rx-usecs tx-usecs combined",
        "rx_striding_rq rx_cqe_compress ADVANCED_PCI_SETTINGS smp_affinity isolcpus nohz_full rcu_nocbs governor",
        "scaling_max_freq irqbalance intel_idle.max_cstate processor.max_cstate PREEMPT_RT chrt hugepages hugetlbfs",
        "vfio-pci XDP SQPOLL IOPOLL SEND_ZC RECV_ZC SO_BUSY_POLL O_NONBLOCK MSG_DONTWAIT SO_ZEROCOPY MSG_ZEROCOPY",
        "SO_TIMESTAMPING ptp4l phc2sys numactl taskset EPP SMT THP KSM timer_migration RPS RFS aRFS XPS quickack rto_min",
    ]
    .iter()
    .flat_map(|line| line.split(' '))
    {
        assert!(find(asked).or_else(|| crate::find_known(asked)).is_some(), "{asked} has no entry");
    }
    assert!(crate::find_known("no such thing").is_none());
    // The last part of two names is no one's alone, unless one of them claims it.
    assert!(crate::find_known("max_cstate").is_none());
}

#[test]
fn the_page_of_a_sysctl_states_the_defaults_of_the_table() {
    for default in lowlat_model::defaults::DEFAULTS {
        let Some(knob) = find(&format!("sysctl.{}", default.key)) else { continue };
        for number in default.value.split_whitespace() {
            let mib = number.parse::<u64>().map(|n| format!("{} MiB", n >> 20)).unwrap();
            let stated = knob.meta.page.contains(number) || knob.meta.page.contains(&mib);
            assert!(stated, "{} does not state {number}", knob.meta.name);
        }
    }
}

#[test]
fn cpus_of_one_frequency_policy_are_set_by_one_write() {
    let cpu = |n: u32, file: &str| format!("/sys/devices/system/cpu/cpu{n}/cpufreq/{file}");
    let mut files = BTreeMap::new();
    for n in 0..4 {
        files.insert(cpu(n, "scaling_governor"), "ondemand\n".to_owned());
        files.insert(cpu(n, "affected_cpus"), "0 1 2 3\n".to_owned());
    }
    files.insert(cpu(5, "scaling_governor"), "ondemand\n".to_owned());
    let governor = find("cpu.governor").unwrap();
    let at = |n: u32| governor.ops(&Files(files.clone()), &Target::Cpu(n), "performance").unwrap();
    assert_eq!(at(3), [Op::file(cpu(0, "scaling_governor"), "performance")]);
    assert_eq!(at(5), [Op::file(cpu(5, "scaling_governor"), "performance")], "a policy that reports no CPUs");
}
