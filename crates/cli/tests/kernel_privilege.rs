//! Exactly the capabilities that a step needs, whoever has them: root that some were taken from, and an ordinary user
//! with ambient ones (capabilities(7)). With all of them it works; without one, that one is named.
//!
//! Needs root and setpriv(1).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Command, Stdio};

use common::lab::{FAR, Lab};
use common::{Ran, Scratch, Started, for_anybody, run};

const NOBODY: u32 = 65_534;

/// Who runs a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// User 0, with these capabilities alone.
    Root,
    /// User 65534, with these as ambient ones.
    Ordinary,
}

/// In the mount namespace that `ip netns exec` makes: a folder of the test as sysctl.d, tracefs, and less memory to lock than
/// the program has.
const PREPARE: &str = "mount --bind \"$0\" /etc/sysctl.d || exit 9
    mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing || exit 9
    case $* in *noise*|*trace*) ulimit -l 64;; esac
    exec \"$@\"";

/// A lab whose state directory, program and files the ordinary user may use too.
struct Place {
    lab: Lab,
    scratch: Scratch,
    program: String,
}

impl Place {
    fn new() -> Self {
        let (lab, scratch) = (Lab::new(), Scratch::new());
        let program = for_anybody(&scratch).display().to_string();
        fs::create_dir(scratch.path().join("sysctl.d")).unwrap();
        Self { lab, scratch, program }
    }

    /// The program in the near namespace, as this user with these capabilities and no others.
    fn command(&self, who: Who, capabilities: &[&str], netns: &str, args: &[&str]) -> Command {
        let state = self.scratch.path().join(format!("{who:?}"));
        fs::create_dir_all(&state).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&state, Some(if who == Who::Root { 0 } else { NOBODY }), None).unwrap();
        let plus = |name: &str| capabilities.iter().fold(name.to_owned(), |all, c| all + ",+" + c);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns, "sh", "-c", PREPARE, &self.scratch.name("sysctl.d")]);
        command.args(["setpriv", "--inh-caps", &plus("-all")]);
        match who {
            Who::Root => command.args(["--bounding-set", &plus("-all")]),
            Who::Ordinary => command.args(["--ambient-caps", &plus("-all"), "--reuid", "65534", "--regid", "65534"]),
        };
        if who == Who::Ordinary {
            command.arg("--clear-groups");
        }
        command.arg(&self.program).args(args).env("LOWLAT_STATE", &state).stdin(Stdio::null());
        command
    }

    #[track_caller]
    fn run(&self, who: Who, capabilities: &[&str], args: &[&str]) -> Ran {
        run(&mut self.command(who, capabilities, &self.lab.near, args))
    }

    #[track_caller]
    fn plan(&self, knob: &str, target: &str, value: &str) -> String {
        let file = self.scratch.name(&format!("{knob}.json"));
        self.lab.run(&self.scratch, &["plan", "--set", knob, target, value, "--out", &file]).exits(0);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        file
    }
}

/// As the kernel writes it.
fn name(capability: &str) -> String {
    format!("CAP_{}", capability.to_uppercase())
}

/// A sysctl of the host, put back also where a case fails.
struct Interval(String);

impl Interval {
    const FILE: &str = "/proc/sys/vm/stat_interval";

    fn now() -> String {
        fs::read_to_string(Self::FILE).unwrap()
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        let _ = fs::write(Self::FILE, &self.0);
    }
}

