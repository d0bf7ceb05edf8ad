//! Two named network namespaces joined by a veth pair. The names hold this process's id; both go when the lab is
//! dropped, also on a panic, and those of a killed suite when the next one begins.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use lowlat_model::Facts;
use lowlat_model::settings::differences;

use super::{Ran, Scratch, Started, run};

/// The near end of the link.
pub const IFACE: &str = "near0";
/// The far end's address.
pub const FAR: &str = "198.18.7.2";
/// The near end's address.
pub const NEAR: &str = "198.18.7.1";
const PREFIX: &str = "lowlat-test-";

/// `optimize` on the lab's path, as short as it goes; `more` wins over what is set here.
pub fn optimize<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["optimize", "--iface", IFACE, "--target", FAR, "--timeout", "200ms", "--cpu", "0"];
    for (flag, value) in
        [("--pairs", "4"), ("--round", "30ms"), ("--duration", "300ms"), ("--load", "0"), ("--engines", "none")]
    {
        if !more.contains(&flag) {
            args.extend([flag, value]);
        }
    }
    args.extend(more);
    args
}

/// One lab at a time: cases of one suite share the kernel, and some compare its settings.
static ONE: Mutex<()> = Mutex::new(());

/// The two namespaces.
#[derive(Debug)]
pub struct Lab {
    pub near: String,
    pub far: String,
    _one: MutexGuard<'static, ()>,
}

fn ip(args: &str) {
    let out = Command::new("ip").args(args.split_whitespace()).output().unwrap_or_else(|e| panic!("ip {args}: {e}"));
    assert!(out.status.success(), "ip {args}: {} (needs root)", String::from_utf8_lossy(&out.stderr));
}

/// Removes the namespaces of suites that were killed: their names hold a process id that is gone.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(pid) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
            if pid.parse::<u32>().is_ok_and(|pid| !super::lives(pid)) {
                let _ = Command::new("ip").args(["netns", "del", &name]).status();
            }
        }
    });
}

impl Lab {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("{PREFIX}{}-{n}-{end}", std::process::id());
        // A case that failed leaves nothing behind: its lab was dropped.
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Self { near: name("near"), far: name("far"), _one: one };
        ip(&format!("netns add {}", lab.near));
        ip(&format!("netns add {}", lab.far));
        let (near, far) = (&lab.near, &lab.far);
        ip(&format!("-n {near} link add {IFACE} type veth peer name far0 netns {far}"));
        ip(&format!("-n {near} address add {NEAR}/24 dev {IFACE}"));
        ip(&format!("-n {far} address add {FAR}/24 dev far0"));
        // No address of IPv6 that comes seconds later, after its duplicate detection.
        ip(&format!("-n {near} link set {IFACE} addrgenmode none"));
        for (netns, link) in [(near, "lo"), (near, IFACE), (far, "lo"), (far, "far0")] {
            ip(&format!("-n {netns} link set {link} up"));
        }
        lab.settle();
        lab
    }

    /// Waits until the link says that it is up, which linkwatch does some time after `ip link set up`: settings are
    /// compared, and what comes on its own is not a difference.
    #[track_caller]
    fn settle(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        let up = |netns: &str, link: &str| {
            let shown = ["netns", "exec", netns, "cat", &format!("/sys/class/net/{link}/operstate")].map(str::to_owned);
            Command::new("ip").args(shown).output().unwrap().stdout == b"up\n"
        };
        while !(up(&self.near, IFACE) && up(&self.far, "far0")) {
            assert!(Instant::now() < until, "the lab's link is not up after 10 s");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A shell command in the near namespace, its output trimmed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let out = Command::new("ip").args(["netns", "exec", &self.near, "sh", "-c", script]).output().unwrap();
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// The same in the far namespace.
    #[track_caller]
    pub fn far_sh(&self, script: &str) -> String {
        let out = Command::new("ip").args(["netns", "exec", &self.far, "sh", "-c", script]).output().unwrap();
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// `ip` in the near namespace.
    pub fn ip(&self, args: &str) {
        ip(&format!("-n {} {args}", self.near));
    }

    /// `ip` in the far namespace.
    pub fn far_ip(&self, args: &str) {
        ip(&format!("-n {} {args}", self.far));
    }

    /// Runs `make` on a thread that has entered the far namespace.
    #[track_caller]
    pub fn in_far<T: Send + 'static>(&self, make: impl FnOnce() -> T + Send + 'static) -> T {
        in_netns(&self.far, make)
    }

    /// What runs in the near namespace.
    pub fn pids(&self) -> Vec<u32> {
        pids(&self.near)
    }

    fn inside(netns: &str, scratch: &Scratch, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns, super::LOWLAT]).args(args);
        command.env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null());
        command
    }

    /// The program under test in the near namespace.
    pub fn lowlat(&self, scratch: &Scratch, args: &[&str]) -> Command {
        Self::inside(&self.near, scratch, args)
    }

    /// The same in the far namespace.
    pub fn lowlat_far(&self, scratch: &Scratch, args: &[&str]) -> Command {
        Self::inside(&self.far, scratch, args)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, scratch: &Scratch, args: &[&str]) -> Ran {
        run(&mut self.lowlat(scratch, args))
    }

    /// The program under test in the near namespace, `prepare` run before it in a shell of the same mount namespace. It is
    /// a copy in the scratch directory: what `prepare` mounts may hide the one that was built.
    pub fn lowlat_after(&self, scratch: &Scratch, prepare: &str, args: &[&str]) -> Command {
        Self::inside_after(&self.near, scratch, prepare, args)
    }

    /// The same in the far namespace.
    pub fn lowlat_far_after(&self, scratch: &Scratch, prepare: &str, args: &[&str]) -> Command {
        Self::inside_after(&self.far, scratch, prepare, args)
    }

    fn inside_after(netns: &str, scratch: &Scratch, prepare: &str, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        let script = format!("{prepare} && exec \"$0\" \"$@\"");
        command.args(["netns", "exec", netns, "sh", "-c", &script]).arg(super::for_anybody(scratch)).args(args);
        command.env("LOWLAT_STATE", scratch.state()).stdin(Stdio::null());
        command
    }

    /// A far end, once it answers.
    #[track_caller]
    pub fn serve(&self, scratch: &Scratch, args: &[&str]) -> Started {
        let all: Vec<&str> = ["serve"].iter().chain(args).copied().collect();
        let mut far = Started::new(&mut Self::inside(&self.far, scratch, &all));
        far.says("over Tcp");
        far.says("over Udp");
        far
    }

    /// The facts of the near namespace.
    #[track_caller]
    pub fn facts(&self) -> Facts {
        let scratch = Scratch::new();
        let ran = self.run(&scratch, &["facts", "--iface", IFACE]);
        serde_json::from_str(&ran.exits(0).out).unwrap()
    }

    /// The settings of the near namespace, twice over: as the program's probes see them, and as the shell does.
    #[track_caller]
    pub fn settings(&self) -> Settings {
        Settings { facts: Box::new(self.facts()), shell: self.shell() }
    }

    #[track_caller]
    fn shell(&self) -> String {
        self.sh(&format!(
            "tc qdisc show; tc filter show dev {IFACE}; ip -details link show {IFACE}; \
             grep -r . /sys/class/net/{IFACE}/queues/*/[rx]ps_* /sys/class/net/{IFACE}/*flush* /sys/class/net/{IFACE}/napi* 2>/dev/null; \
             grep -r . /proc/sys/net/core /proc/sys/net/ipv4/tcp_* /proc/sys/net/ipv4/udp_* /proc/sys/vm/nr_hugepages 2>/dev/null; true"
        ))
    }

    /// What the shell sees differently since; quick enough to ask often.
    #[track_caller]
    pub fn shell_against(&self, before: &Settings) -> Vec<String> {
        lines_against(&before.shell, &self.shell())
    }

    /// Receive packet steering of the near end, as the kernel writes it.
    #[track_caller]
    pub fn rps(&self) -> String {
        self.sh(&format!("cat /sys/class/net/{IFACE}/queues/rx-0/rps_cpus"))
    }

    /// How many settings stand applied.
    #[track_caller]
    pub fn applied(&self, scratch: &Scratch) -> usize {
        self.run(scratch, &["status", "--json"]).exits(0).json()["applied"].as_array().unwrap().len()
    }

    /// Plants what `optimize` should change: steering to another CPU, and a shaper that nobody needs.
    pub fn plant(&self) {
        self.sh(&format!("echo 2 > /sys/class/net/{IFACE}/queues/rx-0/rps_cpus"));
        self.sh(&format!("tc qdisc replace dev {IFACE} root handle 1: tbf rate 2mbit burst 1600 limit 65536"));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for netns in [&self.near, &self.far] {
            end_all_in(netns);
            let _ = Command::new("ip").args(["netns", "del", netns]).status();
        }
    }
}

