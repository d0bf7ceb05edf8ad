//! What the cases inside a guest of the VM lab share: the near end is this network namespace with `eth0`, the far end
//! the namespace `far` with `eth1`. A node puts back what it set when it is dropped, so that cases do not meet.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use super::{Ran, Scratch, run, until};

/// The environment variable that names the program under test inside the guest.
pub const PROGRAM: &str = "LOWLAT";
/// The far end's address (lab, `topology/mod.rs`).
pub const FAR: &str = "10.77.0.2";
/// The CPUs that the two ends run on: where both share one, each waits for the other's time.
pub const NEAR_CPU: &str = "1";
const FAR_CPU: &str = "0";

/// The near end, with a state directory of its own.
pub struct Node {
    scratch: Scratch,
    coalescing: [String; 2],
    serving: Vec<Child>,
}

impl Node {
    pub fn new() -> Self {
        Self { scratch: Scratch::new(), coalescing: [rx_usecs("eth0"), far_rx_usecs()], serving: Vec::new() }
    }

    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The program under test.
    #[track_caller]
    pub fn lowlat(&self, args: &str) -> Ran {
        self.run(&args.split_whitespace().collect::<Vec<_>>())
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(program());
        command.args(args).env("LOWLAT_STATE", self.scratch.state()).stdin(Stdio::null());
        let ran = run(&mut command);
        eprintln!("lowlat {}: exit {:?}\n{}{}", args.join(" "), ran.code, ran.err, ran.out);
        ran
    }

    /// Starts a far end and gives its address and port.
    #[track_caller]
    pub fn serve(&mut self, more: &str) -> String {
        static PORT: AtomicU16 = AtomicU16::new(9_100);
        let port = PORT.fetch_add(1, Ordering::Relaxed);
        self.beside(&format!("{} serve --port {port} {more}", program()));
        until("the far end listens", || !sh(&format!("ip netns exec far ss -Hlun sport = :{port}")).is_empty());
        format!("{FAR}:{port}")
    }

    /// Runs a command at the far end, on its CPU, as long as the node lives.
    #[track_caller]
    pub fn beside(&mut self, command: &str) {
        let line = format!("netns exec far taskset -c {FAR_CPU} {command}");
        let child = Command::new("ip")
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("ip {line}: {e}"));
        self.serving.push(child);
    }

    /// Brings a knob to a value by plan and apply, and gives what `apply` said.
    #[track_caller]
    pub fn set(&self, settings: &[(&str, &str, &str)]) -> Ran {
        let mut steps = Vec::new();
        let mut plan = Value::Null;
        for (knob, target, value) in settings {
            let file = self.scratch.name("one.json");
            self.run(&["plan", "--set", knob, target, value, "--out", &file]).exits(0);
            plan = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            steps.extend(plan["steps"].as_array().unwrap().iter().cloned());
        }
        plan["steps"] = json!(steps);
        let file = self.scratch.file("all.json", plan.to_string());
        self.lowlat(&format!("apply {file}"))
    }

    /// Holds back the near end's receive interrupts.
    ///
    /// The driver of e1000e may have an adaptive value pending from its mode 3, which the next receive interrupt writes
    /// over the new one (e1000e/netdev.c, `e1000_intr_msix_rx`, `set_itr`); so the modes are left first and a packet
    /// sent, and the fault counts as planted when packets back to back feel it.
    #[track_caller]
    pub fn hold_back(usecs: u32) {
        for _ in 0..5 {
            sh(&format!(
                "ethtool -C eth0 rx-usecs 0; ping -q -c 2 -i 0.01 {FAR} >/dev/null; ethtool -C eth0 rx-usecs {usecs}"
            ));
            let mean_ms =
                sh(&format!("ping -q -f -c 40 {FAR} | sed -n 's|^rtt [^=]*= [0-9.]*/\\([0-9.]*\\)/.*|\\1|p'"));
            if mean_ms.parse::<f64>().unwrap_or_else(|e| panic!("ping's mean {mean_ms:?}: {e}")) * 4e3
                >= f64::from(usecs)
            {
                return;
            }
        }
        panic!("rx-usecs {usecs} is set on eth0 and holds nothing back");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in &mut self.serving {
            let _ = child.kill();
            let _ = child.wait();
        }
        let ran = self.lowlat("rollback");
        let [near, far] = &self.coalescing;
        let put_back = |netns: &str, iface: &str, usecs: &str| {
            usecs.is_empty() || try_sh(&format!("{netns} ethtool -C {iface} rx-usecs {usecs}")).is_ok()
        };
        let all = put_back("", "eth0", near) & put_back("ip netns exec far", "eth1", far);
        // A panic while another unwinds would hide the first.
        assert!(std::thread::panicking() || (all && ran.code == Some(0)), "the node could not be put back");
    }
}

