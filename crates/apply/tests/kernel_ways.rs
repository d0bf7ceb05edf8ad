//! Ways out without the program, on a real kernel: the script next to the journal, and an exported plan as a shell script
//! and as a playbook over a real sshd. Every case in a process of its own, in network and mount namespaces of its own.
//!
//! Needs root, dash, shellcheck, ethtool, iproute2, ansible-core and openssh-server's sshd. Where namespaces cannot be made
//! it says so and passes, unless `LOWLAT_REQUIRE_ROOT=1`: then it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing
#![allow(clippy::print_stdout)] // says what it tried

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};

use lowlat_apply::Session;
use lowlat_apply::export::{ExportFormat, export};
use lowlat_model::{Locus, Plan, PlannedStep, State};
use lowlat_netlink::route::{address, link};
use lowlat_settings::state;
use lowlat_sys::Live;
use lowlat_sys::store::Store;

use common::{Case, Cases, fifo_at, planned, veth, with_args};

const CASES: &[(&str, Case)] = &[
    ("rollback.sh gives what the program's own rollback gives", both_ways_back),
    ("an exported script sets, checks, and undoes what is still its own", exported_script),
    ("an exported script that is refused midway puts all back", refused_midway),
    ("a playbook passes check mode, applies and undoes over ssh", playbook),
];

/// One setting of each kind that a veth and a namespace have; the others have their trial in the lab's guests (`knob_trial`).
const OF_EACH_KIND: &[(&str, &str, &str)] = &[
    ("sysctl.net.ipv4.tcp_autocorking", "host", "0"),
    ("sysctl.net.ipv4.tcp_rmem", "host", "4096 131072 8388608"),
    ("steer.rps", "v0/rx-0", "0"),
    ("steer.xps", "v0/tx-0", "0"),
    ("nic.gro-flush-timeout", "v0", "20000"),
    ("nic.feature.gro", "v0", "on"),
    ("nic.feature.tso", "v0", "off"),
    ("qdisc.kind", "v0/qdisc-root", "pfifo limit 8"),
    ("route.quickack", "v0/route-10.99.0.0/24", "on"),
];

const SUITE: Cases = Cases { name: "kernel_ways", all: CASES, prepare };

fn main() -> ExitCode {
    with_args(|args| SUITE.main(args))
}

fn prepare() {
    link::up("lo").unwrap();
    veth("v0", "v1");
    address::add("v0", "10.99.0.1".parse().unwrap(), 24).unwrap();
    fifo_at("v0");
    // A /run of this case's own.
    must(Command::new("mount").args(["-t", "tmpfs", "none", "/run"]));
}

fn ran(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; scripts/packages installs what this suite runs"))
}

fn must(command: &mut Command) -> String {
    let out = ran(command);
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command:?}: {stdout}{stderr}");
    stdout.into_owned()
}

fn to_set(knob: &str, target: &str, value: &str) -> Option<PlannedStep> {
    match planned(knob, target, value) {
        Ok(step) => Some(step),
        // One that stands so already has nothing to set.
        Err(l) if l.why.contains("already") => None,
        Err(l) => panic!("{} on {}: {}", l.knob, l.target, l.why),
    }
}

fn plan() -> Plan {
    let steps = OF_EACH_KIND.iter().filter_map(|(knob, target, value)| to_set(knob, target, value));
    // A limit that limits nothing: the host's own is not touched.
    let held = PlannedStep {
        knob: "cpu.dma-latency".into(),
        from: "none".into(),
        to: "1999999999".into(),
        ..PlannedStep::default()
    };
    lowlat_plan::order(
        steps.chain([held]).collect(),
        Vec::new(),
        &lowlat_plan::PlanOptions {
            allow_disruptive: true,
            reach: lowlat_model::tune::Scope::Host,
            ..lowlat_plan::PlanOptions::default()
        },
    )
}

/// The present value of every place that the plan writes, but for the number that the kernel gives a queue discipline anew.
fn seen(plan: &Plan) -> Vec<String> {
    let ops = plan.steps.iter().flat_map(|s| &s.ops);
    let text = |locus: &Locus| match state(&Live::new(), locus).into_value() {
        Some(State::Qdisc(q)) => format!("{locus:?}: {} {}", q.kind, q.options_hex),
        other => format!("{locus:?}: {other:?}"),
    };
    ops.map(|op| text(&op.locus)).collect()
}

