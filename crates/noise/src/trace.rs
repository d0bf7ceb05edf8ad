//! The kernel's trace points for interrupts, softirqs and thread switches, in a buffer of lowlat's own.
//!
//! An *instance* of tracefs (Documentation/trace/ftrace.rst, "Instances") has its own buffer, events and clock, so what
//! somebody else traces stays as it is, and it is removed with all that was set in it. One that a killed run left is
//! removed by the next.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lowlat_model::cpus::print_mask;

/// Where tracefs may be mounted (Documentation/trace/ftrace.rst, "The File System").
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Room on the CPU that is watched, KiB: two seconds of a thousand ticks each with ten events of about 40 bytes, ten
/// times over. On the others the least there is, since every CPU gets its own.
const ROOM_KIB: u32 = 8_192;
const LEAST_KIB: u32 = 4;
/// Groups of `irq_vectors` are x86's; elsewhere the timer is a line of `irq`.
const EVENTS: [&str; 3] = ["irq/enable", "irq_vectors/enable", "sched/sched_switch/enable"];
const PREFIX: &str = "lowlat-";

/// An instance, recording one CPU. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Trace {
    dir: PathBuf,
    cpu: u32,
}

impl Trace {
    /// Begins to record `cpu`, which this process's threads may be pinned to meanwhile; or why not.
    pub(crate) fn begin(cpu: u32) -> Result<Self, String> {
        let Some(root) = MOUNTS.iter().map(Path::new).find(|m| m.join("instances").is_dir()) else {
            return Err(format!("absent: tracefs is not mounted; `mount -t tracefs none {}` mounts it", MOUNTS[0]));
        };
        let instances = root.join("instances");
        sweep(&instances);
        let dir = instances.join(format!("{PREFIX}{}-{cpu}", std::process::id()));
        fs::create_dir(&dir).map_err(|e| why(&dir, &e))?;
        let trace = Self { dir, cpu };
        trace.set_up()?;
        Ok(trace)
    }

    fn set_up(&self) -> Result<(), String> {
        self.write("tracing_on", "0")?;
        // The clock of the gaps.
        self.write("trace_clock", "mono")?;
        self.write("buffer_size_kb", &LEAST_KIB.to_string())?;
        self.write(&format!("per_cpu/cpu{}/buffer_size_kb", self.cpu), &ROOM_KIB.to_string())?;
        self.write("tracing_cpumask", &print_mask(&BTreeSet::from([self.cpu])))?;
        let set: Vec<_> = EVENTS.iter().map(|e| self.write(&format!("events/{e}"), "1")).collect();
        if let Some(Err(why)) = set.iter().find(|_| set.iter().all(Result::is_err)) {
            return Err(why.clone());
        }
        self.write("tracing_on", "1")
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let path = self.dir.join(file);
        fs::write(&path, text).map_err(|e| why(&path, &e))
    }

    /// Ends the recording and gives its text, with the number of events that found no room.
    pub(crate) fn end(self) -> Result<(String, u64), String> {
        self.write("tracing_on", "0")?;
        let read = |file: &str| {
            let path = self.dir.join(format!("per_cpu/cpu{}/{file}", self.cpu));
            fs::read(&path).map(|b| String::from_utf8_lossy(&b).into_owned()).map_err(|e| why(&path, &e))
        };
        let lost = read("stats")?
            .lines()
            .filter_map(|l| l.strip_prefix("overrun:").or_else(|| l.strip_prefix("dropped events:")))
            .filter_map(|n| n.trim().parse::<u64>().ok())
            .sum();
        Ok((read("trace")?, lost))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Events that are on keep an instance busy for a moment only; removing it takes them with it.
        let _ = self.write("tracing_on", "0");
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Removes the instances of runs that were killed: their names hold a process id that is gone.
fn sweep(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn why(path: &Path, e: &io::Error) -> String {
    let kind = match e.kind() {
        io::ErrorKind::NotFound => "absent",
        io::ErrorKind::PermissionDenied => "denied",
        _ => "unsupported",
    };
    format!("{kind}: {}: {e}", path.display())
}
