//! Keeping what is applied over a reboot: files that the host itself reads at boot, without lowlat.
//!
//! | what | where |
//! |---|---|
//! | sysctls | `/etc/sysctl.d/90-lowlat.conf` |
//! | files of processors and memory nodes | `/etc/tmpfiles.d/90-lowlat.conf` |
//! | everything of an interface | `lowlat.service`, which runs when the interface is there |
//! | which interface that is | `/etc/udev/rules.d/90-lowlat.rules`, a name of the device that no boot changes |
//! | the wake-up latency limit | `lowlat-dma-latency.service`, which holds it |
//! | interrupts that irqbalance would move | a drop-in of `irqbalance.service`, which adds to its command |
//! | a boot parameter's first boot | an entry of the boot loader's menu that is asked for once (`boot_entry`) |
//!
//! The service sets what resets a link first (channels, rings): the rest would be lost in it. Before all it waits until
//! each interface is up: an interrupt is requested, and its affinity settable, only then (`ndo_open`; an igb without it
//! answers ENOENT), and `network.target` does not promise it (systemd.special(7)). A physical interface is looked for by
//! its address and its place on the bus, whatever it is called in that boot ([`crate::boot_iface`]).
//!
//! Files of an interface under `/sys` are not left to tmpfiles: it runs once and early, and a line whose file is not
//! there yet is passed over in silence (tmpfiles.d(5)).
//!
//! A setting that something else sets after these files is not written, and the one that wins is named (`lowlat-owners`).
//!
//! The files are written like every other setting: journalled, read back, and removed by `lowlat rollback`, or alone by
//! [`remove`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lowlat_model::journal::{Device, NetnsId};
use lowlat_model::op::Target;
use lowlat_model::{Claim, Locus, Op, PlannedStep, Reading, Risk, State};
use lowlat_owners::{Host, irqbalance};
use lowlat_settings::boot::in_drop_in;
use lowlat_settings::{AtBoot, at, same, undo, undo_together, words};
use lowlat_sys::Sys;
use lowlat_sys::store::Store;

use crate::boot::{KNOB, in_boot_namespace};
use crate::boot_entry::once;
use crate::boot_iface::{BootIface, DIRECTORY, RULES, on_the_name};
use crate::error::ApplyError;
use crate::ledger::StandingWrite;
use crate::live::{kept_or_applied, netns, roll_back_persisted};
use crate::rollback::RollbackReport;
use crate::session::Session;

const SYSCTL: &str = "/etc/sysctl.d/90-lowlat.conf";
const TMPFILES: &str = "/etc/tmpfiles.d/90-lowlat.conf";
const SERVICE: &str = "/etc/systemd/system/lowlat.service";
const HOLDER: &str = "/etc/systemd/system/lowlat-dma-latency.service";
/// Pulls both services in at boot. A unit is enabled by links, which are not files lowlat could own; a drop-in of the
/// target says the same (systemd.unit(5), "unit.type.d/").
const WANTS: &str = "/etc/systemd/system/multi-user.target.d/90-lowlat.conf";
const HEAD: &str = "# Written by `lowlat persist`; `lowlat persist --remove` removes it.\n";

/// Where a service's shell looks for programs (systemd.exec(5), `$PATH`), on hosts with and without a merged `/usr`.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What [`persist`] did; nothing at all if nothing stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Files written.
    pub wrote: Vec<String>,
    /// A line for each setting that is not kept, and what else there is to know.
    pub remarks: Vec<String>,
    /// A setting is not kept because something else sets it after these files.
    pub contested: bool,
}

impl Kept {
    /// Nothing stands applied, so nothing was to be kept.
    pub fn is_empty(&self) -> bool {
        self.wrote.is_empty() && self.remarks.is_empty()
    }
}

/// The files that [`persist`] would write, and what it would say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Path and text.
    pub files: BTreeMap<&'static str, String>,
    /// As [`Kept::remarks`].
    pub remarks: Vec<String>,
    /// As [`Kept::contested`].
    pub contested: bool,
}

