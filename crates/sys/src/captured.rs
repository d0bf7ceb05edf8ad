//! A stored host.
//!
//! ```text
//! proc/stat, sys/class/net/eth0/mtu, …   files, byte for byte
//! …/DIR/.list.json                       a directory's entries as they were; without it, what is stored there
//! …/NAME.link                            where a symbolic link points (a real link does too)
//! …/NAME.reading.json                    the answer in place of a file, list, link or reply: {"denied": "…"}
//! …/@parent/…                            what stood under `..`
//! net/links.json, net/eth0/rings.json    replies, see NetQuery::name
//! now_ns                                 CLOCK_MONOTONIC at the reading
//! later/…                                the same again, as it was after a wait; what is not there did not change
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::Reading;

use crate::error::KERNELS_OWN;
use crate::{NetQuery, Sys, SysError};

/// A host that was stored by a [`Recorder`](crate::Recorder), or by hand.
#[derive(Debug)]
pub struct Captured {
    root: PathBuf,
    later: AtomicBool,
}

/// Endings next to a plain file, per kind of question.
pub(crate) const READING: &str = ".reading.json";
pub(crate) const LINK: &str = ".link";
pub(crate) const LIST: &str = ".list.json";
pub(crate) const LIST_READING: &str = ".list.reading.json";
pub(crate) const LINK_READING: &str = ".link.reading.json";
pub(crate) const PARENT: &str = "@parent";

/// A host's absolute path as a path inside the tree. `..` is kept as a name of its own: what it leads to depends on
/// links that the tree need not have.
pub(crate) fn inside(path: &str) -> String {
    path.split('/')
        .filter(|c| !c.is_empty() && *c != ".")
        .map(|c| if c == ".." { PARENT } else { c })
        .collect::<Vec<_>>()
        .join("/")
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Captured {
    /// Opens a stored tree.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, SysError> {
        let dir = dir.as_ref();
        let bad = |why: String| SysError::Open { path: dir.to_owned(), why };
        let root = fs::canonicalize(dir).map_err(|e| bad(words(&e)))?;
        if !root.is_dir() {
            return Err(bad("it is not a folder".into()));
        }
        if !["proc", "sys", "net"].iter().any(|d| root.join(d).is_dir()) {
            return Err(bad("it holds none of proc, sys and net".into()));
        }
        Ok(Self { root, later: AtomicBool::new(false) })
    }

    /// Where a question's answer may be, the present layer first. Before a wait the later layer is the second choice: a
    /// thing that was only read after it has no earlier reading, and is better known than not.
    fn layers(&self) -> [PathBuf; 2] {
        let (base, later) = (self.root.clone(), self.root.join("later"));
        if self.later.load(Ordering::Relaxed) { [later, base] } else { [base, later] }
    }

    /// The first layer that has an answer, a value by `get` or one of the other four at `reading_ending`.
    fn find<T>(&self, path: &str, reading_ending: &str, get: impl Fn(&Path) -> io::Result<Option<T>>) -> Reading<T> {
        for layer in self.layers() {
            let at = layer.join(inside(path));
            match self.guarded(&at, &get) {
                Ok(Some(v)) => return Reading::Value(v),
                Ok(None) => {}
                Err(e) => return Reading::Garbled(format!("{path}: stored as {}: {}", at.display(), words(&e))),
            }
            let reading = with(&at, reading_ending);
            match self.guarded(&reading, &|p| bytes(p).map(Some)) {
                Ok(Some(bytes)) => {
                    return match serde_json::from_slice::<Reading<()>>(&bytes) {
                        Ok(Reading::Value(())) => {
                            Reading::Garbled(format!("{path}: {} reports a value", reading.display()))
                        }
                        Ok(other) => kernels_own(other).and_then(|()| Reading::Absent(path.to_owned())),
                        Err(e) => Reading::Garbled(format!("{path}: {} does not parse: {e}", reading.display())),
                    };
                }
                Ok(None) => {}
                Err(e) => return Reading::Garbled(format!("{path}: {}: {}", reading.display(), words(&e))),
            }
        }
        Reading::Absent(format!("{path} is not in the captured tree"))
    }

    /// Runs `get` on a path of the tree; `None` where it is not there. A link that leads out of the tree is an error:
    /// it would answer for this host with another one's file.
    fn guarded<T>(&self, at: &Path, get: &impl Fn(&Path) -> io::Result<Option<T>>) -> io::Result<Option<T>> {
        match fs::canonicalize(at) {
            Ok(real) if real.starts_with(&self.root) => get(&real).or_else(absent),
            Ok(_) => Err(io::Error::other("it leads out of the captured tree")),
            Err(e) => absent(e),
        }
    }
}

