//! Guests for the suites that need a real driver: the built program runs in them, its answers come out as files.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each suite is a crate of its own and uses a part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lowlat_lab::vm::topology::{E1000E_PAIR, HostNetwork, IGB_PAIR, VIRTIO_MQ};
use lowlat_lab::vm::{Guest, GuestOutcome, KernelChoice, Lab, VmTopology, in_guest, quoted};

/// Two netdevsim devices with four queues each. Nothing is sent, so nothing joins them.
pub static NETDEVSIM: VmTopology = VmTopology {
    name: "netdevsim",
    summary: "two netdevsim devices",
    cpus: 2,
    machine: &[],
    cmdline: "",
    modules: &["netdevsim"],
    setup: "\
echo '1 1 4' > /sys/bus/netdevsim/new_device
echo '2 1 4' > /sys/bus/netdevsim/new_device
ip addr add 10.77.0.1/24 dev eth0
ip link set eth0 up
ip link set eth1 up
",
    min_qemu: 7,
    host_network: HostNetwork::None,
};

/// Two vmxnet3 linked in QEMU: coalescing only as modes, channels shown and not set.
pub static VMXNET3: VmTopology = VmTopology {
    name: "vmxnet3-pair",
    summary: "two vmxnet3 back to back",
    machine: &[
        "-netdev",
        "hubport,id=a0,hubid=0",
        "-device",
        "vmxnet3,netdev=a0,mac=52:54:00:00:00:01,romfile=",
        "-netdev",
        "hubport,id=a1,hubid=0",
        "-device",
        "vmxnet3,netdev=a1,mac=52:54:00:00:00:02,romfile=",
    ],
    cpus: 2,
    cmdline: "",
    modules: &["vmxnet3"],
    setup: E1000E_PAIR.setup,
    min_qemu: 7,
    host_network: HostNetwork::None,
};

/// Every driver of the lab, by its name.
pub static DRIVERS: [(&str, &VmTopology); 5] = [
    ("e1000e", &E1000E_PAIR),
    ("igb", &IGB_PAIR),
    ("virtio", &VIRTIO_MQ),
    ("vmxnet3", &VMXNET3),
    ("netdevsim", &NETDEVSIM),
];

/// A folder that a guest fills; it goes with the value.
#[derive(Debug)]
pub struct Results(PathBuf);

impl Results {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("lowlat-vm-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the guest wrote under this name.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// What a command left under this name: its exit code, standard output and standard error.
    #[track_caller]
    pub fn ran(&self, name: &str) -> Ran {
        Ran {
            name: name.to_owned(),
            code: self.text(&format!("{name}.code")).trim().parse().unwrap(),
            out: self.text(&format!("{name}.out")),
            err: self.text(&format!("{name}.err")),
        }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        if std::env::var_os("LOWLAT_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// What a command in the guest answered.
#[derive(Debug)]
pub struct Ran {
    pub name: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// A refusal: exit 2, one line, which holds all of `named`.
    #[track_caller]
    pub fn refuses(&self, named: &[&str]) -> &Self {
        self.exits(2);
        assert!(self.out.is_empty() && self.err.trim_end().lines().count() == 1, "{self:#?}");
        for part in named {
            assert!(self.err.contains(part), "no {part:?} in {self:#?}");
        }
        self
    }

    /// No crash, whatever else.
    #[track_caller]
    pub fn ended_in_order(&self) -> &Self {
        assert!((0..=2).contains(&self.code) && !self.err.contains("panicked"), "{self:#?}");
        self
    }
}

/// What every script begins with: the program in memory (each start would else read it over 9p), a state directory, and
/// `run NAME COMMAND...`, which keeps exit code and output under that name.
fn prelude(program: &Path) -> String {
    format!(
        "cp {} /tmp/lowlat || exit 5; L=/tmp/lowlat; export LOWLAT_STATE=/tmp/state\n\
         run() {{ n=$1; shift; \"$@\" >/tmp/out 2>/tmp/err; echo $? >\"$RESULTS/$n.code\"; cp /tmp/out \"$RESULTS/$n.out\"; cp /tmp/err \"$RESULTS/$n.err\"; }}\n",
        to_copy(program)
    )
}

/// A file of the host as a word of a guest's script.
pub fn to_copy(file: &Path) -> String {
    quoted(&in_guest(file).unwrap())
}

/// The program without its debug information, which is most of what a guest would have to read; kept next to it.
pub fn stripped(program: &Path) -> PathBuf {
    let to = program.with_extension("stripped");
    let made = |p: &Path| fs::metadata(p).and_then(|m| m.modified()).ok();
    if made(&to).is_none_or(|t| made(program).is_some_and(|p| p > t)) {
        let part = program.with_extension(format!("part{}", std::process::id()));
        let done = Command::new("strip").arg("-o").arg(&part).arg(program).status();
        if !done.is_ok_and(|s| s.success()) {
            return program.to_owned();
        }
        fs::rename(&part, &to).unwrap();
    }
    to
}

/// On a busy machine QEMU brings no timer interrupt in the ten ticks that Linux waits for at its start (`timer_irq_works`,
/// arch/x86/kernel/apic/io_apic.c).
pub const NO_TIMER: &str = "IO-APIC + timer doesn't work";

/// Runs a guest, and once more where QEMU failed by one of these: the guest did nothing to it, and the next start is another
/// draw. A second time is a failure.
pub fn run(lab: &Lab, guest: &Guest, draws: &[&str]) -> GuestOutcome {
    let outcome = lab.run(guest).or_else(|e| {
        if !draws.iter().any(|words| e.to_string().contains(words)) {
            return Err(e);
        }
        eprintln!("{}: {e}; started again", guest.topology.name);
        lab.run(guest)
    });
    outcome.unwrap_or_else(|e| panic!("{e}"))
}

/// Boots `topology` on `choice` and runs `script` in it, with parallel CPUs: what is asked here takes no time into
/// account.
pub fn boot(topology: &'static VmTopology, choice: KernelChoice, program: &Path, script: &str) -> Results {
    let lab = Lab::prepare(choice).unwrap_or_else(|e| panic!("{e}"));
    let results = Results::new();
    let program = stripped(program);
    let mut guest = Guest::new(topology, prelude(&program) + script, results.path());
    // Seen: 18 to 40 s, next to another guest and a compiler up to 120 s.
    guest.time_limit = Duration::from_secs(240);
    guest.icount = false;
    // QEMU 10's parallel TCG now and then ends by an assertion of its own (iotlb_to_section in system/physmem.c), or stands
    // still without a word (one of 60 boots). Once, on a host with four guests for two CPUs, the guest's kernel panicked in an
    // interrupt, and the next boot did not; where it was is in the error.
    let draws = ["iotlb_to_section", "not finished after", "Fatal exception in interrupt", NO_TIMER];
    let outcome = run(&lab, &guest, &draws);
    assert_eq!(outcome.exit_code, 0, "{}", outcome.console);
    fs::write(results.path().join("console"), &outcome.console).unwrap();
    let (wall, restarted) = (outcome.wall.as_secs_f64(), outcome.restarted());
    eprintln!("{} on {}: {wall:.1} s{restarted}", topology.name, lab.kernel().release);
    results
}