/// What [`persist`] would write now; changes nothing.
pub fn draft(store: &Store, sys: &dyn Sys) -> Result<Draft, ApplyError> {
    let all = kept_or_applied(store, sys)?;
    if all.is_empty() {
        return Ok(Draft::default());
    }
    let program = std::env::current_exe().map_or_else(|_| "lowlat".to_owned(), |p| p.display().to_string());
    let owners = Host::new(sys);
    let surroundings = Surroundings {
        here: netns(sys)?,
        boots: in_boot_namespace(sys),
        now: &|l| lowlat_settings::state(sys, l),
        others: &|l, s| owners.others(l, s),
        device: &|l| crate::device::of(sys, l),
        irqbalance: irqbalance::command(&owners).filter(|c| mergeable(c)),
    };
    let mut wanted = choose(&all, &surroundings);
    wanted.commands.sort_by_key(|c| !c.resets_link);
    let mut files = wanted.files(&program, surroundings.irqbalance.as_deref());
    let (mut remarks, contested) = (std::mem::take(&mut wanted.lines), wanted.contested);
    remarks.extend(first_boot(sys, &wanted.boot, &mut files));
    if sys.list("/run/systemd/system").value().is_none() && files.keys().any(|path| *path != SYSCTL) {
        remarks.push("this host does not run systemd, so only sysctls are set at boot".to_owned());
    }
    if !files.is_empty() {
        remarks.extend(missing(&wanted.commands, |program| {
            // What is not to be listed does not hold it; a link counts, whatever it leads to.
            PATH.iter().any(|dir| sys.list(dir).value().is_some_and(|names| names.iter().any(|n| n == program)))
        }));
    }
    Ok(Draft { files, remarks, contested })
}

/// The entry for the first boot of the parameters that this boot was not given, and what to do with it.
fn first_boot(sys: &dyn Sys, boot: &[String], files: &mut BTreeMap<&'static str, String>) -> Option<String> {
    let given = sys.read("/proc/cmdline").into_value().unwrap_or_default();
    let new: Vec<String> = boot.iter().filter(|p| !given.split_whitespace().any(|w| w == *p)).cloned().collect();
    if new.is_empty() {
        return None;
    }
    let words = new.join(" ");
    Some(match once(sys, &new) {
        Ok(entry) => {
            files.insert(entry.path, entry.text);
            format!(
                "{words}: to boot once with it, run `{}` after this and reboot; if that boot fails, the next one is without \
                 it. The parameter stays only when its own drop-in is taken over with `update-grub`",
                entry.command
            )
        }
        Err(why) => format!("{words}: no entry for a first boot: {why}"),
    })
}

/// Writes the files that set again at boot what is applied now.
pub fn persist(store: &Store, sys: &dyn Sys) -> Result<Kept, ApplyError> {
    if kept_or_applied(store, sys)?.is_empty() {
        return Ok(Kept::default());
    }
    let mut session = Session::begin(store, sys)?;
    // Read under the lock.
    let Draft { files, remarks, contested } = draft(store, sys)?;
    if files.is_empty() {
        session.leave_open()?;
        return Ok(Kept { wrote: Vec::new(), remarks, contested });
    }
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
    Ok(Kept { wrote: files.into_keys().map(str::to_owned).collect(), remarks, contested })
}

/// Takes away the files that [`persist`] wrote, and nothing else: each is as it was before, or gone.
pub fn remove(store: &Store, sys: &dyn Sys) -> Result<RollbackReport, ApplyError> {
    roll_back_persisted(store, sys)
}

/// What `choose` looks at besides the standing writes.
struct Surroundings<'a> {
    here: NetnsId,
    /// Whether the host's boot sets this namespace.
    boots: bool,
    now: &'a dyn Fn(&Locus) -> Reading<State>,
    others: &'a dyn Fn(&Locus, &State) -> Vec<Claim>,
    /// What identifies the interface of a place now.
    device: &'a dyn Fn(&Locus) -> Option<Device>,
    /// The command of irqbalance's unit, where it can be added to.
    irqbalance: Option<String>,
}

