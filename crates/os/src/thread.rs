//! What a thread that waits for packets can do without, and how another wakes it.
#![allow(unsafe_code)] // rseq, close_range, tgkill and timers have no safe form; and one symbol of the C library

use std::io;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::os::fd::RawFd;
use std::sync::OnceLock;

use libc::{c_int, c_long, c_uint, c_void};
use rustix::thread::{current_timer_slack, set_current_timer_slack};

use crate::check_int;

/// `RSEQ_SIG` of x86 (glibc, sysdeps/unix/sysv/linux/x86/bits/rseq.h): glibc registers with it, and the kernel wants it
/// again to unregister.
#[cfg(target_arch = "x86_64")]
const RSEQ_SIG: u32 = 0x5305_3053;
/// The same of little-endian Arm (…/aarch64/bits/rseq.h).
#[cfg(target_arch = "aarch64")]
const RSEQ_SIG: u32 = 0xd428_bc00;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const RSEQ_LEN: u32 = 32;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const RSEQ_FLAG_UNREGISTER: c_int = 1;

/// This thread without its restartable sequences (rseq(2)), until dropped.
///
/// The C library registers each thread for them (glibc 2.35 on), to spare `sched_getcpu` a call; nothing here uses it.
/// The kernel then writes the thread's CPU into its memory on the return from each switch
/// (`__rseq_handle_notify_resume`, kernel/rseq.c), which a blocking round trip has four of: 0.35 µs of 13.3 µs with
/// both ends on one CPU (Linux 6.18, veth). Where the C library has none or the kernel says no, nothing changes.
#[derive(Debug)]
pub struct WithoutRseq {
    area: usize,
    // It is this thread's registration.
    here: PhantomData<*const ()>,
}

impl WithoutRseq {
    /// Unregisters the calling thread.
    pub fn take() -> Self {
        let area = rseq_area().filter(|area| rseq(*area, true).is_ok()).unwrap_or(0);
        Self { area, here: PhantomData }
    }

    /// Whether there was a registration to give up.
    pub fn was_registered(&self) -> bool {
        self.area != 0
    }
}

impl Drop for WithoutRseq {
    fn drop(&mut self) {
        if self.area != 0 {
            let _ = rseq(self.area, false);
        }
    }
}

/// Where the calling thread's area is, if the C library has registered one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn rseq_area() -> Option<usize> {
    let symbol = |name: &std::ffi::CStr| {
        // SAFETY: a lookup by name; looked up when needed, so that older C libraries run this program too.
        let at = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!at.is_null()).then_some(at)
    };
    // SAFETY: glibc documents both as constants of these types (`ptrdiff_t`, `unsigned int`; manual, section
    // Restartable Sequences), set before main.
    let (offset, size) = unsafe {
        (*symbol(c"__rseq_offset")?.cast::<isize>().cast_const(), *symbol(c"__rseq_size")?.cast::<u32>().cast_const())
    };
    // 0: not registered (the tunable glibc.pthread.rseq=0, or a kernel without).
    (size > 0).then(|| thread_pointer().wrapping_add_signed(offset))
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn rseq_area() -> Option<usize> {
    None
}

/// The thread pointer, from which the offset counts.
#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> usize {
    let at: usize;
    // SAFETY: reads the word at fs:0, which the x86-64 ABI's TLS layout makes the thread pointer itself.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) at, options(nostack, preserves_flags, readonly)) };
    at
}

