//! What a thread that waits for packets can do without, and how another wakes it.
#![allow(unsafe_code)] // system calls on threads that std has no wrapper for, and one symbol of the C library

use std::io;
use std::marker::PhantomData;
use std::sync::OnceLock;

use libc::{c_int, c_long, c_void};

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
/// The C library registers each thread for them (glibc 2.35 on), to spare `sched_getcpu` a call; nothing here uses it. The
/// kernel then writes the thread's CPU into its memory on the way back from each switch (`__rseq_handle_notify_resume`,
/// kernel/rseq.c), which a blocking round trip has four of: 0.35 µs of 13.3 µs with both ends on one CPU (Linux 6.18,
/// veth). Where the C library has none or the kernel says no, nothing changes.
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
    // SAFETY: glibc documents both as constants of these types (`ptrdiff_t`, `unsigned int`; manual, section Restartable
    // Sequences), set before main.
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
    // SAFETY: the area is the C library's own for this thread and lives as long as it; the kernel checks address, length
    // and signature against the registration it has.
    check(unsafe { libc::syscall(libc::SYS_rseq, area as *mut c_void, RSEQ_LEN, flags, RSEQ_SIG) })
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn rseq(_: usize, _: bool) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn check(n: c_long) -> io::Result<()> {
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives the calling thread a table of descriptors of its own: with one user, the kernel need not count each system call's
/// use of a descriptor (`__fget_light`, fs/file.c), 0.1 µs of a round trip at each end. What is opened from now on is this
/// thread's alone, and what was open before stays open in the others too: for a thread that runs until the process ends.
pub fn own_descriptors() -> io::Result<()> {
    // SAFETY: no pointers; changes which table this thread uses, and nothing in it.
    check(c_long::from(unsafe { libc::unshare(libc::CLONE_FILES) }))
}

/// A thread that another may wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleeper(libc::pid_t);

/// The signal that wakes: behind those that C libraries keep for themselves.
fn signal() -> c_int {
    libc::SIGRTMIN() + 3
}

extern "C" fn on_wake(_: c_int) {}

impl Sleeper {
    /// The calling thread.
    pub fn this() -> io::Result<Self> {
        static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
        let failed = INSTALLED.get_or_init(|| {
            // SAFETY: the structure is zeroed and then filled as sigaction(2) asks; the handler does nothing.
            let set = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_wake as *const () as libc::sighandler_t;
                libc::sigemptyset(&raw mut action.sa_mask);
                // Without SA_RESTART: a receive must return.
                check(c_long::from(libc::sigaction(signal(), &raw const action, std::ptr::null_mut())))
            };
            set.err().and_then(|e| e.raw_os_error())
        });
        match failed {
            Some(errno) => Err(io::Error::from_raw_os_error(*errno)),
            // SAFETY: takes nothing, cannot fail.
            None => Ok(Self(unsafe { libc::gettid() })),
        }
    }

    /// Ends the system call that it sleeps in with `EINTR`. One that it is about to enter is not ended: whoever must be
    /// heard calls again.
    pub fn wake(self) {
        // SAFETY: no pointers. The thread is one of this process or gone, and then the kernel says so.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0, signal()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    /// What the kernel writes for a thread that is not registered: `RSEQ_CPU_ID_UNINITIALIZED` (include/uapi/linux/rseq.h).
    fn registered() -> Option<bool> {
        let area = rseq_area()?;
        // SAFETY: the second word of this thread's area (struct rseq), which lives as long as the thread.
        Some(unsafe { *((area + 4) as *const i32) } >= 0)
    }

    #[test]
    fn a_thread_gives_up_its_restartable_sequences_and_has_them_back() {
        std::thread::spawn(|| {
            let Some(before) = registered() else { return };
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
    fn a_thread_asleep_in_a_receive_is_woken() {
        let (tell, told) = mpsc::channel();
        let woken = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                tell.send(Sleeper::this().unwrap()).unwrap();
                let e = crate::os::recv(socket.as_fd(), &mut [0; 8], 0).unwrap_err();
                assert_eq!(e.raw_os_error(), Some(libc::EINTR));
                woken.store(true, Ordering::Relaxed);
            });
            let sleeper = told.recv().unwrap();
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
    fn a_descriptor_of_its_own_table_is_not_another_s() {
        std::thread::spawn(|| {
            own_descriptors().unwrap();
            let mine = std::fs::File::open("/dev/null").unwrap();
            let at = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&mine));
            assert!(std::fs::read_link("/proc/thread-self/fd/".to_owned() + at.rsplit('/').next().unwrap()).is_ok());
            assert!(
                std::fs::read_link(&at).is_ok_and(|to| to != std::path::Path::new("/dev/null"))
                    || std::fs::read_link(&at).is_err()
            );
        })
        .join()
        .unwrap();
    }
}