/// Whether a unit's command can stand in double quotes for a shell: with a specifier or quotes of its own it means another
/// thing there.
fn mergeable(command: &str) -> bool {
    !command.contains(['%', '"', '\'', '\\', ';', '|', '&', '`', '('])
}

/// What is to be kept, by the way it is kept.
#[derive(Debug, Default)]
struct Wanted {
    sysctls: Vec<(String, String)>,
    files: Vec<(String, String)>,
    commands: Vec<Line>,
    /// Those of `commands`, as they stand.
    kept: Vec<(Locus, State)>,
    /// By their present names.
    ifaces: BTreeMap<String, BootIface>,
    /// Interrupt lines that irqbalance is kept away from.
    banned: BTreeSet<(String, u32)>,
    hold_us: Option<String>,
    /// Boot parameters, `NAME=VALUE`.
    boot: Vec<String>,
    lines: Vec<String>,
    contested: bool,
}

fn parameter(drop_in: &State) -> Option<String> {
    let State::Text(text) = drop_in else { return None };
    in_drop_in(text).map(str::to_owned)
}

/// The newest value of each place that still stands as lowlat left it.
fn choose(all: &[(NetnsId, StandingWrite)], around: &Surroundings<'_>) -> Wanted {
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
                wanted.boot.extend(parameter(s.ours()));
            }
            continue;
        }
        if let AtBoot::Never { why } = kind.at_boot() {
            wanted.lines.push(format!("{} is not kept: {why}", words(locus)));
            continue;
        }
        if kind.of_namespace() && !(netns.is(around.here) && around.boots) {
            wanted.lines.push(format!("{} is not kept: it belongs to the network namespace {netns}", words(locus)));
            continue;
        }
        if s.holder.is_none() && !(around.now)(locus).value().is_some_and(|now| same(locus, now, s.ours())) {
            wanted.lines.push(format!("{} is not persisted: it is no longer what lowlat set", words(locus)));
            continue;
        }
        if wanted.settle(s, around) {
            wanted.add(s, around);
        }
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
    /// Whether lowlat's value can stand after a boot, and reports what others want there.
    fn settle(&mut self, s: &StandingWrite, around: &Surroundings<'_>) -> bool {
        let locus = &s.op.locus;
        let mut claims = (around.others)(locus, s.ours());
        if let (Locus::IrqAffinity { iface, index }, true) = (locus, around.irqbalance.is_some()) {
            let before = claims.len();
            claims.retain(|c| c.by != "irqbalance");
            if claims.len() < before {
                self.banned.insert((iface.clone(), *index));
                self.lines.push(format!(
                    "{}: irqbalance is configured to leave it alone, from the next boot on or after `systemctl daemon-reload \
                     && systemctl restart lowlat irqbalance`",
                    words(locus)
                ));
            }
        }
        let wins = claims.iter().any(|c| c.wins);
        for claim in claims.into_iter().filter(|c| c.wins || !wins) {
            let what = if claim.wins { " is not kept" } else { "" };
            self.lines.push(format!("{}{what}: {claim}", words(locus)));
        }
        self.contested |= wins;
        !wins
    }

    fn add(&mut self, s: &StandingWrite, around: &Surroundings<'_>) {
        let (locus, value) = (&s.op.locus, s.ours().to_string());
        match at(locus).at_boot() {
            AtBoot::Holder => self.hold_us = Some(s.op.set.to_string()),
            AtBoot::Sysctl(key) => self.sysctls.push((dotted(&key), value)),
            AtBoot::Tmpfile(path) => self.files.push((path, value)),
            AtBoot::Command { resets } => {
                if let Some(iface) = locus.iface().filter(|i| !self.ifaces.contains_key(*i)) {
                    let device = (around.device)(locus).or_else(|| s.device.clone()).unwrap_or_default();
                    self.ifaces.insert(iface.to_owned(), BootIface::of(iface, &device));
                }
                self.kept.push((locus.clone(), s.ours().clone()));
                let text = self.by_name(locus, |l| Some(undo(l, s.ours()))).unwrap_or_default();
                self.commands.push(Line { resets_link: resets, settings: 1, text });
            }
            AtBoot::Itself | AtBoot::Never { .. } => {}
        }
    }

    /// A command for a place, by the name that its interface has in the boot that runs it.
    fn by_name(&self, locus: &Locus, command: impl Fn(&Locus) -> Option<String>) -> Option<String> {
        match locus.iface().and_then(|i| self.ifaces.get(i)) {
            Some(iface) if iface.is_physical() => {
                let text = on_the_name(|name| command(&locus.on(name)))?;
                Some(format!("{} && {{ {text}; }}", iface.name_of()))
            }
            _ => command(locus),
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
            let at_once = |first: &Locus| {
                let name = first.iface();
                let places: Vec<(Locus, &State)> =
                    mine.iter().map(|(l, s)| (name.map_or_else(|| (*l).clone(), |n| l.on(n)), *s)).collect();
                undo_together(&places.iter().map(|(l, s)| (l, *s)).collect::<Vec<_>>())
            };
            let text = self.by_name(first, at_once);
            lines.extend(text.map(|text| Line { resets_link: false, settings: 0, text }));
        }
        self.commands.splice(0..0, lines);
    }

    fn files(&self, program: &str, irqbalance: Option<&str>) -> BTreeMap<&'static str, String> {
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
            let rules: String = self.ifaces.values().filter_map(BootIface::rule).collect();
            if !rules.is_empty() {
                out.insert(RULES, HEAD.to_owned() + &rules);
            }
        }
        if let (false, Some(command)) = (self.banned.is_empty(), irqbalance) {
            out.insert(irqbalance::DROP_IN, with_banned_lines(command));
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
        let devices: Vec<String> = self.ifaces.values().map(BootIface::device_unit).collect();
        let devices = devices.join(" ");
        let mut out = format!(
            "{HEAD}[Unit]\nDescription=Settings kept by lowlat\nWants={devices}\nAfter={devices} network.target\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nRuntimeDirectory={DIRECTORY}\nTimeoutStartSec={}\n",
            // A minute for each interface, and the shell commands.
            60 * self.ifaces.len() + 60,
        );
        for iface in self.ifaces.values() {
            let _ = writeln!(out, "ExecStartPre=-/bin/sh -c \"{}\"", quoted(&iface.wait()));
        }
        for command in &self.commands {
            // The dash: one setting that a new kernel refuses must not keep the others from being set.
            let _ = writeln!(out, "ExecStart=-/bin/sh -c \"{}\"", quoted(&command.text));
        }
        for (iface, index) in &self.banned {
            let locus = Locus::IrqAffinity { iface: iface.clone(), index: *index };
            let number = |l: &Locus| l.iface().map(|i| lowlat_settings::irq_affinity::number_in_shell(i, *index));
            if let Some(text) = self.by_name(&locus, number) {
                let _ = writeln!(out, "ExecStart=-/bin/sh -c \"{{ {}; }} >> {BANNED}\"", quoted(&text));
            }
        }
        out
    }
}