#[cfg(target_arch = "aarch64")]
fn thread_pointer() -> usize {
    let at: usize;
    // SAFETY: reads the register that holds it.
    unsafe { std::arch::asm!("mrs {}, tpidr_el0", out(reg) at, options(nostack, nomem, preserves_flags)) };
    at
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn rseq(area: usize, unregister: bool) -> io::Result<()> {
    let flags = if unregister { RSEQ_FLAG_UNREGISTER } else { 0 };
    // SAFETY: the area is the C library's own for this thread and lives as long as it; the kernel checks address,
    // length and signature against the registration it has.
    done(unsafe { libc::syscall(libc::SYS_rseq, area as *mut c_void, RSEQ_LEN, flags, RSEQ_SIG) })
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn rseq(_: usize, _: bool) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn done(answer: c_long) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives the calling thread a table of descriptors of its own, with 0 to 2 and those in `keep`, under the same numbers.
/// It has one user, so the kernel need not count each system call's use of a descriptor (`__fget_light`, fs/file.c): 50
/// to 60 ns of a blocking round trip (Linux 6.18). Fails on Linux before 5.9, and then nothing has changed.
///
/// # Safety
/// From now on a number is another descriptor here than in the other threads. Of those that were open before, the
/// caller may use here those in `keep` alone, and must not close them here: they close with the thread. What is opened
/// here may be used and closed here alone.
pub unsafe fn own_descriptors(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<c_uint> = keep.iter().map(|fd| fd.cast_unsigned()).filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().chain([c_uint::MAX]) {
        if first < fd {
            // SAFETY: no pointers; closes what the caller has promised not to use, in this thread's table alone.
            done(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, libc::CLOSE_RANGE_UNSHARE) })?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// The calling thread's sleeps end as exactly as its timers can, until dropped.
///
/// A sleep of an ordinary thread may end 50 µs late (prctl(2), `PR_SET_TIMERSLACK`), so that timers are served
/// together. A prober that sleeps until a planned send would be late by it at every probe. Round trips without a plan
/// wait for packets, which no slack delays. Real-time threads have none.
#[derive(Debug)]
pub struct ExactSleeps {
    // `None` where nothing was changed, and of a real-time thread, which has none.
    before: Option<NonZeroU64>,
    // It is this thread's.
    here: PhantomData<*const ()>,
}

impl ExactSleeps {
    /// For the calling thread. Where the kernel says no, nothing changes.
    pub fn take() -> Self {
        let before = current_timer_slack().ok().and_then(NonZeroU64::new);
        Self { before: before.filter(|_| set_current_timer_slack(NonZeroU64::new(1)).is_ok()), here: PhantomData }
    }
}

impl Drop for ExactSleeps {
    fn drop(&mut self) {
        if self.before.is_some() {
            let _ = set_current_timer_slack(self.before);
        }
    }
}

/// A thread that another may wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleeper(rustix::process::Pid);

/// The signal that wakes: behind those that C libraries keep for themselves.
fn signal() -> c_int {
    libc::SIGRTMIN() + 3
}

impl Sleeper {
    /// The calling thread.
    pub fn this() -> io::Result<Self> {
        static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
        let failed = INSTALLED.get_or_init(|| {
            let installed = crate::signal::only_interrupts(signal());
            installed.err().map(|e| e.raw_os_error().unwrap_or(libc::EINVAL))
        });
        match failed {
            Some(errno) => Err(io::Error::from_raw_os_error(*errno)),
            None => Ok(Self(rustix::thread::gettid())),
        }
    }

    /// Ends the system call that it sleeps in with `EINTR`. One that it is about to enter is not ended: whoever must be
    /// heard calls again.
    pub fn wake(self) {
        // SAFETY: no pointers. The thread is one of this process or gone, and then the kernel says so.
        unsafe {
            libc::syscall(libc::SYS_tgkill, rustix::process::getpid().as_raw_pid(), self.0.as_raw_pid(), signal())
        };
    }
}

/// Ends the system call that the calling thread sleeps in, at a time set before.
///
/// Next to a timeout of the call itself it costs nothing as long as it does not ring: the kernel sets and clears a
/// timeout's timer in each call, 0.1 µs of a blocking round trip of 4.8 µs (Linux 6.18, veth).
#[derive(Debug)]
pub struct Alarm {
    timer: libc::timer_t,
    // It wakes the thread that made it.
    here: PhantomData<*const ()>,
}

/// A ring just before the call is lost, so it rings again after so long, ns.
const AGAIN_NS: u64 = 1_000_000_000;

impl Alarm {
    /// For the calling thread; not set yet.
    pub fn new() -> io::Result<Self> {
        let Sleeper(thread) = Sleeper::this()?;
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: sigevent is plain data for which all zeroes is a value; the kernel reads it and writes the timer's
        // name, both of which outlive the call.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal();
            event.sigev_notify_thread_id = thread.as_raw_pid();
            check_int(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer))?;
        }
        Ok(Self { timer, here: PhantomData })
    }

    /// Rings in `ns`, and not at the time set before.
    pub fn set(&mut self, ns: u64) -> io::Result<()> {
        self.settime(AGAIN_NS, ns.max(1))
    }

    /// Rings no more until it is set again.
    pub fn stop(&mut self) {
        // All zeroes stops the timer (timer_settime(2)); of a timer of ours that cannot fail.
        let _ = self.settime(0, 0);
    }

    fn settime(&mut self, interval_ns: u64, value_ns: u64) -> io::Result<()> {
        let time = libc::itimerspec { it_interval: timespec(interval_ns), it_value: timespec(value_ns) };
        // SAFETY: the timer is ours; the structure outlives the call, and the kernel only reads it.
        check_int(unsafe { libc::timer_settime(self.timer, 0, &raw const time, std::ptr::null_mut()) }).map(drop)
    }
}

#[allow(clippy::cast_possible_wrap)] // u64::MAX / 10⁹ fits, and a remainder is below 10⁹
fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer is ours and not used after this.
        unsafe { libc::timer_delete(self.timer) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    /// What the kernel writes for a thread that is not registered: `RSEQ_CPU_ID_UNINITIALIZED`
    /// (include/uapi/linux/rseq.h).
    fn registered() -> Option<bool> {
        let area = rseq_area()?;
        // SAFETY: the second word of this thread's area (struct rseq), which lives as long as the thread.
        Some(unsafe { *((area + 4) as *const i32) } >= 0)
    }

    #[test]
    fn a_thread_gives_up_its_restartable_sequences_and_has_them_back() {
        std::thread::spawn(|| {
            let Some(before) = registered() else {
                // A C library without the area, as musl is: nothing to give up.
                let may_lack =
                    cfg!(not(target_env = "gnu")) || std::env::var_os("LOWLAT_REQUIRE_ROOT").is_none_or(|v| v != "1");
                assert!(may_lack, "must run: no rseq area");
                return;
            };
            let without = WithoutRseq::take();
            assert_eq!(without.was_registered(), before);
            if before {
                assert_eq!(registered(), Some(false));
                assert!(!WithoutRseq::take().was_registered(), "a second time there is none to give up");
            }
            drop(without);
            std::thread::yield_now();
            assert_eq!(registered(), Some(before));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn sleeps_are_exact_until_they_are_not_to_be() {
        let slack = || current_timer_slack().unwrap();
        let before = slack();
        let exact = ExactSleeps::take();
        assert_eq!(slack(), 1);
        drop(exact);
        assert_eq!(slack(), before);
    }

    #[test]
    fn a_thread_asleep_in_a_receive_is_woken() {
        let (tell, reported) = mpsc::channel();
        let woken = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                tell.send(Sleeper::this().unwrap()).unwrap();
                let e = crate::socket::recv(socket.as_fd(), &mut [0; 8], 0).unwrap_err();
                assert_eq!(e.raw_os_error(), Some(libc::EINTR));
                woken.store(true, Ordering::Relaxed);
            });
            let sleeper = reported.recv().unwrap();
            for _ in 0..5_000 {
                if woken.load(Ordering::Relaxed) {
                    break;
                }
                sleeper.wake();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        assert!(woken.load(Ordering::Relaxed));
    }

    #[test]
    fn an_alarm_ends_a_receive_and_rings_again() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut alarm = Alarm::new().unwrap();
        let began = std::time::Instant::now();
        alarm.set(3_600_000_000_000).unwrap();
        alarm.set(20_000_000).unwrap();
        for least in [Duration::from_millis(20), Duration::from_nanos(AGAIN_NS)] {
            let e = crate::socket::recv(socket.as_fd(), &mut [0; 8], 0).unwrap_err();
            assert_eq!(e.raw_os_error(), Some(libc::EINTR));
            assert!(began.elapsed() >= least, "{:?}", began.elapsed());
        }
    }

    #[test]
    fn a_table_of_ones_own_has_what_is_kept_and_leaves_the_others_theirs() {
        let sockets: Vec<_> = (0..3).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let fd = |i: usize| sockets[i].as_raw_fd();
        let open = |fd: RawFd| std::fs::read_link(format!("/proc/thread-self/fd/{fd}")).is_ok();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // SAFETY: nothing is closed here, and what is used here is kept.
                unsafe { own_descriptors(&[fd(2), fd(0), 1]) }.unwrap();
                assert!(open(1) && open(fd(0)) && !open(fd(1)) && open(fd(2)));
                let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                assert_eq!(other.send_to(b"x", sockets[0].local_addr().unwrap()).unwrap(), 1);
                sockets[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                assert_eq!(sockets[0].recv(&mut [0; 8]).unwrap(), 1);
            });
        });
        assert!(open(fd(0)) && open(fd(1)) && open(fd(2)));
    }
}
