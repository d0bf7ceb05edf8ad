//! One guest: what to boot, and its outcome.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cache::{self, TempDir};
use super::error::VmError;
use super::process::{Ended, Guarded, Idle, tied};
use super::topology::VmTopology;
use super::{Kernel, Lab};

/// A console beyond this is a runaway script.
const CONSOLE_LIMIT: u64 = 64 << 20;

/// How often a guest that does nothing before it is ready is started again. QEMU 10.0 with CPUs next to each other (no
/// counted time) once in some sixty boots on a busy machine left both halted, with an empty console and no timer that
/// fired, until the time limit; the script has not begun then, so nothing is done twice.
const RESTARTS: u32 = 2;

/// On the kernel's command line of every guest, and of no other machine. With a dot in its name it is a parameter of a
/// module that is never loaded, of which the kernel says nothing (kernel/params.c, `parse_args`; init/main.c,
/// `unknown_bootoption`).
pub(super) const MARK: &str = "lowlat.lab=1";

/// Whether this machine is a guest of the lab.
pub fn inside() -> bool {
    fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_whitespace().any(|word| word == MARK))
}

/// A folder of the host at a path of the guest. (The host's whole root is there anyway, read-only: [`super::in_guest`].)
#[derive(Debug, Clone)]
pub struct Share {
    /// Folder on the host.
    pub host: PathBuf,
    /// Absolute path in the guest.
    pub guest: String,
    /// Whether the guest may write to it.
    pub writable: bool,
}

/// What to boot and run.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The machine and its network.
    pub topology: &'static VmTopology,
    /// Shell script, run as root in the host's root (an overlay: its writes are lost). `$RESULTS` is the results
    /// folder.
    pub script: String,
    /// Further folders.
    pub shares: Vec<Share>,
    /// Folder of the host that the guest writes its results to; made if absent.
    pub results_dir: PathBuf,
    /// Wall time for boot and script together.
    pub time_limit: Duration,
    /// Added to the kernel's command line.
    pub cmdline_extra: String,
    /// Counted instructions: repeatable guest time. Off gives parallel CPUs and noisy time.
    pub icount: bool,
    /// A disk of [`Lab::disk`](super::Lab::disk) that the guest boots from and keeps what it writes on, by its own boot
    /// loader and kernel: the script then runs in its root, once all units of its boot are up. The topology's modules, setup and
    /// command line, and `cmdline_extra`, are not used.
    pub disk: Option<PathBuf>,
}

impl Guest {
    /// A guest with no further shares, counted time, and 120 s.
    pub fn new(topology: &'static VmTopology, script: impl Into<String>, results_dir: impl Into<PathBuf>) -> Self {
        Self {
            topology,
            script: script.into(),
            shares: Vec::new(),
            results_dir: results_dir.into(),
            time_limit: Duration::from_secs(120),
            cmdline_extra: String::new(),
            icount: true,
            disk: None,
        }
    }
}

/// What a guest left.
#[derive(Debug)]
pub struct GuestOutcome {
    /// Exit code of the script.
    pub exit_code: i32,
    /// Everything on the serial console.
    pub console: String,
    /// Wall time from start to power-off.
    pub wall: Duration,
    /// Guest uptime when the network modules were loaded and the script could start.
    pub ready: Option<Duration>,
    /// How often the guest was started again because it slept on its way up.
    pub restarts: u32,
    /// The results folder.
    pub results: PathBuf,
}

impl GuestOutcome {
    /// That it was started again, as an addition to a line; empty where it was not.
    pub fn restarted(&self) -> String {
        if self.restarts == 0 { String::new() } else { format!(", started again {} times: it slept", self.restarts) }
    }
}