/// Older versions stored the kernel's own errors as garbled.
fn kernels_own(reading: Reading<()>) -> Reading<()> {
    match reading {
        Reading::Garbled(why) if KERNELS_OWN.iter().any(|e| why.ends_with(&format!("unknown error {e}"))) => {
            Reading::Unsupported(why)
        }
        other => other,
    }
}

/// No file of a host is longer that lowlat reads.
const LONGEST: u64 = 64 << 20;

/// What is stored is a regular file; a FIFO in its place is not waited for.
fn bytes(at: &Path) -> io::Result<Vec<u8>> {
    Ok(crate::store::read_bounded(at, LONGEST)?)
}

fn absent<T>(e: io::Error) -> io::Result<Option<T>> {
    match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        _ => Err(e),
    }
}

fn words(e: &io::Error) -> String {
    e.raw_os_error().map_or_else(|| e.to_string(), lowlat_netlink::errno_text)
}

/// The host's names of a stored directory's entries.
fn plain_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = std::collections::BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == PARENT || name == LIST {
            continue;
        }
        let plain =
            [LINK_READING, LIST_READING, READING, LINK].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(&name);
        names.insert(plain.to_owned());
    }
    Ok(names.into_iter().collect())
}

impl Sys for Captured {
    fn read(&self, path: &str) -> Reading<String> {
        self.read_bytes(path).and_then(|bytes| match String::from_utf8(bytes) {
            Ok(t) => Reading::Value(t),
            Err(e) => Reading::Garbled(format!("read {path}: no UTF-8 text at byte {}", e.utf8_error().valid_up_to())),
        })
    }

    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        self.find(path, READING, |at| if at.is_dir() { Ok(None) } else { bytes(at).map(Some) })
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.find(path, LIST_READING, |at| {
            if !at.is_dir() {
                return Ok(None);
            }
            match bytes(&at.join(LIST)) {
                Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
                Err(e) if e.kind() == io::ErrorKind::NotFound => plain_names(at).map(Some),
                Err(e) => Err(e),
            }
        })
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        for layer in self.layers() {
            // A real link is looked at, never followed.
            if let Ok(target) = fs::read_link(layer.join(inside(path))) {
                return Reading::Value(target.to_string_lossy().into_owned());
            }
        }
        let stored = format!("{path}{LINK}");
        let text = self.find(&stored, READING, |at| {
            bytes(at).and_then(|b| String::from_utf8(b).map_err(io::Error::other)).map(Some)
        });
        match text {
            Reading::Absent(_) => self.find(path, LINK_READING, |_| Ok(None)),
            other => other,
        }
    }

    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        // The reading of net/links is net/links.reading.json, the reply net/links.json.
        for layer in self.layers() {
            let at = layer.join(inside(&format!("net/{}.json", query.name())));
            match self.guarded(&at, &|p| bytes(p).map(Some)) {
                Ok(Some(bytes)) => {
                    return match serde_json::from_slice(&bytes) {
                        Ok(v) => Reading::Value(v),
                        Err(e) => Reading::Garbled(format!("{}: does not parse: {e}", at.display())),
                    };
                }
                Ok(None) => {}
                Err(e) => return Reading::Garbled(format!("{}: {}", at.display(), words(&e))),
            }
        }
        self.find(&format!("net/{}", query.name()), READING, |_| Ok(None))
    }

    fn now_ns(&self) -> u64 {
        match self.read("/now_ns") {
            Reading::Value(t) => t.trim().parse().unwrap_or(0),
            _ => 0,
        }
    }

    fn wait(&self, _: u64) {
        self.later.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let at = dir.path().join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, text).unwrap();
        };
        put("proc/stat", "early\n");
        put("later/proc/stat", "late\n");
        put("proc/kcore.reading.json", r#"{"denied":"no"}"#);
        put("proc/broken.reading.json", "{");
        put("sys/class/net/eth0/mtu", "1500\n");
        put("sys/class/net/eth0/device.link", "../../../virtio2");
        put("sys/class/net/eth0/device/@parent/msi_irqs/37", "msix\n");
        put("net/links.json", "[]");
        put("net/eth0/rings.reading.json", r#"{"unsupported":"not offered"}"#);
        put("net/eth0/coalesce.reading.json", r#"{"garbled":"ask the coalescing of eth0: unknown error 524"}"#);
        put("now_ns", "5");
        put("later/now_ns", "9");
        dir
    }

    #[test]
    fn five_answers_replay() {
        let dir = tree();
        let sys = Captured::open(dir.path()).unwrap();
        assert_eq!(sys.read("/sys/class/net/eth0/mtu"), Reading::Value("1500\n".into()));
        assert_eq!(sys.read("/proc/kcore"), Reading::Denied("no".into()));
        assert!(matches!(sys.read("/proc/nothing"), Reading::Absent(_)));
        assert!(matches!(sys.read("/proc/broken"), Reading::Garbled(_)));
        assert_eq!(sys.net(&NetQuery::Rings("eth0".into())), Reading::Unsupported("not offered".into()));
        assert!(matches!(sys.net(&NetQuery::Coalesce("eth0".into())), Reading::Unsupported(_)), "ENOTSUPP");
        assert_eq!(sys.net(&NetQuery::Links), Reading::Value(serde_json::json!([])));
        assert_eq!(sys.list("/sys/class/net/eth0"), Reading::Value(vec!["device".into(), "mtu".into()]));
        assert_eq!(sys.link_target("/sys/class/net/eth0/device"), Reading::Value("../../../virtio2".into()));
        assert!(matches!(sys.link_target("/sys/class/net/eth0/mtu"), Reading::Absent(_)));
        assert_eq!(sys.list("/sys/class/net/eth0/device/../msi_irqs"), Reading::Value(vec!["37".into()]));
    }

    #[test]
    fn a_wait_switches_to_the_later_reading() {
        let dir = tree();
        let sys = Captured::open(dir.path()).unwrap();
        assert_eq!((sys.read("/proc/stat"), sys.now_ns()), (Reading::Value("early\n".into()), 5));
        sys.wait(1);
        assert_eq!((sys.read("/proc/stat"), sys.now_ns()), (Reading::Value("late\n".into()), 9));
        assert_eq!(sys.read("/sys/class/net/eth0/mtu"), Reading::Value("1500\n".into()));
    }

    #[test]
    fn a_link_out_of_the_tree_is_not_followed() {
        let dir = tree();
        std::os::unix::fs::symlink("/proc/version", dir.path().join("proc/version")).unwrap();
        let sys = Captured::open(dir.path()).unwrap();
        assert!(matches!(sys.read("/proc/version"), Reading::Garbled(w) if w.contains("out of the captured tree")));
        assert!(matches!(sys.read("/../../../../proc/version"), Reading::Absent(_)));
    }

    #[test]
    fn what_is_not_a_tree_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Captured::open(dir.path()).is_err());
        assert!(Captured::open(dir.path().join("none")).unwrap_err().to_string().contains("no such file"));
    }
}
