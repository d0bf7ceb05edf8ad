//! The running host.

mod application;
mod net;
mod os;
mod path;
mod ptp;
mod tap;
mod traffic;

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use lowlat_model::Reading;
use lowlat_model::facts::TcpSocket;

use crate::{NetQuery, Sys, reading_of_errno};

pub use tap::{Tap, Tapped, TappedDatagram};
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

/// An attribute of sysfs is at most this long (`PAGE_SIZE` where it is smallest; Documentation/filesystems/sysfs.rst).
const ATTRIBUTE: usize = 4096;

/// Files of which one read that is shorter than [`ATTRIBUTE`] gives all there is: attributes of sysfs (fs/kernfs/file.c,
/// `kernfs_seq_show`, `kernfs_file_read_iter`) and sysctls.
fn is_attribute(path: &str) -> bool {
    ["/sys/class/", "/sys/devices/", "/proc/sys/"].iter().any(|dir| path.starts_with(dir))
}

/// All of a file, and of one that is longer than [`LONGEST`] a little more than that.
///
/// The first read is larger than any sysctl: what does not fit into it is lost, since the second one gives nothing
/// (kernel/sysctl.c, `proc_do_large_bitmap`: `*ppos && !write`). `Read::read_to_end` begins with 32 bytes.
fn whole(mut file: impl Read, attribute: bool) -> io::Result<Vec<u8>> {
    let mut first = [0; 2 * ATTRIBUTE];
    let mut bytes = loop {
        match file.read(&mut first) {
            Ok(n) if n == 0 || (attribute && n < ATTRIBUTE) => return Ok(first[..n].to_vec()),
            Ok(n) => break first[..n].to_vec(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    };
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
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
        match file.and_then(|f| whole(f, is_attribute(path))) {
            Ok(bytes) if bytes.len() as u64 > LONGEST => {
                Reading::Garbled(format!("read {path}: longer than {LONGEST} bytes"))
            }
            Ok(bytes) => Reading::Value(bytes),
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

    // A thread begins in the namespaces and with the mounts of the one that started it (clone(2)).
    fn shared(&self) -> Option<&(dyn Sys + Sync)> {
        Some(self)
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

    /// As a sysctl: what is not taken by the first read is not there for a second.
    struct Once<'a>(&'a [u8], u32);

    impl Read for Once<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            let n = self.0.len().min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &[];
            Ok(n)
        }
    }

    #[test]
    fn a_long_sysctl_is_read_whole_and_at_once() {
        let list = (0..500).map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(",");
        let mut file = Once(list.as_bytes(), 0);
        assert_eq!((whole(&mut file, true).unwrap(), file.1), (list.clone().into_bytes(), 1));
        // What may come in parts is read until nothing comes.
        assert_eq!(whole(list.as_bytes().chain(list.as_bytes()), false).unwrap().len(), 2 * list.len());
        let long = vec![7; 3 * 2 * ATTRIBUTE];
        assert_eq!(whole(long.as_slice(), true).unwrap(), long);
        assert!(is_attribute("/proc/sys/kernel/watchdog_cpumask") && !is_attribute("/proc/interrupts"));
    }

    #[test]
    fn bytes_that_are_not_text_are_garbled_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, [0x61, 0xff]).unwrap();
        assert!(matches!(Live::new().read(path.to_str().unwrap()), Reading::Garbled(w) if w.contains("byte 1")));
    }
}
