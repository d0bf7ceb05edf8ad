//! An *instance* of tracefs: a ring, events and a clock of lowlat's own (Documentation/trace/ftrace.rst, "Instances").
//!
//! What somebody else traces stays as it is, and the instance goes with all that was set in it. One that a killed run
//! left is removed by the next: its name holds a process id that is gone. A process of another PID namespace cannot be
//! seen from here, so an instance in use keeps a file of it open, which makes its removal fail.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lowlat_model::Capability;

/// Where tracefs may be mounted (Documentation/trace/ftrace.rst, "The File System").
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// What the names of lowlat's instances begin with.
const PREFIX: &str = "lowlat-";
/// Some files (`events/header_event`, `events/header_page`) answer one read and then nothing, however little it took
/// (kernel/trace/trace_events.c, `show_header`): a read asks for more than any of them holds.
const CHUNK: usize = 65_536;
/// More than the ring of a CPU holds at any size that lowlat asks for.
const MOST_BYTES: usize = 128 << 20;

/// An instance. Dropping it removes it.
#[derive(Debug)]
pub struct TraceInstance {
    dir: PathBuf,
    /// Keeps others from removing it.
    held: Option<File>,
    /// The rings that were read, by CPU: they stay open, since some are read many times a second.
    rings: BTreeMap<u32, File>,
}

impl TraceInstance {
    /// Makes one, with recording off; by `tag` several of one process differ. Instances of killed runs are removed
    /// first. The error begins with `absent`, `denied` or `unsupported`.
    pub fn make(tag: &str) -> Result<Self, String> {
        let instances = instances()?;
        sweep(&instances);
        let dir = instances.join(format!("{PREFIX}{}-{tag}", std::process::id()));
        fs::create_dir(&dir).map_err(|e| why(&dir, &e))?;
        let mut made = Self { dir, held: None, rings: BTreeMap::new() };
        made.write("tracing_on", "0")?;
        made.held = File::open(made.dir.join("tracing_on")).ok();
        Ok(made)
    }

    /// Writes a file of the instance.
    pub fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let path = self.dir.join(file);
        fs::write(&path, text).map_err(|e| why(&path, &e))
    }

    /// A file of the instance as text.
    pub fn read(&self, file: &str) -> Result<String, String> {
        let path = self.dir.join(file);
        let cannot = |e: io::Error| why(&path, &e);
        let mut from = File::open(&path).map_err(cannot)?;
        let (mut all, mut part) = (Vec::new(), vec![0; CHUNK]);
        while all.len() < MOST_BYTES {
            match from.read(&mut part) {
                Ok(0) => break,
                Ok(n) => all.extend_from_slice(&part[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(cannot(e)),
            }
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    /// The CPUs that have a ring.
    pub fn cpus(&self) -> Result<Vec<u32>, String> {
        let path = self.dir.join("per_cpu");
        let entries = fs::read_dir(&path).map_err(|e| why(&path, &e))?;
        let number = |name: &str| name.strip_prefix("cpu")?.parse().ok();
        let mut cpus: Vec<u32> = entries.flatten().filter_map(|e| number(&e.file_name().to_string_lossy())).collect();
        cpus.sort_unstable();
        Ok(cpus)
    }

    /// Takes everything out of the ring of a CPU: whole pages of `length` bytes, one after the other.
    pub fn pages(&mut self, cpu: u32, length: usize) -> Result<Vec<u8>, String> {
        let path = self.dir.join(format!("per_cpu/cpu{cpu}/trace_pipe_raw"));
        let cannot = |e: io::Error| why(&path, &e);
        let ring = match self.rings.entry(cpu) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => {
                let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
                new.insert(open.map_err(cannot)?)
            }
        };
        let mut all = Vec::new();
        let mut page = vec![0; length];
        while all.len() < MOST_BYTES {
            match ring.read(&mut page) {
                Ok(0) => break,
                Ok(n) => {
                    all.extend_from_slice(&page[..n]);
                    // A read gives one page; what is short of one is padded, so that the next begins where it should.
                    all.resize(all.len() + (length - n), 0);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(cannot(e)),
            }
        }
        Ok(all)
    }

    /// Events of a CPU that found no room since the instance was made.
    pub fn lost(&self, cpu: u32) -> Result<u64, String> {
        let stats = self.read(&format!("per_cpu/cpu{cpu}/stats"))?;
        let of = |line: &str| {
            let count = line.strip_prefix("overrun:").or_else(|| line.strip_prefix("dropped events:"))?;
            count.trim().parse::<u64>().ok()
        };
        Ok(stats.lines().filter_map(of).sum())
    }
}

impl Drop for TraceInstance {
    fn drop(&mut self) {
        // Events that are on keep an instance busy for a moment only; removing it takes them with it.
        let _ = self.write("tracing_on", "0");
        self.held = None;
        self.rings.clear();
        let _ = fs::remove_dir(&self.dir);
    }
}

/// The folder that instances are made in.
fn instances() -> Result<PathBuf, String> {
    let mut denied = None;
    for mount in MOUNTS {
        let folder = Path::new(mount).join("instances");
        match fs::metadata(&folder) {
            Ok(found) if found.is_dir() => return Ok(folder),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => denied = denied.or_else(|| Some(why(&folder, &e))),
            _ => {}
        }
    }
    let absent = || format!("absent: tracefs is not mounted; `mount -t tracefs none {}` mounts it", MOUNTS[0]);
    Err(denied.unwrap_or_else(absent))
}

/// Removes the instances of runs that were killed.
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
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "denied",
        _ => "unsupported",
    };
    let next = match e.kind() {
        // Its files are root's alone (fs/tracefs/inode.c, `TRACEFS_DEFAULT_MODE`).
        io::ErrorKind::PermissionDenied => format!("; {}", crate::next_where_denied(&[Capability::DacOverride])),
        _ => String::new(),
    };
    format!("{kind}: {}: {e}{next}", path.display())
}
