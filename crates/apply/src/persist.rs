//! Keeping what stands applied over a reboot: files that the host itself reads at boot, without lowlat.
//!
//! | what | where |
//! |---|---|
//! | sysctls | `/etc/sysctl.d/90-lowlat.conf` |
//! | files of processors and memory nodes | `/etc/tmpfiles.d/90-lowlat.conf` |
//! | everything of an interface | `lowlat.service`, which runs when the interface is there |
//! | the wake-up latency limit | `lowlat-dma-latency.service`, which holds it |
//!
//! The service sets what resets a link first (channels, rings): the rest would be lost in it. Before all it waits until
//! each interface is up: an interrupt is requested, and its affinity settable, only then (`ndo_open`; an igb without it
//! answers ENOENT), and `network.target` does not promise it (systemd.special(7)).
//!
//! Files of an interface under `/sys` are not left to tmpfiles: it runs once and early, and a line whose file is not
//! there yet is passed over in silence (tmpfiles.d(5)).
//!
//! The files are written like every other setting: journalled, read back, and removed by `lowlat rollback`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lowlat_model::journal::NetnsId;
use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, PlannedStep, Reading, Risk, State};
use lowlat_settings::{AtBoot, at, same, shell, undo, undo_together, words};
use lowlat_sys::Sys;
use lowlat_sys::store::Store;

use crate::boot::{KNOB, in_boot_namespace};
use crate::error::ApplyError;
use crate::ledger::StandingWrite;
use crate::live::{kept_or_applied, netns};
use crate::session::Session;

const SYSCTL: &str = "/etc/sysctl.d/90-lowlat.conf";
const TMPFILES: &str = "/etc/tmpfiles.d/90-lowlat.conf";
const SERVICE: &str = "/etc/systemd/system/lowlat.service";
const HOLDER: &str = "/etc/systemd/system/lowlat-dma-latency.service";
/// Tenths of a second for which the service waits for an interface to come up. The DHCP of a slow switch port takes 30 s
/// (spanning tree's two forward delays of 15 s, IEEE 802.1D), but an interface is up before it; a minute leaves room.
const PATIENCE: u32 = 600;
/// Pulls both services in at boot. A unit is enabled by links, which are no files lowlat could own; a drop-in of the
/// target says the same (systemd.unit(5), "unit.type.d/").
const WANTS: &str = "/etc/systemd/system/multi-user.target.d/90-lowlat.conf";
const HEAD: &str = "# Written by `lowlat persist`; `lowlat rollback` removes it.\n";

/// Where a service's shell looks for programs (systemd.exec(5), `$PATH`), on hosts with and without a merged `/usr`.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What [`persist`] did; nothing at all if nothing stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Files written.
    pub wrote: Vec<String>,
    /// A line for each setting that is not kept, and what else there is to know.
    pub remarks: Vec<String>,
}

impl Kept {
    /// Nothing stands applied, so nothing was to be kept.
    pub fn is_empty(&self) -> bool {
        self.wrote.is_empty() && self.remarks.is_empty()
    }
}