pub(super) fn run(lab: &Lab, guest: &Guest, watch: &mut dyn FnMut() -> bool) -> Result<GuestOutcome, VmError> {
    check(lab, guest)?;
    let temp = TempDir::new(&lab.cache)?;
    let control = temp.path().join("ctl");
    let console = temp.path().join("console");
    let complaint = temp.path().join("stderr");
    cache::make(&control)?;
    cache::make(&guest.results_dir)?;
    let results = fs::canonicalize(&guest.results_dir).map_err(VmError::io("resolve", &guest.results_dir))?;
    write_control(&control, guest)?;
    let mut command = lab.qemu.command();
    machine_args(&mut command, lab, guest)?;
    command.args(["-serial", &format!("file:{}", comma_safe(&console)?)]);
    if guest.disk.is_none() {
        folder(&mut command, "hostroot", Path::new("/"), false)?;
        folder(&mut command, "modules", &lab.kernel.modules(), false)?;
    }
    folder(&mut command, "ctl", &control, false)?;
    folder(&mut command, "results", &results, true)?;
    for (index, share) in guest.shares.iter().enumerate() {
        folder(&mut command, &format!("share{index}"), &share.host, share.writable)?;
    }
    let command = guest.topology.host_network.wrap(command, temp.path())?;
    let mut command = tied(&command);
    let stderr = fs::File::create(&complaint).map_err(VmError::io("create", &complaint))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let start = Instant::now();
    let failed = |detail: String| VmError::QemuFailed { topology: guest.topology.name.into(), detail };
    let mut restarts = 0;
    let ended = loop {
        let mut child = Guarded::spawn(&mut command).map_err(|e| failed(e.to_string()))?;
        let (mut go_on, mut asleep, mut idle) = (true, false, Idle::new(child.id()));
        let stop = || {
            go_on = watch();
            asleep = restarts < RESTARTS && idle.is_idle() && !is_ready(&console);
            !go_on || asleep || fs::metadata(&console).is_ok_and(|m| m.len() > CONSOLE_LIMIT)
        };
        let left = guest.time_limit.saturating_sub(start.elapsed());
        let ended = child.wait(left, stop).map_err(|e| failed(e.to_string()))?;
        if !go_on {
            return Err(VmError::Stopped { topology: guest.topology.name.into() });
        }
        if !asleep || ended != Ended::Stopped {
            break ended;
        }
        restarts += 1;
    };
    let wall = start.elapsed();
    let text = fs::read(&console).map(|b| String::from_utf8_lossy(&b).replace('\r', "")).unwrap_or_default();
    let complaint = fs::read_to_string(&complaint).unwrap_or_default();
    let exit_code = judge(guest, &lab.kernel, &ended, &text, &complaint)?;
    let ready = marker(&text, "ready").and_then(|s| s.parse().ok()).map(Duration::from_secs_f64);
    Ok(GuestOutcome { exit_code, console: text, wall, ready, restarts, results })
}

