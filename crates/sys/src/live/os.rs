//! The few questions that are system calls.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use lowlat_os::{clock, ioctl, namespace, socket};

use crate::query::{ClockState, Uname};

/// `CLOCK_MONOTONIC`, ns.
pub(super) fn monotonic_ns() -> u64 {
    clock::monotonic()
}

/// The kernel's view of its clock.
pub(super) fn clock() -> io::Result<ClockState> {
    let reported = clock::discipline()?;
    // In microseconds whatever STA_NANO says (kernel/time/ntp.c, ntp_update_esterror).
    let estimated_error_ns = reported.estimated_error_us.saturating_mul(1000);
    Ok(ClockState { synchronized: !reported.unsynchronized, estimated_error_ns })
}

/// A PTP hardware clock less `CLOCK_REALTIME`, and the most that this may be off by, ns: the tightest of ten readings
/// between two of the system's clock.
pub(super) fn phc_offset(path: &str) -> io::Result<(i64, u64)> {
    let readings = ioctl::ptp_readings(File::open(path)?.as_fd())?.into_iter();
    let readings = readings.map(|[before, phc, after]| (after - before, phc - i128::midpoint(before, after)));
    let (width, offset) = readings.min_by_key(|r| r.0).unwrap_or((0, 0));
    let error = u64::try_from(width / 2 + 1).unwrap_or(u64::MAX);
    i64::try_from(offset).map(|offset| (offset, error)).map_err(io::Error::other)
}

/// Kernel identity.
pub(super) fn uname() -> Uname {
    let reported = rustix::system::uname();
    let text = |field: &CStr| field.to_string_lossy().into_owned();
    Uname { release: text(reported.release()), version: text(reported.version()), machine: text(reported.machine()) }
}

/// include/uapi/asm-generic/socket.h, since Linux 5.14; the libc crate does not name it.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// The cookie of this thread's network namespace.
pub(super) fn netns_cookie() -> io::Result<u64> {
    // Any socket belongs to the namespace of the thread that makes it; this one needs no network.
    let any = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    let mut cookie = [0; size_of::<u64>()];
    socket::get_bytes(any.as_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, &mut cookie)?;
    Ok(u64::from_ne_bytes(cookie))
}

/// The cookie of the network namespace that `path` leads to (`/proc/PID/ns/net`).
pub(super) fn netns_cookie_at(path: &str) -> io::Result<u64> {
    in_netns(path, netns_cookie)
}

/// The names of the links in the network namespace that `path` leads to (`/run/netns/NAME`, `/proc/PID/ns/net`).
pub(super) fn links_in(path: &str) -> io::Result<Vec<String>> {
    in_netns(path, || {
        let links = lowlat_netlink::route::link::links().map_err(|e| io::Error::other(e.to_string()))?;
        Ok(links.into_iter().map(|l| l.name).collect())
    })
}

/// Asks inside another network namespace. Only a thread that ends with the question enters it, so nothing else of this
/// process ever is there.
pub(super) fn in_netns<T: Send + 'static>(
    path: &str,
    ask: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let netns = File::open(path)?;
    let asked = std::thread::spawn(move || {
        namespace::enter_network(netns.as_fd())?;
        ask()
    });
    asked.join().unwrap_or_else(|_| Err(io::Error::other("the asking thread ended early")))
}

/// As [`in_netns`], with a `/sys` that shows the namespace. The thread gets mounts of its own, which end with it.
pub(super) fn in_netns_with_sys<T: Send + 'static>(
    path: &str,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    in_netns(path, || {
        namespace::own_mounts()?;
        namespace::mount_sys()?;
        act()
    })
}