/// Writes the files that set again at boot what stands applied now.
pub fn persist(store: &Store, sys: &dyn Sys) -> Result<Kept, ApplyError> {
    if kept_or_applied(store, sys)?.is_empty() {
        return Ok(Kept::default());
    }
    let mut session = Session::begin(store, sys)?;
    let program = std::env::current_exe().map_or_else(|_| "lowlat".to_owned(), |p| p.display().to_string());
    // Read again under the lock.
    let all = kept_or_applied(store, sys)?;
    let mut wanted = choose(&all, netns(sys)?, in_boot_namespace(sys), |l| lowlat_settings::state(sys, l));
    wanted.commands.sort_by_key(|c| !c.resets_link);
    let files = wanted.files(&program);
    let mut remarks = wanted.lines;
    if files.is_empty() {
        session.leave_open()?;
        return Ok(Kept { wrote: Vec::new(), remarks });
    }
    if sys.list("/run/systemd/system").value().is_none() && files.keys().any(|path| *path != SYSCTL) {
        remarks.push("this host does not run systemd, so only sysctls come back at boot".to_owned());
    }
    remarks.extend(missing(&wanted.commands, |program| {
        // What is not to be listed does not hold it; a link counts, whatever it leads to.
        PATH.iter().any(|dir| sys.list(dir).value().is_some_and(|names| names.iter().any(|n| n == program)))
    }));
    let ops = files.iter().map(|(path, text)| Op::text(Locus::DropIn { path: (*path).to_owned() }, text.as_str()));
    let step = PlannedStep {
        knob: KNOB.to_owned(),
        phase: 2,
        target: Target::Host,
        from: String::new(),
        to: String::new(),
        risk: Risk::Low,
        reason: String::new(),
        undo: String::new(),
        ops: ops.collect(),
        prior: Vec::new(),
        resets_link: false,
        ..PlannedStep::default()
    };
    match session.apply(sys, &step) {
        Ok(_) => {}
        Err(crate::StepError::Apply(error)) => {
            // The journal's failure is the one to tell; what was written of the files is in it.
            let _ = session.rollback(sys);
            return Err(error);
        }
        Err(error) => {
            session.rollback(sys)?;
            return Err(ApplyError::Persist { why: error.to_string() });
        }
    }
    session.leave_open()?;
    Ok(Kept { wrote: files.into_keys().map(str::to_owned).collect(), remarks })
}

/// What is to be kept, by the way it is kept.
#[derive(Debug, Default)]
struct Wanted {
    sysctls: Vec<(String, String)>,
    files: Vec<(String, String)>,
    commands: Vec<Line>,
    /// Those of `commands`, as they stand.
    kept: Vec<(Locus, State)>,
    ifaces: BTreeSet<String>,
    hold_us: Option<String>,
    lines: Vec<String>,
}

/// The newest value of each place that still stands as lowlat left it. `boots` is whether the host's boot sets this
/// namespace.
fn choose(
    all: &[(NetnsId, StandingWrite)],
    here: NetnsId,
    boots: bool,
    now: impl Fn(&Locus) -> Reading<State>,
) -> Wanted {
    let mut wanted = Wanted::default();
    for (n, (netns, s)) in all.iter().enumerate() {
        let locus = &s.op.locus;
        let kind = at(locus);
        let place = |other: &(NetnsId, StandingWrite)| {
            !other.1.is_guard() && other.1.op.locus == *locus && (other.0 == *netns || !kind.of_namespace())
        };
        if s.is_guard() || all[n + 1..].iter().any(place) {
            continue;
        }
        if kind.at_boot() == AtBoot::Itself {
            if s.knob != KNOB {
                wanted.lines.push(format!("{} keeps itself", words(locus)));
            }
            continue;
        }
        if let AtBoot::Never { why } = kind.at_boot() {
            wanted.lines.push(format!("{} is not kept: {why}", words(locus)));
            continue;
        }
        if kind.of_namespace() && !(netns.is(here) && boots) {
            wanted.lines.push(format!("{} is not kept: it belongs to the network namespace {netns}", words(locus)));
            continue;
        }
        if s.holder.is_none() && !now(locus).value().is_some_and(|now| same(locus, now, s.ours())) {
            wanted.lines.push(format!("{} is not kept: it is no longer what lowlat set", words(locus)));
            continue;
        }
        wanted.add(s);
    }
    wanted.set_at_once();
    wanted
}

/// One line of the service.
#[derive(Debug)]
struct Line {
    /// What it resets is set by later lines.
    resets_link: bool,
    /// Settings that no other line sets: 0 for a line that sets several at once before each has its own.
    settings: usize,
    text: String,
}

