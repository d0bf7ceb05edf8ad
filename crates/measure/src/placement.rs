//! Where the measuring thread runs, and putting it back.

use std::io;

use lowlat_model::Capability;
pub use lowlat_os::cpu::allowed as allowed_cpus;
use lowlat_os::cpu::{Affinity, Scheduling, pin};
use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::MeasureError;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadPlacement {
    /// CPU to pin to.
    pub cpu: Option<u32>,
    /// SCHED_FIFO priority, 1–99.
    pub rt_priority: Option<u8>,
    /// `mlockall`. That the kernel refuses is not an error: [`PlacedThread::memory`] reports.
    pub lock_memory: bool,
}

/// This thread, placed. Dropping it puts affinity, scheduling class and memory locking back as they were.
#[derive(Debug)]
pub struct PlacedThread {
    affinity: Option<Affinity>,
    scheduling: Option<Scheduling>,
    memory: Option<Result<(), String>>,
    // The guard undoes what was done to *this* thread, so it must not move to another.
    here: std::marker::PhantomData<*const ()>,
}

impl PlacedThread {
    /// Places this thread; on an error nothing stays changed.
    pub fn take(want: &ThreadPlacement) -> Result<Self, MeasureError> {
        let mut placed = Self { affinity: None, scheduling: None, memory: None, here: std::marker::PhantomData };
        if want.lock_memory {
            placed.memory = Some(lock_memory().map_err(|e| {
                format!(
                    "mlockall: {e}; raise RLIMIT_MEMLOCK; {}",
                    lowlat_transport::next_where_denied(&[Capability::IpcLock])
                )
            }));
        }
        if let Some(cpu) = want.cpu {
            let error = |source| MeasureError::Placement {
                what: format!("pin to CPU {cpu}"),
                source,
                next: "choose a CPU that is online and allowed to this process (`taskset -p $$` shows them)",
            };
            placed.affinity = Some(Affinity::now().map_err(error)?);
            pin(cpu).map_err(error)?;
        }
        if let Some(priority) = want.rt_priority {
            let error = |source| MeasureError::Placement {
                what: format!("take real-time priority {priority}"),
                source,
                next: "choose 1 to 98, and run with CAP_SYS_NICE, as sudo gives it on the host; a spinning real-time thread needs a CPU of its own",
            };
            placed.scheduling = Some(Scheduling::now().map_err(error)?);
            Scheduling::fifo(priority).take().map_err(error)?;
        }
        Ok(placed)
    }

    /// Whether memory is locked, or why not; `None` where that was not asked for.
    pub fn memory(&self) -> Option<&Result<(), String>> {
        self.memory.as_ref()
    }
}

/// Locks what is mapped, and what will be if that cannot fail later: with a limit on locked memory, `MCL_FUTURE` would
/// make an allocation beyond it fail (mlockall(2)), so the limit is lifted first, and where it may not be, what is
/// mapped from now on stays unlocked. Samples' memory is touched before the first probe in any case.
fn lock_memory() -> io::Result<()> {
    // The limit is of this process alone.
    let unlimited = Rlimit { current: None, maximum: None };
    let all = getrlimit(Resource::Memlock).current.is_none() || setrlimit(Resource::Memlock, unlimited).is_ok();
    let future = if all { MlockAllFlags::FUTURE } else { MlockAllFlags::empty() };
    Ok(mlockall(MlockAllFlags::CURRENT | future)?)
}

impl Drop for PlacedThread {
    fn drop(&mut self) {
        // Going back to what this thread had before needs no privilege.
        if let Some(before) = self.scheduling {
            let _ = before.take();
        }
        if let Some(before) = self.affinity {
            let _ = before.take();
        }
        // The tool locks memory nowhere else, so there is no earlier lock to keep.
        if self.memory == Some(Ok(())) {
            let _ = munlockall();
        }
    }
}

/// Which of `cpus` a thread of this process can be pinned to, found by trying: an isolated CPU is in no thread's
/// affinity to begin with, and whether the cpuset has it only the kernel knows. The calling thread stays where it is.
pub fn pinnable(cpus: impl IntoIterator<Item = u32> + Send) -> Vec<u32> {
    let tried = |cpus: &mut dyn Iterator<Item = u32>| cpus.filter(|cpu| pin(*cpu).is_ok()).collect();
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
            let _placed =
                PlacedThread::take(&ThreadPlacement { cpu: Some(cpu), ..ThreadPlacement::default() }).unwrap();
            assert_eq!(allowed_cpus().unwrap(), [cpu]);
        }
        assert_eq!(allowed_cpus().unwrap(), before);
        {
            let placed =
                PlacedThread::take(&ThreadPlacement { lock_memory: true, ..ThreadPlacement::default() }).unwrap();
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
            let error = PlacedThread::take(&ThreadPlacement { cpu: Some(cpu), ..ThreadPlacement::default() })
                .unwrap_err()
                .to_string();
            assert!(error.contains(&format!("CPU {cpu}")) && !error.contains('\n'), "{error}");
        }
        assert!(PlacedThread::take(&ThreadPlacement { rt_priority: Some(0), ..ThreadPlacement::default() }).is_err());
    }
}