fn check(lab: &Lab, guest: &Guest) -> Result<(), VmError> {
    let topology = guest.topology;
    if lab.qemu.major < topology.min_qemu {
        let (needed, found) = (topology.min_qemu, lab.qemu.major);
        return Err(VmError::QemuTooOld { topology: topology.name, needed, found });
    }
    let bad = |detail: String| Err(VmError::BadGuest { detail });
    if guest.cmdline_extra.contains('\n') {
        return bad("the extra command line holds a line break; write it on one line".into());
    }
    for share in &guest.shares {
        if !share.guest.starts_with('/') || share.guest.contains(char::is_whitespace) {
            return bad(format!("share path {:?} must be absolute and without blanks", share.guest));
        }
        if !share.host.is_dir() {
            return bad(format!("shared folder {} does not exist; create it first", share.host.display()));
        }
    }
    if !topology.setup.is_empty() && !["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].iter().any(|p| Path::new(p).exists())
    {
        return Err(VmError::MissingTool { tool: "ip".into(), package: "iproute2".into() });
    }
    Ok(())
}

fn write_control(dir: &Path, guest: &Guest) -> Result<(), VmError> {
    let shares = guest.shares.iter().enumerate();
    let shares: Vec<String> =
        shares.map(|(i, s)| format!("share{i} {} {}\n", if s.writable { "rw" } else { "ro" }, s.guest)).collect();
    let shares = shares.concat();
    let modules = guest.topology.modules.join("\n");
    let setup = format!("set -e\n{}", guest.topology.setup);
    for (name, text) in [("shares", &shares), ("modules", &modules), ("setup", &setup), ("script", &guest.script)] {
        let path = dir.join(name);
        fs::write(&path, text).map_err(VmError::io("write", path.clone()))?;
    }
    Ok(())
}

fn machine_args(command: &mut Command, lab: &Lab, guest: &Guest) -> Result<(), VmError> {
    let topology = guest.topology;
    if guest.icount {
        // One host thread counts instructions: time in the guest no longer depends on the load of the host.
        command.args(["-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off"]);
    } else {
        command.args(["-accel", "tcg,thread=multi"]);
    }
    // Without erms and fsrm, for with them the kernel clears and copies by `rep stosb` and `rep movsb`, which TCG makes
    // a turn for each byte of (arch/x86/lib/clear_page_64.S, `clear_page_erms`): 64 KiB writes of zeros to a tmpfs, 226
    // against 128 MB/s.
    command.args(["-cpu", "max,-erms,-fsrm"]);
    command.args(["-M", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-smp", &topology.cpus.to_string(), "-m", "2048"]);
    command.args(topology.machine);
    if let Some(disk) = &guest.disk {
        // cache=unsafe: what a killed guest had not written yet is of no interest.
        let drive = format!("file={},format=raw,if=none,id=disk,cache=unsafe", comma_safe(disk)?);
        command.args(["-drive", &drive, "-device", "virtio-blk-pci,bus=pcie.0,drive=disk,bootindex=0"]);
        return Ok(());
    }
    command.arg("-kernel").arg(lab.kernel.image()).arg("-initrd").arg(lab.kernel.initramfs(&lab.tools)?);
    // A panic must end QEMU at once: reboot on panic (kernel-parameters.txt, panic=-1) meets -no-reboot.
    // cryptomgr.notests: the self-tests of the kernel's ciphers are 2.3 s of a guest's own time, of 5.9 until it is
    // ready. init_on_alloc=0: Debian's kernels clear each page and object that they give out (CONFIG_INIT_ON_ALLOC_DEFAULT_ON),
    // which takes 10 % of the host's CPU time for a boot and seven runs of lowlat (16.4 against 18.1 and 19.6 s).
    let cmdline = format!(
        "console=ttyS0 loglevel=4 panic=-1 oops=panic random.trust_cpu=on cryptomgr.notests init_on_alloc=0 {MARK} {} {}",
        topology.cmdline, guest.cmdline_extra
    );
    command.args(["-append", cmdline.trim()]);
    Ok(())
}

/// QEMU splits its option values at commas.
pub(super) fn comma_safe(path: &Path) -> Result<String, VmError> {
    match path.to_str() {
        Some(text) => Ok(text.replace(',', ",,")),
        None => Err(VmError::BadGuest { detail: format!("path {} is not UTF-8; use another", path.display()) }),
    }
}

fn folder(command: &mut Command, tag: &str, path: &Path, writable: bool) -> Result<(), VmError> {
    // security_model=none: as root the same as passthrough, and an ordinary user's guest may still write.
    // multidevs=remap: the host's root holds several file systems (QEMU, 9pfs documentation).
    let readonly = if writable { "off" } else { "on" };
    let path = comma_safe(path)?;
    command.args([
        "-fsdev",
        &format!("local,id={tag},path={path},readonly={readonly},security_model=none,multidevs=remap"),
        "-device",
        // Named: a machine with further buses would put it below the last of them.
        &format!("virtio-9p-pci,bus=pcie.0,fsdev={tag},mount_tag={tag}"),
    ]);
    Ok(())
}

/// The last value that `init.sh` printed under a name.
fn marker<'a>(console: &'a str, name: &str) -> Option<&'a str> {
    console.lines().rev().find_map(|l| l.strip_prefix("lowlat-lab: ")?.strip_prefix(name)).map(str::trim)
}

fn is_ready(console: &Path) -> bool {
    fs::read(console).is_ok_and(|text| marker(&String::from_utf8_lossy(&text), "ready").is_some())
}

fn judge(guest: &Guest, kernel: &Kernel, ended: &Ended, console: &str, complaint: &str) -> Result<i32, VmError> {
    let topology = guest.topology.name.to_owned();
    let release = kernel.release.clone();
    // What init says is the cause; the power-off that follows it is not.
    let init = || console.lines().find_map(|l| l.strip_prefix("lowlat-lab: init failed: "));
    let last = || init().map_or_else(|| last_line(console), |why| format!("init failed: {why}"));
    if let Some((before, reason)) = console.split_once("Kernel panic - not syncing: ") {
        let reason = reason.lines().next().unwrap_or("").trim();
        // Where it was: an oops says so before the panic that it becomes.
        let at = before.lines().rev().find_map(|l| l.split_once("RIP: ")).map(|(_, at)| format!(" at {}", at.trim()));
        let reason = format!("{reason}{}", at.unwrap_or_default());
        return Err(VmError::Panic { topology, kernel: release, reason });
    }
    match ended {
        Ended::TimedOut => Err(VmError::Hang { topology, kernel: release, limit: guest.time_limit, last: last() }),
        Ended::Stopped => Err(VmError::ConsoleFlood { topology, limit: CONSOLE_LIMIT }),
        Ended::Exit(status) if !status.success() => {
            let detail = complaint.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message");
            Err(VmError::QemuFailed { topology, detail: format!("{status}: {}", detail.trim()) })
        }
        Ended::Exit(_) => match marker(console, "exit").and_then(|s| s.parse().ok()) {
            Some(code) => Ok(code),
            None => Err(VmError::NoExitCode { topology, kernel: release, last: last() }),
        },
    }
}

pub(super) fn last_line(console: &str) -> String {
    console.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_and_the_last_one_counts() {
        let console = "x\nlowlat-lab: ready 3.5\nlowlat-lab: exit 1\nlowlat-lab: exit 7\n[ 1.0] reboot: Power down\n";
        assert_eq!(marker(console, "exit"), Some("7"));
        assert_eq!(marker(console, "ready"), Some("3.5"));
        assert_eq!(marker("nothing", "exit"), None);
    }

    #[test]
    fn commas_are_doubled() {
        assert_eq!(comma_safe(Path::new("/a,b")).unwrap(), "/a,,b");
    }
}