impl Wanted {
    fn add(&mut self, s: &StandingWrite) {
        let (locus, value) = (&s.op.locus, s.ours().to_string());
        match at(locus).at_boot() {
            AtBoot::Holder => self.hold_us = Some(s.op.set.to_string()),
            AtBoot::Sysctl(key) => self.sysctls.push((dotted(&key), value)),
            AtBoot::Tmpfile(path) => self.files.push((path, value)),
            AtBoot::Command { resets } => {
                self.ifaces.extend(locus.iface().map(str::to_owned));
                self.kept.push((locus.clone(), s.ours().clone()));
                self.commands.push(Line { resets_link: resets, settings: 1, text: undo(locus, s.ours()) });
            }
            AtBoot::Itself | AtBoot::Never { .. } => {}
        }
    }

    /// Before the lines of what is written together, one for all of it: a driver may take them only so.
    fn set_at_once(&mut self) {
        let mut rest: Vec<(&Locus, &State)> = self.kept.iter().map(|(l, s)| (l, s)).collect();
        let mut lines = Vec::new();
        while let Some((first, _)) = rest.first().copied() {
            let (mine, others) =
                rest.into_iter().partition(|(l, _)| *l == first || lowlat_settings::together(first, l));
            rest = others;
            let mine: Vec<(&Locus, &State)> = mine;
            lines.extend(undo_together(&mine).map(|text| Line { resets_link: false, settings: 0, text }));
        }
        self.commands.splice(0..0, lines);
    }

    fn files(&self, program: &str) -> BTreeMap<&'static str, String> {
        let mut out = BTreeMap::new();
        let mut wants = Vec::new();
        if !self.sysctls.is_empty() {
            let lines = self.sysctls.iter().map(|(key, value)| format!("{key} = {}\n", blanks(value)));
            out.insert(SYSCTL, HEAD.to_owned() + &lines.collect::<String>());
        }
        if !self.files.is_empty() {
            // tmpfiles.d(5): a percent sign in the argument begins a specifier.
            let lines =
                self.files.iter().map(|(path, value)| format!("w {path} - - - - {}\n", value.replace('%', "%%")));
            out.insert(TMPFILES, HEAD.to_owned() + &lines.collect::<String>());
        }
        if !self.commands.is_empty() {
            wants.push("lowlat.service");
            out.insert(SERVICE, self.service());
        }
        if let Some(us) = &self.hold_us {
            wants.push("lowlat-dma-latency.service");
            out.insert(HOLDER, holder(program, us));
        }
        if !wants.is_empty() {
            out.insert(WANTS, format!("{HEAD}[Unit]\nWants={}\n", wants.join(" ")));
        }
        out
    }

    fn service(&self) -> String {
        let devices: Vec<String> =
            self.ifaces.iter().map(|i| format!("sys-subsystem-net-devices-{}.device", escaped(i))).collect();
        let devices = devices.join(" ");
        let mut out = format!(
            "{HEAD}[Unit]\nDescription=Settings kept by lowlat\nWants={devices}\nAfter={devices} network.target\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStartSec={}\n",
            // A minute for each interface, and the shell commands.
            60 * self.ifaces.len() + 60,
        );
        for iface in &self.ifaces {
            // `carrier` of an interface that is not up cannot be read (net/core/net-sysfs.c, carrier_show).
            let wait = format!(
                "n=0; until cat /sys/class/net/{}/carrier || [ $n -ge {PATIENCE} ]; do n=$((n + 1)); sleep 0.1; done",
                shell::quote(iface)
            );
            let _ = writeln!(out, "ExecStartPre=-/bin/sh -c \"{} > /dev/null 2>&1\"", quoted(&wait));
        }
        for command in &self.commands {
            // The dash: one setting that a new kernel refuses must not keep the others from being set.
            let _ = writeln!(out, "ExecStart=-/bin/sh -c \"{}\"", quoted(&command.text));
        }
        out
    }
}