fn apply(store: &Store, plan: &Plan) {
    let mut session = Session::begin(store, &Live::new()).unwrap();
    for step in &plan.steps {
        session.apply(&Live::new(), step).unwrap();
    }
    session.leave_open().unwrap();
}

fn script(store: &Store) -> PathBuf {
    let all = fs::read_dir(store.journal_dir()).unwrap().flatten().map(|e| e.path());
    all.filter(|p| p.extension().is_some_and(|e| e == "sh")).max().unwrap()
}

fn clean(script: &Path) {
    must(Command::new("shellcheck").args(["--shell=sh", "--severity=style"]).arg(script));
    must(Command::new("dash").arg("-n").arg(script));
}

fn dash(script: &Path, args: &[&str]) -> (i32, String) {
    let out = ran(Command::new("dash").arg(script).args(args));
    (out.status.code().unwrap(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn both_ways_back(store: &Store) {
    let plan = plan();
    assert!(plan.left_out.is_empty() && plan.steps.len() > 8, "{:?}", plan.left_out);
    let before = seen(&plan);

    apply(store, &plan);
    let set = seen(&plan);
    assert!(set.iter().zip(&before).all(|(s, b)| s != b), "{before:#?} {set:#?}");
    let script = script(store);
    clean(&script);
    assert_eq!(dash(&script, &[]), (0, String::new()), "{}", fs::read_to_string(&script).unwrap());
    let by_script = seen(&plan);
    // The journal of the script stays open: the program sees other handles and wishes than those it wrote. So the same again
    // next to it, with a state directory of its own.
    assert_eq!(by_script, before);
    let again = Store::at(store.dir().join("again"));
    apply(&again, &plan);
    let report = lowlat_apply::rollback_from_disk(&again, &Live::new(), false).unwrap();
    assert!(report.complete(), "{}", report.words());
    assert_eq!((&by_script, &seen(&plan)), (&before, &before));
}

fn exported(store: &Store, plan: &Plan, format: ExportFormat, name: &str) -> PathBuf {
    let exported = export(plan, format);
    // The limit has a holder, which is a process of lowlat.
    assert_eq!(exported.left_out.len(), 1, "{:?}", exported.left_out);
    assert!(exported.steps >= 9, "{}", exported.steps);
    let file = store.dir().join(name);
    fs::create_dir_all(store.dir()).unwrap();
    fs::write(&file, exported.text).unwrap();
    file
}

/// What an exported script keeps on the host.
fn records() -> Vec<String> {
    let all = fs::read_dir("/run").unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    all.filter(|name| name.starts_with("lowlat")).collect()
}

fn set_by_hand(path: &str, value: &str) {
    fs::write(path, value).unwrap();
}

fn exported_script(store: &Store) {
    let plan = plan();
    let before = seen(&plan);
    let file = exported(store, &plan, ExportFormat::Sh, "plan.sh");
    clean(&file);
    assert_eq!(dash(&file, &["check"]).0, 1);
    assert_eq!(seen(&plan), before, "check changes nothing");
    assert_eq!(dash(&file, &[]), (0, String::new()));
    let set = seen(&plan);
    assert!(set.iter().zip(&before).all(|(s, b)| s != b), "{before:#?} {set:#?}");
    assert_eq!(dash(&file, &["check"]), (0, String::new()));
    assert_eq!(dash(&file, &["apply"]).0, 1, "twice");
    assert_eq!(seen(&plan), set);
    assert_eq!(dash(&file, &["undo"]), (0, String::new()));
    assert_eq!(seen(&plan), before);
    assert_eq!(records(), Vec::<String>::new());

    // What something else changed since is its own, until it is said otherwise.
    let corking = "/proc/sys/net/ipv4/tcp_autocorking";
    assert_eq!(dash(&file, &["apply"]), (0, String::new()));
    set_by_hand(corking, "1");
    set_by_hand("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 7777777");
    assert_eq!(dash(&file, &["check"]).0, 1);
    let (code, said) = dash(&file, &["undo"]);
    assert!(code == 1 && said.matches("left alone").count() == 2, "{code} {said}");
    assert!(fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap().contains("7777777"));
    assert_eq!(dash(&file, &["undo", "--force"]), (0, String::new()));
    assert_eq!(seen(&plan), before);

    // Another host than that of the plan is not touched.
    set_by_hand(corking, "0");
    let (code, said) = dash(&file, &["apply"]);
    assert!(code == 1 && said.contains("not as it was"), "{code} {said}");
    assert_eq!(records(), Vec::<String>::new());
    set_by_hand(corking, "1");
    assert_eq!(seen(&plan), before);
}

fn refused_midway(store: &Store) {
    let mut plan = plan();
    let before = seen(&plan);
    // tcp_autocorking takes a byte (`proc_dou8vec_minmax`).
    let op = plan.steps.iter_mut().flat_map(|s| &mut s.ops).find(|o| format!("{:?}", o.locus).contains("autocorking"));
    op.unwrap().set = State::Text("7777".into());
    let file = exported(store, &plan, ExportFormat::Sh, "plan.sh");
    let (code, said) = dash(&file, &["apply"]);
    assert!(code == 1 && said.contains("refused; all goes back"), "{code} {said}");
    assert_eq!(seen(&plan), before);
    assert_eq!(records(), Vec::<String>::new());
}

/// A real sshd of this namespace with keys of its own.
struct Sshd(Child);

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The host's, or the one that `scripts/packages` unpacked: installed, it would serve the network.
fn stock_sshd() -> Command {
    let installed = Path::new("/usr/sbin/sshd");
    if installed.exists() {
        return Command::new(installed);
    }
    let dir = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = dir("LOWLAT_CACHE").or_else(|| dir("XDG_CACHE_HOME").map(|d| d.join("lowlat")));
    let root = cache.unwrap_or_else(|| dir("HOME").unwrap().join(".cache/lowlat")).join("stock/sshd");
    let mut command = Command::new(root.join("usr/sbin/sshd"));
    command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
    command
}

fn sshd(dir: &Path) -> Sshd {
    for key in ["host", "user"] {
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)));
    }
    fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
    // StrictModes would look at the folders above, which are the test's.
    let config = format!(
        "Port 2222\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nUsePAM no\n\
         PermitRootLogin prohibit-password\nStrictModes no\nPidFile none\n",
        dir.display()
    );
    fs::write(dir.join("sshd_config"), config).unwrap();
    // Its separation directory (sshd(8), FILES).
    fs::create_dir("/run/sshd").unwrap();
    fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
    // The user that it becomes before a login, where the package is only unpacked (scripts/packages).
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    if !passwd.lines().any(|l| l.starts_with("sshd:")) {
        let own = dir.join("passwd");
        fs::write(&own, format!("{passwd}sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o644)).unwrap();
        must(Command::new("mount").args(["--bind"]).arg(&own).arg("/etc/passwd"));
    }
    let sshd =
        stock_sshd().args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stderr(Stdio::null()).spawn().unwrap();
    let sshd = Sshd(sshd);
    let up = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::net::TcpStream::connect("127.0.0.1:2222").is_ok()
    });
    assert!(up, "sshd does not answer");
    sshd
}

