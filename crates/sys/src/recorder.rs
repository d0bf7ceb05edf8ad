//! A door that stores what is read through it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lowlat_model::Reading;
use serde::Serialize;

use crate::captured::{LINK, LINK_READING, LIST, LIST_READING, READING, inside};
use crate::mask::Mask;
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

    /// Writes what was read so far as a tree into a new or empty folder. With `mask`, MAC addresses, IP addresses and
    /// the host's name are replaced, the same by the same; files under `/proc/net` that hold addresses as bare
    /// hexadecimal digits are left out, and the tree says so.
    pub fn write(&self, dir: impl AsRef<Path>, mask: bool) -> Result<(), SysError> {
        let dir = dir.as_ref();
        make_dir(dir)?;
        let empty = fs::read_dir(dir).map_err(|source| write_error(dir, source))?.next().is_none();
        if !empty {
            return Err(write_error(dir, std::io::Error::other("it is not empty")));
        }
        let host = self.inner.read("/proc/sys/kernel/hostname").into_value().unwrap_or_default();
        let mut mask = mask.then(|| Mask::new(host.trim()));
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

fn write_layer(dir: &Path, layer: &Layer, mask: &mut Option<Mask>) -> Result<(), SysError> {
    let at = |path: &str, ending: &str| PathBuf::from(format!("{}/{}{ending}", dir.display(), inside(path)));
    for (path, reading) in &layer.files {
        match reading {
            Reading::Value(_) if mask.is_some() && hides_in_hex(path) => {
                let why: Reading<()> =
                    Reading::Absent(format!("{path} was left out of the capture: it holds addresses"));
                put_json(&at(path, READING), &why)?;
            }
            Reading::Value(bytes) => match (mask.as_mut(), std::str::from_utf8(bytes)) {
                (Some(mask), Ok(text)) => put(&at(path, ""), mask.text(text).as_bytes())?,
                _ => put(&at(path, ""), bytes)?,
            },
            other => put_reading(&at(path, READING), other, mask)?,
        }
    }
    for (path, reading) in &layer.lists {
        match reading {
            Reading::Value(names) => put_json(&at(path, "").join(LIST), names)?,
            other => put_reading(&at(path, LIST_READING), other, mask)?,
        }
    }
    for (path, reading) in &layer.links {
        match reading {
            Reading::Value(target) => put(&at(path, LINK), target.as_bytes())?,
            other => put_reading(&at(path, LINK_READING), other, mask)?,
        }
    }
    for (query, reading) in &layer.net {
        let name = format!("net/{}", query.name());
        match reading {
            Reading::Value(v) => {
                // Versions look like addresses (firmware 10.2.0.1) and tell nothing of the host.
                let versions = matches!(query, NetQuery::Driver(_) | NetQuery::Uname);
                let v = match mask.as_mut() {
                    Some(mask) if !versions => mask.json(v.clone()),
                    _ => v.clone(),
                };
                put_json(&at(&name, ".json"), &v)?;
            }
            other => put_reading(&at(&name, READING), other, mask)?,
        }
    }
    if let Some(ns) = layer.now_ns {
        put(&dir.join("now_ns"), ns.to_string().as_bytes())?;
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
    fs::write(path, bytes).map_err(|source| write_error(path, source))
}

fn make_dir(path: &Path) -> Result<(), SysError> {
    fs::create_dir_all(path).map_err(|source| write_error(path, source))
}

fn write_error(path: &Path, source: std::io::Error) -> SysError {
    SysError::Write { path: path.to_owned(), source }
}

impl<S: Sys> Sys for Recorder<S> {
    fn read(&self, path: &str) -> Reading<String> {
        let reading = self.inner.read(path);
        let bytes = match &reading {
            // Bytes that are no text are stored as they are, so that they are garbled again.
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