/// A setting by netlink, by a sysctl of the network and one of the host, and by a file of an interface; all files are root's.
/// Nothing is asked for that the write does not need: user 0 owns the sysctls, and no capability gives another those of the host.
#[test]
fn a_change_needs_what_its_writes_need_and_names_what_is_missing() {
    let place = Place::new();
    let interval = Interval(Interval::now());
    let by_netlink = place.plan("nic.feature.gro", "near0", "on");
    let by_sysctl = place.plan("sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0");
    let by_file = place.plan("steer.rps", "near0/rx-0", "0");
    let of_host = place.plan("sysctl.vm.stat_interval", "host", "7");
    let names = ["net_admin", "dac_override", "sys_admin"];
    for (plan, who, needs) in [
        (&by_netlink, Who::Root, &["net_admin"][..]),
        (&by_netlink, Who::Ordinary, &["net_admin"]),
        (&by_sysctl, Who::Root, &[]),
        (&by_sysctl, Who::Ordinary, &["net_admin"]),
        (&by_file, Who::Root, &["net_admin"]),
        (&by_file, Who::Ordinary, &["net_admin", "dac_override"]),
        (&of_host, Who::Root, &[]),
    ] {
        let before = place.lab.settings();
        for missing in needs {
            let left: Vec<&str> = needs.iter().filter(|c| *c != missing).copied().collect();
            let ran = place.run(who, &left, &["apply", plan]);
            ran.fails(&[&name(missing)]);
            let mut others = names.iter().filter(|c| *c != missing);
            assert!(!others.any(|c| ran.err.contains(&name(c))), "{who:?} {left:?}: {}", ran.err);
        }
        before.same_as(&place.lab.settings());
        place.run(who, needs, &["apply", plan]).exits(0);
        let changed = !before.against(&place.lab.settings()).is_empty() || Interval::now() != interval.0;
        assert!(changed, "{plan} {who:?}: nothing was changed");
        for missing in needs {
            let left: Vec<&str> = needs.iter().filter(|c| *c != missing).copied().collect();
            let ran = place.run(who, &left, &["rollback"]);
            assert!(ran.code != Some(0) && format!("{}{}", ran.out, ran.err).contains(&name(missing)), "{ran:#?}");
        }
        place.run(who, needs, &["rollback"]).exits(0);
        before.same_as(&place.lab.settings());
        assert_eq!(Interval::now(), interval.0, "{who:?}");
    }
    let ran = place.run(Who::Ordinary, &names, &["apply", &of_host]);
    ran.fails(&["vm/stat_interval", "user 0 of the host"]);
}