fn playbook(store: &Store) {
    let plan = plan();
    let before = seen(&plan);
    let file = exported(store, &plan, ExportFormat::Ansible, "plan.yml");
    let dir = tempfile::tempdir().unwrap();
    let _sshd = sshd(dir.path());
    let run = |more: &[&str]| {
        let ssh = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlMaster=no";
        let mut ansible = Command::new("ansible-playbook");
        ansible.args(["-i", "127.0.0.1,", "-e", "ansible_port=2222 ansible_user=root"]);
        ansible.args(["--ssh-common-args", ssh, "--private-key"]).arg(dir.path().join("user"));
        ansible.arg(&file).args(more).env("ANSIBLE_NOCOLOR", "1").env("HOME", dir.path());
        ansible.env("ANSIBLE_HOME", dir.path().join("ansible")).env("ANSIBLE_REMOTE_TEMP", dir.path().join("remote"));
        ran(&mut ansible)
    };
    let ok = |more: &[&str]| {
        let out = run(more);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
        said
    };
    let said = ok(&["--check"]);
    assert!(said.contains("changed=1") && said.contains("failed=0"), "{said}");
    assert_eq!(seen(&plan), before, "check mode changes nothing");
    ok(&[]);
    let set = seen(&plan);
    assert!(set.iter().zip(&before).all(|(s, b)| s != b), "{before:#?} {set:#?}");
    let said = ok(&[]);
    assert!(said.contains("changed=0"), "a second run changes nothing: {said}");
    ok(&["--tags", "undo"]);
    assert_eq!(seen(&plan), before);
}
