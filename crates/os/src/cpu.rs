//! Where a thread runs, and in which scheduling class.
#![allow(unsafe_code)] // rustix has no calls for scheduling classes

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::check_long;

/// The CPUs that a thread may run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Affinity(CpuSet);

impl std::fmt::Debug for Affinity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.cpus()).finish()
    }
}

impl Affinity {
    /// The calling thread's.
    pub fn now() -> io::Result<Self> {
        Ok(Self(sched_getaffinity(None)?))
    }

    /// `EINVAL` for a CPU beyond the 1024 that a set can hold (sched_setaffinity(2)).
    pub fn of(cpus: &[u32]) -> io::Result<Self> {
        let mut set = CpuSet::new();
        for cpu in cpus {
            let cpu = usize::try_from(*cpu).ok().filter(|cpu| *cpu < CpuSet::MAX_CPU);
            set.set(cpu.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?);
        }
        Ok(Self(set))
    }

    /// The calling thread runs on these from now on.
    pub fn take(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.0)?)
    }

    /// Their numbers, ascending.
    pub fn cpus(&self) -> impl Iterator<Item = u32> + '_ {
        (0..CpuSet::MAX_CPU).filter(|cpu| self.0.is_set(*cpu)).filter_map(|cpu| u32::try_from(cpu).ok())
    }
}

/// Binds the calling thread to one CPU.
pub fn pin(cpu: u32) -> io::Result<()> {
    spread(&[cpu])
}

/// Lets the calling thread run on these CPUs.
pub fn spread(cpus: &[u32]) -> io::Result<()> {
    Affinity::of(cpus)?.take()
}

/// The CPUs that the calling thread may run on.
pub fn allowed() -> io::Result<Vec<u32>> {
    Ok(Affinity::now()?.cpus().collect())
}

/// The CPU that the calling thread runs on.
pub fn current() -> Option<u32> {
    u32::try_from(sched_getcpu()).ok()
}

/// A scheduling class and the priority in it (sched(7)).
///
/// The system calls are made directly: musl's functions of these names answer ENOSYS (src/sched/sched_setscheduler.c), as
/// POSIX has them act on a process and Linux on a thread. `struct sched_param` is one `int` to the kernel
/// (include/uapi/linux/sched/types.h); musl's has more fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduling {
    policy: libc::c_int,
    priority: libc::c_int,
}

impl Scheduling {
    /// SCHED_FIFO with a priority of 1–99.
    pub fn fifo(priority: u8) -> Self {
        Self { policy: libc::SCHED_FIFO, priority: priority.into() }
    }

    /// The calling thread's.
    pub fn now() -> io::Result<Self> {
        let mut priority: libc::c_int = 0;
        // SAFETY: 0 names the calling thread; `priority` is live and writable, and all that the kernel writes.
        let policy = unsafe {
            check_long(libc::syscall(libc::SYS_sched_getparam, 0, &raw mut priority))?;
            check_long(libc::syscall(libc::SYS_sched_getscheduler, 0))?
        };
        Ok(Self { policy: libc::c_int::try_from(policy).map_err(io::Error::other)?, priority })
    }

    /// The calling thread runs in it from now on.
    pub fn take(self) -> io::Result<()> {
        // SAFETY: 0 names the calling thread; the kernel only reads the priority, which outlives the call.
        let answer = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, self.policy, &raw const self.priority) };
        check_long(answer).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_bound_and_spread() {
        let before = Affinity::now().unwrap();
        let cpus = allowed().unwrap();
        pin(cpus[0]).unwrap();
        assert_eq!((allowed().unwrap(), current()), (vec![cpus[0]], Some(cpus[0])));
        before.take().unwrap();
        assert_eq!(allowed().unwrap(), cpus);
        for cpu in [1_024, u32::MAX] {
            assert_eq!(pin(cpu).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        }
        assert!(pin(1_023).is_err() || cpus.contains(&1_023));
    }

    #[test]
    fn a_class_that_does_not_exist_is_refused() {
        let before = Scheduling::now().unwrap();
        assert!(Scheduling::fifo(0).take().is_err() && Scheduling::fifo(100).take().is_err());
        assert_eq!(Scheduling::now().unwrap(), before);
        before.take().unwrap();
    }

    /// In a thread of its own, which takes its class with it. Batch needs no privilege, and 0 is its only priority.
    #[test]
    fn a_class_that_is_taken_is_the_threads() {
        let read = || {
            let batch = Scheduling { policy: libc::SCHED_BATCH, priority: 0 };
            batch.take().unwrap();
            assert_eq!(Scheduling::now().unwrap(), batch);
            // proc_pid_stat(5): field 41 is the policy; the name in field 2 may hold spaces, so count from its bracket.
            std::fs::read_to_string("/proc/thread-self/stat").unwrap()
        };
        let stat = std::thread::spawn(read).join().unwrap();
        let policy = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap().to_owned();
        assert_eq!(policy, libc::SCHED_BATCH.to_string());
    }
}