pub fn program() -> String {
    std::env::var(PROGRAM).unwrap_or_else(|_| panic!("{PROGRAM} is not set: this runs inside a guest only"))
}

/// `rx-usecs`, empty where the driver has none.
pub fn rx_usecs(iface: &str) -> String {
    try_sh(&format!("ethtool -c {iface}")).ok().map(|t| field(&t, "rx-usecs:")).unwrap_or_default()
}

fn far_rx_usecs() -> String {
    try_sh("ip netns exec far ethtool -c eth1").ok().map(|t| field(&t, "rx-usecs:")).unwrap_or_default()
}

/// What follows a word at the start of a line.
pub fn field(text: &str, name: &str) -> String {
    text.lines().find_map(|l| l.trim().strip_prefix(name)).map(|v| v.trim().to_owned()).unwrap_or_default()
}

/// A shell command in the near namespace, its output trimmed.
#[track_caller]
pub fn sh(script: &str) -> String {
    try_sh(script).unwrap_or_else(|why| panic!("{script}: {why}"))
}

pub fn try_sh(script: &str) -> Result<String, String> {
    let out = Command::new("sh").args(["-c", script]).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(format!("{}: {}", out.status, text(&out.stderr))) }
}

/// An integer at a path of a document.
#[track_caller]
pub fn number(document: &Value, path: &str) -> f64 {
    document.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is not a number in {document:#}"))
}

/// The steps of an `optimize` document that set a knob.
pub fn steps<'a>(document: &'a Value, knob: &str) -> Vec<&'a Value> {
    document["steps"].as_array().unwrap().iter().filter(|s| s["knob"] == knob).collect()
}

/// Interrupts so far on the lines whose name begins so, over all CPUs.
pub fn interrupts(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/interrupts").unwrap();
    let cpus = text.lines().next().unwrap().split_whitespace().count();
    text.lines()
        .filter(|l| l.split_whitespace().last().is_some_and(|action| action.starts_with(name)))
        .flat_map(|l| l.split_whitespace().skip(1).take(cpus))
        .map(|n| n.parse::<u64>().unwrap())
        .sum()
}

/// Everything of the guest that lowlat may change, as text: it is the same after a rollback. Left out is what the
/// kernel itself counts there: up to 5.12 the scheduler's domains are sysctls, and this cost is its own measurement
/// (`sd_alloc_ctl_domain_table`, kernel/sched/debug.c of 5.10).
pub fn captured() -> String {
    sh(r"
for o in c g l k a T; do echo; echo ethtool -$o; ethtool -$o eth0 2>&1; done
echo; ethtool --show-eee eth0 2>&1; ethtool --show-priv-flags eth0 2>&1
echo; grep -H . /proc/irq/[0-9]*/smp_affinity_list
echo; grep -H . /sys/class/net/eth0/queues/*/*ps_* /sys/class/net/eth0/*gro* /sys/class/net/eth0/napi_defer* 2>&1
echo; tc qdisc show
echo; sysctl -a 2>/dev/null | grep -E '^(net\.(core|ipv4)|kernel\.(sched|numa|timer)|vm\.nr_huge)' | grep -v -e random -e uuid -e conntrack_count -e cookie -e max_newidle_lb_cost
echo; cat /proc/cmdline; cat /sys/devices/system/node/node*/hugepages/*/nr_hugepages
")
}

/// The lines in which two captures differ.
pub fn differences(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let gone = before.iter().filter(|l| !after.contains(l)).map(|l| format!("- {l}"));
    let come = after.iter().filter(|l| !before.contains(l)).map(|l| format!("+ {l}"));
    gone.chain(come).collect()
}
