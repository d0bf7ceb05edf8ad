//! The few questions that are C calls.
#![allow(unsafe_code)] // clock_gettime, adjtimex, uname, an ioctl: std has none of them

use std::ffi::CStr;
use std::mem;

use crate::query::{ClockState, Uname};

/// `CLOCK_MONOTONIC`, ns.
pub(super) fn monotonic_ns() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a live, writable timespec. CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut t) };
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}

/// The kernel's view of its clock.
pub(super) fn clock() -> std::io::Result<ClockState> {
    // SAFETY: all-zero is a valid timex: modes 0 asks and sets nothing.
    let mut t: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: `t` is a live, writable timex.
    if unsafe { libc::adjtimex(&raw mut t) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let us = u64::try_from(t.esterror).unwrap_or(0);
    // esterror is in microseconds whatever STA_NANO says (kernel/time/ntp.c, ntp_update_esterror).
    Ok(ClockState { synchronized: t.status & libc::STA_UNSYNC == 0, estimated_error_ns: us.saturating_mul(1000) })
}

/// A PTP hardware clock less `CLOCK_REALTIME`, and the most that this may be off by, ns: the tightest of ten readings
/// between two of the system's clock (`PTP_SYS_OFFSET_EXTENDED`, Linux 5.0; its driver reads them as close as it can).
pub(super) fn phc_offset(path: &str) -> std::io::Result<(i64, u64)> {
    use std::os::fd::AsRawFd as _;
    let device = std::fs::File::open(path)?;
    // SAFETY: all-zero is a valid request.
    let mut r: libc::ptp_sys_offset_extended = unsafe { mem::zeroed() };
    r.n_samples = 10;
    // SAFETY: `r` is live and writable, and of the type that this request is defined with; it only reads clocks.
    if unsafe { libc::ioctl(device.as_raw_fd(), libc::PTP_SYS_OFFSET_EXTENDED, &raw mut r) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let ns = |t: &libc::ptp_clock_time| i128::from(t.sec) * 1_000_000_000 + i128::from(t.nsec);
    let readings = r.ts.iter().take(10).map(|[before, phc, after]| {
        let (before, phc, after) = (ns(before), ns(phc), ns(after));
        (after - before, phc - i128::midpoint(before, after))
    });
    let (width, offset) = readings.min_by_key(|r| r.0).unwrap_or((0, 0));
    let error = u64::try_from(width / 2 + 1).unwrap_or(u64::MAX);
    i64::try_from(offset).map(|offset| (offset, error)).map_err(std::io::Error::other)
}

/// Kernel identity.
pub(super) fn uname() -> std::io::Result<Uname> {
    // SAFETY: all-zero is a valid utsname.
    let mut u: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: `u` is a live, writable utsname.
    if unsafe { libc::uname(&raw mut u) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    let text = |field: &[libc::c_char]| {
        // SAFETY: the kernel ends every field with a zero byte inside the array.
        unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned()
    };
    Ok(Uname { release: text(&u.release), version: text(&u.version), machine: text(&u.machine) })
}

/// include/uapi/asm-generic/socket.h, since Linux 5.14; the libc crate does not name it.
const SO_NETNS_COOKIE: libc::c_int = 71;

/// The cookie of this thread's network namespace.
pub(super) fn netns_cookie() -> std::io::Result<u64> {
    use std::os::fd::AsRawFd as _;
    // Any socket belongs to the namespace of the thread that makes it; this one needs no network.
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    let mut cookie = 0u64;
    let mut size = libc::socklen_t::try_from(mem::size_of::<u64>()).unwrap_or(8);
    // SAFETY: `cookie` and `size` are live and writable, and `size` is that of `cookie`.
    let got = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, (&raw mut cookie).cast(), &raw mut size)
    };
    if got < 0 { Err(std::io::Error::last_os_error()) } else { Ok(cookie) }
}

/// The cookie of the network namespace that `path` leads to (`/proc/PID/ns/net`).
pub(super) fn netns_cookie_at(path: &str) -> std::io::Result<u64> {
    in_netns(path, netns_cookie)
}

/// The names of the links in the network namespace that `path` leads to (`/run/netns/NAME`, `/proc/PID/ns/net`).
pub(super) fn links_in(path: &str) -> std::io::Result<Vec<String>> {
    in_netns(path, || {
        let links = lowlat_netlink::route::link::links().map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(links.into_iter().map(|l| l.name).collect())
    })
}

/// Asks inside another network namespace. Only a thread that ends with the question enters it, so nothing else of this
/// process ever is there.
fn in_netns<T: Send + 'static>(
    path: &str,
    ask: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let file = std::fs::File::open(path)?;
    let asked = std::thread::spawn(move || {
        enter(&file)?;
        ask()
    });
    asked.join().unwrap_or_else(|_| Err(std::io::Error::other("the asking thread ended early")))
}

fn enter(netns: &std::fs::File) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: setns takes a descriptor, which `netns` keeps open, and changes this thread's namespace only.
    if unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) } == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// As [`in_netns`], with a `/sys` that shows the namespace. The thread gets mounts of its own, which end with it.
pub(super) fn in_netns_with_sys<T: Send + 'static>(
    path: &str,
    act: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    in_netns(path, || {
        let null = std::ptr::null();
        // SAFETY: unshare takes no pointers; the mounts take C strings that live on. All of it concerns this thread.
        let failed = unsafe {
            libc::unshare(libc::CLONE_NEWNS) != 0
                || libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) != 0
                || libc::mount(c"sysfs".as_ptr(), c"/sys".as_ptr(), c"sysfs".as_ptr(), 0, null.cast()) != 0
        };
        if failed { Err(std::io::Error::last_os_error()) } else { act() }
    })
}