/// The numbers of this boot's lines that irqbalance leaves alone.
const BANNED: &str = "/run/lowlat-boot/banned";

/// irqbalance's own command with the banned lines behind it. An `ExecStart=` without a value clears the list
/// (systemd.service(5)); the shell is replaced by irqbalance, so that the unit's process is the same.
fn with_banned_lines(command: &str) -> String {
    let command = format!("exec {command} $(sed 's/^/--banirq=/' {BANNED} 2>/dev/null)");
    format!(
        "{HEAD}[Unit]\nAfter=lowlat.service\n\n[Service]\nExecStart=\nExecStart=/bin/sh -c \"{}\"\n",
        quoted(&command)
    )
}

/// A remark for each program that the service's lines run and the host lacks.
fn missing(commands: &[Line], here: impl Fn(&str) -> bool) -> Vec<String> {
    let runs = |program: &str| {
        // The first word of each command; an interface may be named like a program.
        let firsts = |line: &Line| {
            line.text.split(['|', ';', '&', '(', '{']).any(|c| c.split_whitespace().next() == Some(program))
        };
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

    /// A host that boots this namespace, with nobody else on it.
    fn kept(all: &[(NetnsId, StandingWrite)], now: &dyn Fn(&Locus) -> Reading<State>) -> Wanted {
        choose(all, &around(now, &|_, _| Vec::new()))
    }

    fn around<'a>(
        now: &'a dyn Fn(&Locus) -> Reading<State>,
        others: &'a dyn Fn(&Locus, &State) -> Vec<Claim>,
    ) -> Surroundings<'a> {
        Surroundings { here: HERE, boots: true, now, others, device: &|_| None, irqbalance: None }
    }

    fn claim(by: &str, wins: bool) -> Claim {
        let (rule, remedy) = ("it comes last (x(5))".to_owned(), "change it".to_owned());
        Claim { by: by.to_owned(), file: Some("/f:1".to_owned()), sets: None, runs: true, wins, rule, remedy }
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
        let wanted = kept(&all, &now);
        assert_eq!(wanted.lines.len(), 2, "{:?}", wanted.lines);
        assert!(wanted.lines[0].contains("no longer") && wanted.lines[1].contains("net:[2]"));
        let files = wanted.files("/usr/bin/lowlat", None);
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
        let wanted = kept(&all, &|_| Reading::Value(State::Text("2".into())));
        assert!(wanted.commands.is_empty() && wanted.files("lowlat", None).is_empty());
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
        let wanted = kept(&all, &now);
        let lines: Vec<&str> = wanted.commands.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(
            lines,
            [
                "ethtool -C lan0 adaptive-rx off rx-usecs 0",
                "ethtool -C lan0 adaptive-rx off",
                "ethtool -C lan0 rx-usecs 0"
            ]
        );
        let one = kept(&all[..1], &now);
        assert_eq!(one.commands.len(), 1, "one parameter alone needs no line for several");
    }

    #[test]
    fn a_limit_is_kept_by_a_service_that_is_given_its_order() {
        let mut limit = stands("cpu.dma-latency", "host", Locus::CpuDmaLatency, "20");
        limit.1.holder = Some(crate::ledger::HolderId { pid: 9, start_time: 9, token: None });
        let files = kept(&[limit], &|_| Reading::Value(State::Text("0".into()))).files("/opt/a b/lowlat", None);
        assert!(files[HOLDER].contains("ExecStart=\"/opt/a b/lowlat\" hold-dma-latency 20\n"), "{}", files[HOLDER]);
        assert!(files[HOLDER].contains("StandardInputText=go\n"));
    }

    #[test]
    fn a_program_the_boot_needs_and_the_host_lacks_is_reported() {
        let line = |text: &str| Line { resets_link: false, settings: 1, text: text.to_owned() };
        let commands = [
            line("ethtool -K lan0 gro off"),
            line("ethtool -C lan0 rx-usecs 0"),
            line("ip route change $(ip route show exact 192.0.2.0/24 dev tc) dev tc"),
            line("echo 3 > /sys/class/net/tc/queues/rx-0/rps_cpus"),
        ];
        assert_eq!(missing(&commands, |_| true), [""; 0]);
        let reported = missing(&commands, |program| program == "ip");
        assert!(
            reported.len() == 1 && reported[0].contains("`ethtool`") && reported[0].contains("2 of the settings"),
            "{reported:?}"
        );
        assert!(missing(&commands, |program| program == "ethtool").iter().any(|r| r.contains("iproute2")));
    }

    #[test]
    fn what_something_else_sets_later_is_not_written_and_the_winner_named() {
        let all = [
            stands("a", "host", file("/proc/sys/net/core/busy_read"), "50"),
            stands("b", "host", file("/proc/sys/net/core/busy_poll"), "50"),
        ];
        let now = |l: &Locus| Reading::Value(all.iter().find(|(_, s)| s.op.locus == *l).unwrap().1.op.set.clone());
        let others = |l: &Locus, _: &State| match l {
            Locus::File { path } if path.ends_with("busy_read") => vec![claim("later", true), claim("harmless", false)],
            _ => vec![claim("earlier", false)],
        };
        let wanted = choose(&all, &around(&now, &others));
        assert_eq!(wanted.files("lowlat", None)[SYSCTL], format!("{HEAD}net.core.busy_poll = 50\n"));
        assert!(wanted.contested);
        let lines: Vec<&str> = wanted.lines.iter().map(String::as_str).collect();
        assert_eq!(
            lines,
            [
                "/proc/sys/net/core/busy_read is not kept: later sets it as it decides (/f:1): it comes last (x(5)); change it",
                "/proc/sys/net/core/busy_poll: earlier sets it as it decides (/f:1): it comes last (x(5)); change it"
            ]
        );
    }

    #[test]
    fn irqbalance_is_given_the_lines_where_its_unit_can_be_added_to() {
        let irq = Locus::IrqAffinity { iface: "eth0".into(), index: 1 };
        let all = [stands("irq.affinity", "eth0/irq-1", irq, "1")];
        let now = |_: &Locus| Reading::Value(State::Text("1".into()));
        let others = |_: &Locus, _: &State| vec![claim("irqbalance", true)];
        let device = |_: &Locus| Some(device());
        let mut around = Surroundings { device: &device, ..around(&now, &others) };
        let wanted = choose(&all, &around);
        assert!(wanted.contested && wanted.files("lowlat", None).is_empty(), "{:?}", wanted.lines);

        around.irqbalance = Some("/usr/sbin/irqbalance --foreground $IRQBALANCE_ARGS".to_owned());
        let wanted = choose(&all, &around);
        assert!(!wanted.contested && wanted.lines[0].contains("configured to leave it alone"), "{:?}", wanted.lines);
        let files = wanted.files("lowlat", around.irqbalance.as_deref());
        assert!(
            files[irqbalance::DROP_IN].contains(
                "ExecStart=\nExecStart=/bin/sh -c \"exec /usr/sbin/irqbalance --foreground $$IRQBALANCE_ARGS $$(sed "
            ),
            "{}",
            files[irqbalance::DROP_IN]
        );
        assert!(files[SERVICE].contains("sed -n 2p; }; } >> /run/lowlat-boot/banned"), "{}", files[SERVICE]);
        for odd in ["/usr/sbin/irqbalance %i", "/bin/sh -c \"x\"", "/x; y"] {
            assert!(!mergeable(odd), "{odd}");
        }
    }

    fn device() -> Device {
        Device {
            name: "eth0".into(),
            mac: Some("02:00:00:00:00:01".into()),
            path: Some("../../../0000:00:03.0".into()),
            ..Device::default()
        }
    }

    #[test]
    fn a_physical_interface_is_found_by_what_no_boot_changes() {
        let all = [stands("ring", "eth0", Locus::Ring { iface: "eth0".into(), param: "rx".into() }, "512")];
        let now = |_: &Locus| Reading::Value(State::Text("512".into()));
        let device = |_: &Locus| Some(device());
        let wanted = choose(&all, &Surroundings { device: &device, ..around(&now, &|_, _| Vec::new()) });
        let files = wanted.files("lowlat", None);
        assert!(files[SERVICE].contains("After=lowlat-net-eth0.device network.target"), "{}", files[SERVICE]);
        assert!(
            files[SERVICE].contains(r#"i=$$(cat /run/lowlat-boot/if-eth0) && { ethtool -G \"$$i\" rx 512; }"#),
            "{}",
            files[SERVICE]
        );
        assert!(
            files[RULES].contains(
                r#"DRIVERS=="?*", ATTR{address}=="02:00:00:00:00:01", TAG+="systemd", ENV{SYSTEMD_ALIAS}+="/lowlat/net/eth0""#
            ),
            "{}",
            files[RULES]
        );
    }
}
