//! A door that stores what is read through it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lowlat_model::Reading;
use serde::Serialize;

use crate::captured::{LINK, LINK_READING, LIST, LIST_READING, READING, inside};
use crate::mask::{Kept, Mask, kept_command, process_of};
use crate::{NetQuery, Sys, SysError};

/// Wraps a door and remembers every answer, all five kinds, before and after a wait. [`Recorder::write`] stores them as
/// a tree that [`Captured`](crate::Captured) opens.
#[derive(Debug)]
pub struct Recorder<S> {
    inner: S,
    layers: Mutex<Layers>,
}

#[derive(Debug, Default)]
struct Layers {
    waited: bool,
    base: Layer,
    later: Layer,
}

#[derive(Debug, Default)]
struct Layer {
    files: BTreeMap<String, Reading<Vec<u8>>>,
    lists: BTreeMap<String, Reading<Vec<String>>>,
    links: BTreeMap<String, Reading<String>>,
    net: BTreeMap<NetQuery, Reading<serde_json::Value>>,
    now_ns: Option<u64>,
}

impl Layers {
    fn now(&mut self) -> &mut Layer {
        if self.waited { &mut self.later } else { &mut self.base }
    }
}

impl<S: Sys> Recorder<S> {
    /// Wraps a door.
    pub fn new(inner: S) -> Self {
        Self { inner, layers: Mutex::default() }
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        // A reader that panicked left whole entries behind.
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was read so far as a tree into a new or empty folder. With `mask`, hardware and IP addresses, UUIDs,
    /// host and domain names, user names, names of wireless networks, serial numbers and machine ids are replaced, the
    /// same by the same; of boot parameters and processes only what lowlat knows is kept; files under `/proc/net` that
    /// hold addresses as bare hexadecimal digits are left out, and the tree says so.
    pub fn write(&self, dir: impl AsRef<Path>, mask: bool) -> Result<(), SysError> {
        let dir = dir.as_ref();
        make_dir(dir)?;
        let empty = fs::read_dir(dir).map_err(|source| write_error(dir, source))?.next().is_none();
        if !empty {
            return Err(write_error(dir, std::io::Error::other("it is not empty")));
        }
        let mut mask = mask.then(|| Mask::of(&self.inner));
        let layers = self.layers();
        write_layer(dir, &layers.base, &mut mask)?;
        if layers.waited {
            write_layer(&dir.join("later"), &layers.later, &mut mask)?;
        }
        Ok(())
    }
}

/// Tables whose addresses are bare hexadecimal digits, which no mask finds.
const HEX_TABLES: &[&str] = &[
    "tcp",
    "tcp6",
    "udp",
    "udp6",
    "udplite",
    "udplite6",
    "raw",
    "raw6",
    "icmp",
    "icmp6",
    "route",
    "ipv6_route",
    "if_inet6",
    "igmp",
    "igmp6",
    "mcfilter",
    "mcfilter6",
    "anycast6",
    "rt_cache",
    "unix",
    "ip_conntrack",
];

fn hides_in_hex(path: &str) -> bool {
    ["/proc/net/", "/proc/self/net/", "/proc/thread-self/net/"]
        .iter()
        .any(|p| path.strip_prefix(p).is_some_and(|rest| HEX_TABLES.contains(&rest)))
}

/// Where a path, a list or a link of the host is stored below `dir`.
fn at(dir: &Path, path: &str, ending: &str, mask: &mut Option<Mask>) -> PathBuf {
    let path = match mask {
        Some(mask) => mask.path(path),
        None => path.to_owned(),
    };
    PathBuf::from(format!("{}/{}{ending}", dir.display(), inside(&path)))
}

fn write_layer(dir: &Path, layer: &Layer, mask: &mut Option<Mask>) -> Result<(), SysError> {
    write_files(dir, layer, mask)?;
    write_lists(dir, layer, mask)?;
    for (path, reading) in &layer.links {
        match reading {
            Reading::Value(target) => {
                let target = mask.as_mut().map_or_else(|| target.clone(), |m| m.path(target));
                put(&at(dir, path, LINK, mask), target.as_bytes())?;
            }
            other => put_reading(&at(dir, path, LINK_READING, mask), other, mask)?,
        }
    }
    for (query, reading) in &layer.net {
        let name = format!("net/{}", query.name());
        match reading {
            Reading::Value(v) => {
                let v = mask.as_mut().map_or_else(|| v.clone(), |m| m.reply(query, v.clone()));
                put_json(&at(dir, &name, ".json", mask), &v)?;
            }
            other => put_reading(&at(dir, &name, READING, mask), other, mask)?,
        }
    }
    if let Some(ns) = layer.now_ns {
        put(&dir.join("now_ns"), ns.to_string().as_bytes())?;
    }
    Ok(())
}

fn write_files(dir: &Path, layer: &Layer, mask: &mut Option<Mask>) -> Result<(), SysError> {
    for (path, reading) in &layer.files {
        let Some(mask_of_all) = mask.as_mut() else {
            match reading {
                Reading::Value(bytes) => put(&at(dir, path, "", mask), bytes)?,
                other => put_reading(&at(dir, path, READING, mask), other, mask)?,
            }
            continue;
        };
        match reading {
            Reading::Value(_) if hides_in_hex(path) => {
                let why: Reading<()> =
                    Reading::Absent(format!("{path} was left out of the capture: it holds addresses"));
                put_json(&at(dir, path, READING, mask), &why)?;
            }
            Reading::Value(bytes) => {
                if let Kept::Bytes(bytes) = mask_of_all.file(path, bytes) {
                    put(&at(dir, path, "", mask), &bytes)?;
                }
            }
            // A process of which nothing is kept is not there in the capture, and neither is its refusal.
            _ if process_of(path).is_some() => {}
            other => put_reading(&at(dir, path, READING, mask), other, mask)?,
        }
    }
    Ok(())
}

fn write_lists(dir: &Path, layer: &Layer, mask: &mut Option<Mask>) -> Result<(), SysError> {
    let known = |entry: &str| match layer.files.get(&format!("/proc/{entry}/comm")) {
        Some(Reading::Value(comm)) => kept_command(comm),
        _ => false,
    };
    for (path, reading) in &layer.lists {
        match (reading, mask.as_mut()) {
            (Reading::Value(names), Some(m)) => {
                let kept = |n: &&String| path != "/proc" || process_of(&format!("/proc/{n}")).is_none() || known(n);
                let group = path == "/sys/fs/cgroup" || path.starts_with("/sys/fs/cgroup/");
                let shown = |n: &String| if group { m.groups(n) } else { m.path(n) };
                let names: Vec<String> = names.iter().filter(kept).map(shown).collect();
                put_json(&at(dir, path, "", mask).join(LIST), &names)?;
            }
            (Reading::Value(names), None) => put_json(&at(dir, path, "", mask).join(LIST), names)?,
            (other, _) => put_reading(&at(dir, path, LIST_READING, mask), other, mask)?,
        }
    }
    Ok(())
}

fn put_reading<T: Clone>(path: &Path, reading: &Reading<T>, mask: &mut Option<Mask>) -> Result<(), SysError> {
    let mut say = |w: String| match mask.as_mut() {
        Some(mask) => mask.text(&w),
        None => w,
    };
    let reading: Reading<()> = match reading.clone().map(|_| ()) {
        Reading::Value(()) => Reading::Value(()),
        Reading::Absent(w) => Reading::Absent(say(w)),
        Reading::Denied(w) => Reading::Denied(say(w)),
        Reading::Unsupported(w) => Reading::Unsupported(say(w)),
        Reading::Garbled(w) => Reading::Garbled(say(w)),
    };
    put_json(path, &reading)
}

fn put_json<T: Serialize>(path: &Path, value: &T) -> Result<(), SysError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|e| write_error(path, e.into()))?;
    put(path, &bytes)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    // It describes the host: readable by its owner alone, whatever the umask.
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| write_error(path, source))
}

