//! Where the measuring thread runs, and putting it back.
#![allow(unsafe_code)] // affinity, scheduling class and memory locking have no safe wrapper in std

use std::io;

use lowlat_model::Capability;

use crate::MeasureError;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// CPU to pin to.
    pub cpu: Option<u32>,
    /// SCHED_FIFO priority, 1–99.
    pub rt_priority: Option<u8>,
    /// `mlockall`. That the kernel refuses is no error: [`Placed::memory`] tells.
    pub lock_memory: bool,
}

/// This thread, placed. Dropping it puts affinity, scheduling class and memory locking back as they were.
#[derive(Debug)]
pub struct Placed {
    affinity: Option<libc::cpu_set_t>,
    scheduling: Option<(libc::c_int, libc::sched_param)>,
    memory: Option<Result<(), String>>,
    // The guard undoes what was done to *this* thread, so it must not move to another.
    here: std::marker::PhantomData<*const ()>,
}

impl Placed {
    /// Places this thread; on an error nothing stays changed.
    pub fn take(want: &Placement) -> Result<Self, MeasureError> {
        let mut placed = Self { affinity: None, scheduling: None, memory: None, here: std::marker::PhantomData };
        if want.lock_memory {
            placed.memory = Some(lock_memory().map_err(|e| {
                format!(
                    "mlockall: {e}; raise RLIMIT_MEMLOCK; {}",
                    lowlat_sys::next_where_denied(&[Capability::IpcLock])
                )
            }));
        }
        if let Some(cpu) = want.cpu {
            let error = |source| MeasureError::Placement {
                what: format!("pin to CPU {cpu}"),
                source,
                next: "choose a CPU that is online and allowed to this process (`taskset -p $$` shows them)",
            };
            placed.affinity = Some(affinity().map_err(error)?);
            set_affinity(cpu).map_err(error)?;
        }
        if let Some(priority) = want.rt_priority {
            let error = |source| MeasureError::Placement {
                what: format!("take real-time priority {priority}"),
                source,
                next: "choose 1 to 98, and run with CAP_SYS_NICE, as sudo gives it on the host; a spinning real-time thread needs a CPU of its own",
            };
            placed.scheduling = Some(scheduling().map_err(error)?);
            let param = libc::sched_param { sched_priority: i32::from(priority) };
            // SAFETY: `param` is valid for the call; 0 names this thread.
            check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) }).map_err(error)?;
        }
        Ok(placed)
    }

    /// Whether memory is locked, or why not; `None` where that was not asked for.
    pub fn memory(&self) -> Option<&Result<(), String>> {
        self.memory.as_ref()
    }
}

/// Locks what is mapped, and what will be if that cannot fail later: with a limit on locked memory, `MCL_FUTURE` would
/// make an allocation beyond it fail (mlockall(2)), so the limit is lifted first, and where it may not be, what is mapped
/// from now on stays unlocked. Samples' memory is touched before the first probe in any case.
fn lock_memory() -> io::Result<()> {
    let lifted = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both structures are live for the calls, which only read the one and write the other. The limit is of this
    // process alone.
    let unlimited = unsafe {
        libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) == 0 && limit.rlim_cur == libc::RLIM_INFINITY
            || libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const lifted) == 0
    };
    let what = if unlimited { libc::MCL_CURRENT | libc::MCL_FUTURE } else { libc::MCL_CURRENT };
    // SAFETY: mlockall takes no pointer.
    check(unsafe { libc::mlockall(what) })
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Some((policy, param)) = self.scheduling {
            // SAFETY: `param` is valid for the call. Going back to what this thread had before needs no privilege.
            unsafe { libc::sched_setscheduler(0, policy, &raw const param) };
        }
        if let Some(set) = self.affinity {
            // SAFETY: `set` is a valid CPU set of the size given.
            unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
        }
        if self.memory == Some(Ok(())) {
            // SAFETY: takes nothing. The tool locks memory nowhere else, so there is no earlier lock to keep.
            unsafe { libc::munlockall() };
        }
    }
}

fn check(ret: libc::c_int) -> io::Result<()> {
    if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn affinity() -> io::Result<libc::cpu_set_t> {
    // SAFETY: a cpu_set_t of zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and of the size given.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    Ok(set)
}

fn set_affinity(cpu: u32) -> io::Result<()> {
    // SAFETY: a cpu_set_t of zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let cpu = cpu as usize;
    if cpu >= libc::CPU_SETSIZE.unsigned_abs() as usize {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: `cpu` is below CPU_SETSIZE, so the bit lies within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is valid and of the size given.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
}

fn scheduling() -> io::Result<(libc::c_int, libc::sched_param)> {
    // SAFETY: takes no pointer; 0 names this thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if policy < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut param = libc::sched_param { sched_priority: 0 };
    // SAFETY: `param` is writable.
    check(unsafe { libc::sched_getparam(0, &raw mut param) })?;
    Ok((policy, param))
}

/// The CPUs this thread may run on.
pub fn allowed_cpus() -> io::Result<Vec<u32>> {
    let set = affinity()?;
    // SAFETY: the index is below CPU_SETSIZE, so the bit lies within the set.
    Ok((0..libc::CPU_SETSIZE.unsigned_abs()).filter(|&c| unsafe { libc::CPU_ISSET(c as usize, &set) }).collect())
}

/// Which of `cpus` a thread of this process can be pinned to, found by trying: an isolated CPU is in no thread's affinity
/// to begin with, and whether the cpuset has it only the kernel knows. The calling thread stays where it is.
pub fn pinnable(cpus: impl IntoIterator<Item = u32> + Send) -> Vec<u32> {
    let tried = |cpus: &mut dyn Iterator<Item = u32>| cpus.filter(|cpu| set_affinity(*cpu).is_ok()).collect();
    std::thread::scope(|s| s.spawn(|| tried(&mut cpus.into_iter())).join().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_pinned_and_put_back() {
        let before = allowed_cpus().unwrap();
        let cpu = before[before.len() - 1];
        {
            let _placed = Placed::take(&Placement { cpu: Some(cpu), ..Placement::default() }).unwrap();
            assert_eq!(allowed_cpus().unwrap(), [cpu]);
        }
        assert_eq!(allowed_cpus().unwrap(), before);
        {
            let placed = Placed::take(&Placement { lock_memory: true, ..Placement::default() }).unwrap();
            assert_eq!(allowed_cpus().unwrap(), before);
            // Locked or refused, as the user's limit has it; never an error, and never silence.
            assert!(placed.memory().is_some());
        }
        assert_eq!(allowed_cpus().unwrap(), before);
    }

    #[test]
    fn what_can_be_pinned_to_is_found_by_trying() {
        let before = allowed_cpus().unwrap();
        assert_eq!(pinnable(before.iter().copied().chain([1_023, 5_000])), before);
        assert_eq!(allowed_cpus().unwrap(), before, "the caller was not moved");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_in_one_line() {
        for cpu in [1_023, 5_000] {
            let error = Placed::take(&Placement { cpu: Some(cpu), ..Placement::default() }).unwrap_err().to_string();
            assert!(error.contains(&format!("CPU {cpu}")) && !error.contains('\n'), "{error}");
        }
        assert!(Placed::take(&Placement { rt_priority: Some(0), ..Placement::default() }).is_err());
    }
}