/// Runs `make` on a thread that has entered a named namespace: a socket stays in the namespace it was made in.
#[track_caller]
pub fn in_netns<T: Send + 'static>(name: &str, make: impl FnOnce() -> T + Send + 'static) -> T {
    let netns = File::open(format!("/run/netns/{name}")).unwrap();
    let thread = std::thread::spawn(move || {
        lowlat_os::namespace::enter_network(netns.as_fd()).unwrap_or_else(|e| panic!("enter a network namespace: {e}"));
        make()
    });
    thread.join().unwrap()
}

fn pids(netns: &str) -> Vec<u32> {
    let out = Command::new("ip").args(["netns", "pids", netns]).output();
    let text = out.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|l| l.trim().parse().ok()).collect()
}

fn lines_against(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let gone = before.iter().filter(|l| !after.contains(l)).map(|l| format!("- {l}"));
    gone.chain(after.iter().filter(|l| !before.contains(l)).map(|l| format!("+ {l}"))).collect()
}

/// Ends what still runs in a namespace of this suite: all of it was started by this suite.
fn end_all_in(netns: &str) {
    let start = Instant::now();
    loop {
        let Ok(out) = Command::new("ip").args(["netns", "pids", netns]).output() else { return };
        let pids: Vec<u32> =
            String::from_utf8_lossy(&out.stdout).lines().filter_map(|l| l.trim().parse().ok()).collect();
        if !out.status.success() || pids.is_empty() || start.elapsed() > Duration::from_secs(5) {
            return;
        }
        for pid in pids {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Settings, to be compared.
#[derive(Debug)]
pub struct Settings {
    facts: Box<Facts>,
    shell: String,
}

impl Settings {
    /// What differs.
    pub fn against(&self, after: &Self) -> Vec<String> {
        let mut different = differences(&self.facts, &after.facts);
        different.extend(lines_against(&self.shell, &after.shell));
        different
    }

    /// Asserts that nothing differs.
    #[track_caller]
    pub fn same_as(&self, after: &Self) {
        let different = self.against(after);
        assert!(different.is_empty(), "settings differ: {different:#?}");
    }
}