fn make_dir(path: &Path) -> Result<(), SysError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> SysError {
    SysError::Write { path: path.to_owned(), source }
}

impl<S: Sys> Sys for Recorder<S> {
    fn read(&self, path: &str) -> Reading<String> {
        let reading = self.inner.read(path);
        let bytes = match &reading {
            // Bytes that are not text are stored unchanged, so that they are garbled again.
            Reading::Garbled(_) => match self.inner.read_bytes(path) {
                Reading::Value(bytes) => Reading::Value(bytes),
                _ => reading.clone().map(String::into_bytes),
            },
            other => other.clone().map(String::into_bytes),
        };
        self.layers().now().files.insert(path.to_owned(), bytes);
        reading
    }

    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        let reading = self.inner.read_bytes(path);
        self.layers().now().files.insert(path.to_owned(), reading.clone());
        reading
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        let reading = self.inner.list(path);
        self.layers().now().lists.insert(path.to_owned(), reading.clone());
        reading
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        let reading = self.inner.link_target(path);
        self.layers().now().links.insert(path.to_owned(), reading.clone());
        reading
    }

    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        let reading = self.inner.net(query);
        self.layers().now().net.insert(query.clone(), reading.clone());
        reading
    }

    fn now_ns(&self) -> u64 {
        let now = self.inner.now_ns();
        self.layers().now().now_ns = Some(now);
        now
    }

    fn wait(&self, ns: u64) {
        self.inner.wait(ns);
        self.layers().waited = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Captured, Live};

    #[test]
    fn what_was_read_reads_back_all_five_answers_of_it() {
        let recorder = Recorder::new(Live::new());
        let ask = |sys: &dyn Sys| {
            (
                ["/proc/version", "/proc/none", "/proc/self/mem"].map(|p| sys.read(p)),
                [sys.list("/proc/sys"), sys.list("/proc/none")],
                [sys.link_target("/sys/class/net/lo"), sys.link_target("/proc/version")],
                [
                    sys.net(&NetQuery::Links),
                    sys.net(&NetQuery::Rings("lo".into())),
                    sys.net(&NetQuery::Driver("no-such-if".into())),
                ],
                sys.now_ns(),
            )
        };
        let before = ask(&recorder);
        recorder.wait(1);
        let uptime = (recorder.read("/proc/uptime"), recorder.now_ns());

        let dir = tempfile::tempdir().unwrap();
        recorder.write(dir.path().join("tree"), false).unwrap();
        let captured = Captured::open(dir.path().join("tree")).unwrap();
        assert_eq!(ask(&captured), before);
        captured.wait(1);
        assert_eq!((captured.read("/proc/uptime"), captured.now_ns()), uptime);
    }

    #[test]
    fn a_masked_tree_holds_no_address_of_this_host() {
        let recorder = Recorder::new(Live::new());
        let Reading::Value(addresses) = recorder.net(&NetQuery::Addresses) else { panic!("no addresses") };
        let Reading::Value(links) = recorder.net(&NetQuery::Links) else { panic!("no links") };
        let _ = recorder.read("/proc/net/route");
        let dir = tempfile::tempdir().unwrap();
        recorder.write(dir.path(), true).unwrap();
        let all = fs::read_to_string(dir.path().join("net/addresses.json")).unwrap()
            + &fs::read_to_string(dir.path().join("net/links.json")).unwrap();
        let mut seen = 0;
        for a in addresses.as_array().unwrap() {
            let text = a["address"].as_str().unwrap();
            if !text.starts_with("127.") && !text.starts_with("::1") {
                assert!(!all.contains(&format!("\"{text}\"")), "{text} is in the capture");
            }
            seen += 1;
        }
        for l in links.as_array().unwrap() {
            if let Some(mac) = l["mac"].as_str().filter(|m| *m != "00:00:00:00:00:00") {
                assert!(!all.contains(mac), "{mac} is in the capture");
            }
        }
        assert!(seen > 0);
        assert!(dir.path().join("proc/net/route.reading.json").exists());
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "x").unwrap();
        assert!(Recorder::new(Live::new()).write(dir.path(), true).is_err());
    }
}