/// A remark for each program that the service's lines run and the host lacks.
fn missing(commands: &[Line], here: impl Fn(&str) -> bool) -> Vec<String> {
    let runs = |program: &str| {
        // The first word of each command; an interface may be named like a program.
        let firsts =
            |line: &Line| line.text.split(['|', ';', '&', '(']).any(|c| c.split_whitespace().next() == Some(program));
        commands.iter().filter(|line| firsts(line)).map(|line| line.settings).sum::<usize>()
    };
    ["ethtool", "tc", "ip", "hwstamp_ctl"]
        .into_iter()
        .map(|program| (program, runs(program)))
        .filter(|(program, lines)| *lines > 0 && !here(program))
        .map(|(program, lines)| {
            let package = match program {
                "ethtool" => "ethtool",
                "hwstamp_ctl" => "linuxptp",
                _ => "iproute2",
            };
            format!(
                "`{program}` is not on this host, and {lines} of the settings in {SERVICE} need it at boot: install the \
                 package {package}"
            )
        })
        .collect()
}

/// The holder waits for its order on standard input, as it does when lowlat starts it.
fn holder(program: &str, us: &str) -> String {
    format!(
        "{HEAD}[Unit]\nDescription=Wake-up latency limit kept by lowlat\n\n[Service]\n\
         ExecStart=\"{}\" hold-dma-latency {us}\nStandardInput=data\nStandardInputText=go\n",
        quoted(program)
    )
}

/// `net/core/busy_read` as `net.core.busy_read`; with a dot in a name the slashes stay, which sysctl.d(5) allows.
fn dotted(key: &str) -> String {
    if key.contains('.') { key.to_owned() } else { key.replace('/', ".") }
}

