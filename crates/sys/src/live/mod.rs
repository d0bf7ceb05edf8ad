//! The running host.

mod application;
mod net;
mod os;
mod path;
mod ptp;
mod tap;
mod traffic;

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;

use crate::{NetQuery, Sys, reading_of_errno};

pub use tap::{Tap, TappedDatagram};
pub use traffic::{LiveSocket, TrafficDoor};

/// No file lowlat reads is longer; one that is (a device that never ends) is not read into memory.
const LONGEST: u64 = 64 << 20;

/// The running host, as the calling thread sees it: its network namespace and its mounts.
///
/// `/proc/net` is read as `/proc/thread-self/net`: the kernel's link leads to the namespace of the *first* thread,
/// which is another one when the calling thread has entered a namespace. `/proc/sys/net` follows the thread on its own.
/// `/sys/class/net` shows the namespace in which `/sys` was mounted: a thread that enters a namespace mounts it anew,
/// or sees the old interfaces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    _private: (),
}

impl Live {
    /// The door to the running host.
    pub fn new() -> Self {
        Self::default()
    }
}

fn here(path: &str) -> String {
    match path.strip_prefix("/proc/net/") {
        Some(rest) => format!("/proc/thread-self/net/{rest}"),
        None if path == "/proc/net" => "/proc/thread-self/net".to_owned(),
        None => path.to_owned(),
    }
}

fn not<T>(path: &str, what: &str, e: &io::Error) -> Reading<T> {
    let words = e.raw_os_error().map_or_else(|| e.to_string(), lowlat_netlink::errno_text);
    reading_of_errno(e.raw_os_error(), format!("{what} {path}: {words}"))
}

impl Sys for Live {
    fn read(&self, path: &str) -> Reading<String> {
        self.read_bytes(path).and_then(|bytes| match String::from_utf8(bytes) {
            Ok(text) => Reading::Value(text),
            Err(e) => Reading::Garbled(format!("read {path}: no UTF-8 text at byte {}", e.utf8_error().valid_up_to())),
        })
    }

    fn read_bytes(&self, path: &str) -> Reading<Vec<u8>> {
        // A FIFO or a terminal under a name we read would block for ever; O_NONBLOCK makes it answer.
        let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(here(path));
        let mut bytes = Vec::new();
        match file.and_then(|f| f.take(LONGEST + 1).read_to_end(&mut bytes)) {
            Ok(n) if n as u64 > LONGEST => Reading::Garbled(format!("read {path}: longer than {LONGEST} bytes")),
            Ok(_) => Reading::Value(bytes),
            Err(e) => not(path, "read", &e),
        }
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        let entries = fs::read_dir(here(path)).and_then(|dir| {
            dir.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()
        });
        match entries {
            Ok(mut names) => {
                names.sort();
                Reading::Value(names)
            }
            Err(e) => not(path, "list", &e),
        }
    }

    fn link_target(&self, path: &str) -> Reading<String> {
        match fs::read_link(here(path)) {
            Ok(target) => Reading::Value(target.to_string_lossy().into_owned()),
            // EINVAL here means "there, but no link".
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                Reading::Absent(format!("follow {path}: it is not a link"))
            }
            Err(e) => not(path, "follow", &e),
        }
    }

    fn net(&self, query: &NetQuery) -> Reading<serde_json::Value> {
        net::ask(query)
    }

    fn tcp_sockets(&self) -> Reading<Vec<TcpSocket>> {
        net::tcp_sockets()
    }

    fn now_ns(&self) -> u64 {
        os::monotonic_ns()
    }

    fn wait(&self, ns: u64) {
        let mut left = std::time::Duration::from_nanos(ns);
        while !left.is_zero() && !WAIT_NO_MORE.get().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            let step = left.min(LOOK);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

/// Between two looks at the flag of [`end_waits_on`].
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
static WAIT_NO_MORE: OnceLock<&'static AtomicBool> = OnceLock::new();

/// Makes every wait of the live host ([`Sys::wait`]) end soon after a flag is set. For the program's own stop flag; the
/// first one counts.
pub fn end_waits_on(stop: &'static AtomicBool) {
    let _ = WAIT_NO_MORE.set(stop);
}

/// The names of the links in the network namespace that `path` leads to (`/run/netns/NAME`, `/proc/PID/ns/net`), to
/// tell a person where an interface went.
pub fn links_in(path: &str) -> io::Result<Vec<String>> {
    os::links_in(path)
}

/// The cookie of the network namespace that `path` leads to (`/proc/PID/ns/net`): an inode is given again when its
/// namespace has ended, a cookie is not.
pub fn netns_cookie_at(path: &str) -> io::Result<u64> {
    os::netns_cookie_at(path)
}

/// Acts in the network namespace that `path` leads to, with a `/sys` that shows it. Only a thread that ends with the
/// act enters it, so nothing else of this process ever is there.
pub fn in_netns<T: Send + 'static>(path: &str, act: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    os::in_netns_with_sys(path, act)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_real_host_differ() {
        let live = Live::new();
        assert!(matches!(live.read("/proc/version"), Reading::Value(t) if t.starts_with("Linux")));
        assert!(matches!(live.read("/proc/no-such-file"), Reading::Absent(_)));
        assert!(matches!(live.read("/proc/version/x"), Reading::Absent(_)));
        assert!(matches!(live.list("/proc/sys"), Reading::Value(l) if l.contains(&"kernel".to_owned())));
        assert!(matches!(live.link_target("/proc/self/ns/net"), Reading::Value(t) if t.starts_with("net:[")));
        assert!(matches!(live.link_target("/proc/version"), Reading::Absent(_)));
    }

    #[test]
    fn bytes_that_are_not_text_are_garbled_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, [0x61, 0xff]).unwrap();
        assert!(matches!(Live::new().read(path.to_str().unwrap()), Reading::Garbled(w) if w.contains("byte 1")));
    }
}