#[test]
fn what_measures_needs_none_but_for_what_it_names() {
    let place = Place::new();
    let _far = place.lab.serve(&place.scratch, &["--stamp"]);
    // Nobody's group may send echoes by a datagram socket else (ping_group_range, icmp(7)).
    place.lab.sh("echo '1 0' > /proc/sys/net/ipv4/ping_group_range");
    let measure = |more: &[&'static str]| [&["measure", FAR, "--count", "50"], more].concat();
    for (args, needs) in [
        (measure(&[]), &[][..]),
        (measure(&["--proto", "tcp"]), &[]),
        (measure(&["--priority", "6"]), &[]),
        (measure(&["--priority", "7"]), &["net_admin"]),
        (measure(&["--proto", "icmp"]), &["net_raw"]),
        (measure(&["--rt", "5"]), &["sys_nice"]),
        (measure(&["--engine", "af-xdp"]), &["net_raw", "net_admin", "bpf"]),
        (vec!["check", "--window", "none", "--iface", "near0"], &[]),
        (vec!["facts", "--iface", "near0"], &[]),
        (vec!["plan", "--iface", "near0"], &[]),
        (vec!["status"], &[]),
        (vec!["bypass", "check", "--iface", "near0"], &[]),
    ] {
        for who in [Who::Root, Who::Ordinary] {
            let ran = place.run(who, needs, &args);
            assert!(matches!(ran.code, Some(0 | 1)), "{who:?} with {needs:?}: {ran:#?}");
            for missing in needs {
                let left: Vec<&str> = needs.iter().filter(|c| *c != missing).copied().collect();
                let refused = place.run(who, &left, &args);
                refused.refuses(&[&name(missing)]);
            }
        }
    }
}

/// A far end becomes nobody where it has the capabilities for that, keeps its user where it has not, and has none left.
#[test]
fn a_far_end_gives_up_what_it_has_whoever_it_is() {
    let place = Place::new();
    let netns = &place.lab.far;
    for (who, capabilities, more, user) in [
        (Who::Root, &["setuid", "setgid", "setpcap"][..], &[][..], NOBODY),
        (Who::Root, &["setuid", "setgid"], &[], NOBODY),
        (Who::Root, &[], &[], 0),
        (Who::Root, &["net_bind_service"], &["--stamp"], 0),
        (Who::Ordinary, &[], &[], NOBODY),
        (Who::Ordinary, &["setuid", "setgid"], &[], NOBODY),
        (Who::Ordinary, &["net_bind_service"], &["--stamp"], NOBODY),
    ] {
        let mut far = Started::new(&mut place.command(who, capabilities, netns, &[&["serve"], more].concat()));
        far.says("seccomp: ");
        let status = fs::read_to_string(format!("/proc/{}/status", far.pid())).unwrap();
        for held in [
            &*format!("Uid:\t{user}\t{user}\t{user}\t{user}"),
            "NoNewPrivs:\t1",
            "CapEff:\t0000000000000000",
            "CapPrm:\t0000000000000000",
        ] {
            assert!(status.contains(held), "{who:?} {capabilities:?}: {held} in {status}");
        }
        place.lab.run(&place.scratch, &["measure", FAR, "--count", "50"]).exits(0);
        far.signal("TERM");
        far.wait().exits(0);
    }
    for who in [Who::Root, Who::Ordinary] {
        run(&mut place.command(who, &[], netns, &["serve", "--stamp"])).refuses(&["862", "CAP_NET_BIND_SERVICE"]);
    }
}

/// The lab of the demo needs namespaces and the network; who has just one of the two gets the name of the other.
#[test]
fn the_demo_and_optimize_name_what_is_missing() {
    let place = Place::new();
    for who in [Who::Root, Who::Ordinary] {
        for (has, lacks) in [
            (&["sys_admin"][..], &["net_admin"][..]),
            (&["net_admin"], &["sys_admin"]),
            (&[], &["sys_admin", "net_admin"]),
        ] {
            let ran = place.run(who, has, &["demo"]);
            let names: Vec<String> = lacks.iter().map(|c| name(c)).collect();
            ran.refuses(&names.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(!has.iter().any(|c| ran.err.contains(&name(c))), "{}", ran.err);
        }
        place
            .run(who, &["dac_override"], &["optimize", "--iface", "near0", "--target", FAR])
            .refuses(&["CAP_NET_ADMIN"]);
    }
}

/// Files of root's folders, which root writes as their owner; for a confirmation the journal alone, which is one's own.
#[test]
fn what_is_kept_and_confirmed_needs_what_its_files_need() {
    let place = Place::new();
    let plan = place.plan("sysctl.net.ipv4.tcp_slow_start_after_idle", "host", "0");
    let kept = || fs::read_dir(place.scratch.path().join("sysctl.d")).unwrap().count();
    for (who, needs) in [(Who::Root, &[][..]), (Who::Ordinary, &["dac_override"])] {
        // Who forgot sudo has nothing applied; user 0 may have nothing to do.
        for command in [&["persist"][..], &["persist", "--remove"], &["confirm"], &["rollback"]] {
            let ran = place.run(who, &[], command);
            if who == Who::Ordinary {
                ran.refuses(&["CAP_NET_ADMIN", "CAP_DAC_OVERRIDE"]);
            } else {
                assert!(!format!("{}{}", ran.out, ran.err).contains("CAP_"), "{ran:#?}");
            }
        }
        place.run(who, &["net_admin"], &["apply", &plan, "--confirm-within", "60s"]).exits(0);
        place.run(who, &[], &["confirm"]).exits(0);
        let lacking = |args: &[&str], before: usize| {
            for _ in needs {
                let ran = place.run(who, &[], args);
                let said = format!("{}{}", ran.out, ran.err);
                assert!(ran.code != Some(0) && said.contains("CAP_DAC_OVERRIDE"), "{who:?}: {ran:#?}");
                assert!(!said.contains("CAP_NET_ADMIN"), "{who:?}: {ran:#?}");
                assert_eq!(kept(), before, "{who:?}: {ran:#?}");
            }
        };
        lacking(&["persist"], 0);
        place.run(who, needs, &["persist"]).exits(0);
        assert_eq!(kept(), 1, "{who:?}");
        lacking(&["persist", "--remove"], 1);
        place.run(who, needs, &["persist", "--remove"]).exits(0);
        assert_eq!(kept(), 0, "{who:?}");
        place.run(who, &["net_admin"], &["rollback"]).exits(0);
    }
}

/// What they cannot see is reported and no error, each with the capability that it lacks.
#[test]
fn noise_and_trace_see_less_and_name_what_they_lack() {
    let place = Place::new();
    let _far = place.lab.serve(&place.scratch, &[]);
    let noise = &["noise", "--cpus", "0", "--duration", "50ms", "--trace", "--json"][..];
    let trace = &["trace", FAR, "--duration", "200ms", "--json"][..];
    // Root owns the files of tracefs.
    for (args, who, needs) in [
        (noise, Who::Root, &["ipc_lock", "sys_nice"][..]),
        (noise, Who::Ordinary, &["ipc_lock", "sys_nice", "dac_override"]),
        (trace, Who::Root, &["ipc_lock"]),
        (trace, Who::Ordinary, &["ipc_lock", "dac_override"]),
    ] {
        let said = |capabilities: &[&str]| {
            let ran = place.run(who, capabilities, args);
            format!("{}{}", ran.exits(0).json(), ran.err)
        };
        for missing in needs {
            let left: Vec<&str> = needs.iter().filter(|c| *c != missing).copied().collect();
            let named = said(&left);
            assert!(named.contains(&name(missing)), "{who:?} {args:?} without {missing}: {named}");
            assert!(!left.iter().any(|c| named.contains(&name(c))), "{who:?} {args:?} with {left:?}: {named}");
        }
        let all = said(needs);
        assert!(!needs.iter().any(|c| all.contains(&name(c))), "{who:?} {args:?}: {all}");
    }
    for who in [Who::Root, Who::Ordinary] {
        for args in [&noise[..5], &trace[..4]] {
            let args = [args, &["--rt", "5"]].concat();
            place.run(who, &[], &args).fails(&["CAP_SYS_NICE"]);
            place.run(who, &["sys_nice"], &args).exits(0);
        }
    }
}

/// A far end that answers by XDP attaches its program with them and then gives them up.
#[test]
fn a_far_end_by_xdp_needs_three_and_keeps_none() {
    let place = Place::new();
    let netns = &place.lab.far;
    let serve = &["serve", "--xdp", "far0"];
    let needs = ["net_admin", "perfmon", "bpf"];
    for who in [Who::Root, Who::Ordinary] {
        for missing in needs {
            let left: Vec<&str> = needs.iter().filter(|c| **c != missing).copied().collect();
            let ran = run(&mut place.command(who, &left, netns, serve));
            ran.fails(&[&name(missing)]);
            assert!(
                !left.iter().any(|c| ran.err.contains(&format!("lacks {}", name(c)))),
                "{who:?} {left:?}: {}",
                ran.err
            );
        }
        let mut far = Started::new(&mut place.command(who, &needs, netns, serve));
        far.says("seccomp: ");
        let status = fs::read_to_string(format!("/proc/{}/status", far.pid())).unwrap();
        for held in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"] {
            assert!(status.contains(held), "{who:?}: {held} in {status}");
        }
        place.lab.run(&place.scratch, &["measure", FAR, "--count", "50"]).exits(0);
        far.signal("TERM");
        let ended = far.wait();
        assert!(!ended.exits(0).out.contains("answered_by_xdp      0\n"), "{who:?}: {ended:#?}");
    }
}