fn blanks(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Inside double quotes of an `ExecStart=` (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers").
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$").replace('%', "%%")
}

/// A name as part of a unit's name (systemd.unit(5), "String escaping for inclusion in unit names").
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for (n, b) in name.bytes().enumerate() {
        if b.is_ascii_alphanumeric() || b == b'_' || b == b':' || (b == b'.' && n > 0) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use lowlat_model::op::Target;

    use super::*;

    const HERE: NetnsId = NetnsId { inode: 1, cookie: Some(10) };

    fn stands(knob: &str, target: &str, locus: Locus, to: &str) -> (NetnsId, StandingWrite) {
        let standing = StandingWrite {
            seq: 0,
            knob: knob.into(),
            target: target.parse::<Target>().unwrap(),
            op: Op::text(locus, to),
            prior: State::Text("before".into()),
            read_back: None,
            holder: None,
            device: None,
            beside: Vec::new(),
            changed: None,
            at: None,
        };
        (HERE, standing)
    }

    fn file(path: &str) -> Locus {
        Locus::File { path: path.into() }
    }

    #[test]
    fn each_setting_goes_where_the_host_reads_it() {
        let busy = || file("/proc/sys/net/core/busy_read");
        let rps = || file("/sys/class/net/lan-0/queues/rx-0/rps_cpus");
        let governor = || file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        let elsewhere =
            (NetnsId { inode: 2, cookie: None }, stands("x", "host", file("/proc/sys/net/ipv4/tcp_sack"), "1").1);
        let all = [
            stands("a", "host", busy(), "20"),
            stands("a", "host", busy(), "50"),
            stands("b", "lan-0/rx-0", rps(), "3"),
            stands("c", "cpu0", governor(), "performance"),
            stands("d", "host", file("/proc/sys/net/core/rmem_max"), "1"),
            stands("e", "host", file("/proc/sys/net/ipv4/conf/e.5/forwarding"), "1"),
            elsewhere,
        ];
        let now = |l: &Locus| match l {
            Locus::File { path } if path.ends_with("rmem_max") => Reading::Value(State::Text("2".into())),
            Locus::File { path } if path.ends_with("busy_read") => Reading::Value(State::Text("50".into())),
            l => Reading::Value(all.iter().find(|(_, s)| s.op.locus == *l).unwrap().1.op.set.clone()),
        };
        let wanted = choose(&all, HERE, true, now);
        assert_eq!(wanted.lines.len(), 2, "{:?}", wanted.lines);
        assert!(wanted.lines[0].contains("no longer") && wanted.lines[1].contains("net:[2]"));
        let files = wanted.files("/usr/bin/lowlat");
        assert_eq!(files[SYSCTL], format!("{HEAD}net.core.busy_read = 50\nnet/ipv4/conf/e.5/forwarding = 1\n"));
        assert!(files[TMPFILES].ends_with("cpufreq/scaling_governor - - - - performance\n"), "{}", files[TMPFILES]);
        let service = &files[SERVICE];
        assert!(service.contains("After=sys-subsystem-net-devices-lan\\x2d0.device"), "{service}");
        assert!(
            service
                .contains(r#"ExecStart=-/bin/sh -c "printf '%%s\\n' 3 > /sys/class/net/lan-0/queues/rx-0/rps_cpus""#),
            "{service}"
        );
        assert!(files[WANTS].ends_with("Wants=lowlat.service\n"));
        assert!(!files.contains_key(HOLDER));
    }

    #[test]
    fn what_no_boot_can_set_is_said_and_not_written() {
        let locus = Locus::Napi { iface: "lan0".into(), id: 8193, param: "defer-hard-irqs".into() };
        let all = [stands("nic.napi-defer-hard-irqs", "lan0/napi-0", locus, "2")];
        let wanted = choose(&all, HERE, true, |_| Reading::Value(State::Text("2".into())));
        assert!(wanted.commands.is_empty() && wanted.files("lowlat").is_empty());
        assert!(wanted.lines[0].contains("is not kept: no tool"), "{:?}", wanted.lines);
    }

    #[test]
    fn coalescing_parameters_of_an_interface_are_set_at_once_and_one_by_one() {
        let param = |param: &str| Locus::Coalesce { iface: "lan0".into(), param: param.into() };
        let all = [
            stands("nic.coalesce.adaptive-rx", "lan0", param("adaptive-rx"), "0"),
            stands("nic.coalesce.rx-usecs", "lan0", param("rx-usecs"), "0"),
        ];
        let now = |l: &Locus| Reading::Value(all.iter().find(|(_, s)| s.op.locus == *l).unwrap().1.op.set.clone());
        let wanted = choose(&all, HERE, true, now);
        let lines: Vec<&str> = wanted.commands.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(
            lines,
            [
                "ethtool -C lan0 adaptive-rx off rx-usecs 0",
                "ethtool -C lan0 adaptive-rx off",
                "ethtool -C lan0 rx-usecs 0"
            ]
        );
        let one = choose(&all[..1], HERE, true, now);
        assert_eq!(one.commands.len(), 1, "one parameter alone needs no line for several");
    }

    #[test]
    fn a_limit_is_kept_by_a_service_that_is_given_its_order() {
        let mut limit = stands("cpu.dma-latency", "host", Locus::CpuDmaLatency, "20");
        limit.1.holder = Some(crate::ledger::HolderId { pid: 9, start_time: 9, token: None });
        let files = choose(&[limit], HERE, true, |_| Reading::Value(State::Text("0".into()))).files("/opt/a b/lowlat");
        assert!(files[HOLDER].contains("ExecStart=\"/opt/a b/lowlat\" hold-dma-latency 20\n"), "{}", files[HOLDER]);
        assert!(files[HOLDER].contains("StandardInputText=go\n"));
    }

    #[test]
    fn a_program_the_boot_needs_and_the_host_lacks_is_told() {
        let line = |text: &str| Line { resets_link: false, settings: 1, text: text.to_owned() };
        let commands = [
            line("ethtool -K lan0 gro off"),
            line("ethtool -C lan0 rx-usecs 0"),
            line("ip route change $(ip route show exact 192.0.2.0/24 dev tc) dev tc"),
            line("echo 3 > /sys/class/net/tc/queues/rx-0/rps_cpus"),
        ];
        assert_eq!(missing(&commands, |_| true), [""; 0]);
        let told = missing(&commands, |program| program == "ip");
        assert!(told.len() == 1 && told[0].contains("`ethtool`") && told[0].contains("2 of the settings"), "{told:?}");
        assert!(missing(&commands, |program| program == "ethtool").iter().any(|r| r.contains("iproute2")));
    }
}
